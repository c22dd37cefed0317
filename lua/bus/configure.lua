--[[
bus/configure: how much a channel may hold, or all that a pattern fits.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  channel   a channel, a pattern of topics, or ** for all that nothing else is said of
ARGV[2]  entries   messages that have not been acknowledged; 0 takes back what was said
ARGV[3]  bytes     of these

Returns  1
]]
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', KEYS[1] .. 'bus:bounds')
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1] .. 'bus:bounds', ARGV[1])
else
  redis.call('HSET', KEYS[1] .. 'bus:bounds', ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
end
redis.call('INCR', KEYS[1] .. 'bus:version')
return 1
