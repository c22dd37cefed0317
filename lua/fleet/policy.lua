--[[
fleet/policy: what an operator says of the fleet is written down; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for an operator
ARGV[2]  field     expect: how many workers there are | writable: 1, the leader shall not make the
                   fleet read-only until it has been whole once, when it takes this back
ARGV[3]  value     a whole number; 0 takes it back

Returns  1
]]
--- @include lib/epoch
-- not deny-oom, so first: an operator is heard when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
if ARGV[3] == '0' then
  redis.call('HDEL', KEYS[1] .. 'policy', ARGV[2])
else
  redis.call('HSET', KEYS[1] .. 'policy', ARGV[2], ARGV[3])
end
return 1
