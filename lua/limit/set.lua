--[[
limit/set: set a limit down, or take it away; tasks that wait for it are looked at by limit/wake.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      the limit
ARGV[2]  what      its text, see lib/slot; "" takes it away

Returns  1 when there was one of that name before, else 0
]]
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', KEYS[1] .. 'limits')
if ARGV[2] == '' then return redis.call('HDEL', KEYS[1] .. 'limits', ARGV[1]) end
return 1 - redis.call('HSET', KEYS[1] .. 'limits', ARGV[1], ARGV[2])
