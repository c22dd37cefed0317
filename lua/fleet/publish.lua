--[[
fleet/publish: a part of the leader says what it sees; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's
ARGV[2]  part      who says it
ARGV[3]  facts     JSON
ARGV[4]  ttl_ms    for how long it is worth reading

Returns  1
]]
--- @include lib/epoch
-- not deny-oom, so first: people look at a fleet above all when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
redis.call('SET', KEYS[1] .. 'report:' .. ARGV[2], ARGV[3], 'PX', ARGV[4])
return 1
