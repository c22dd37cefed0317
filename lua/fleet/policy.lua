--[[
fleet/policy: what an operator says of the fleet is written down; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  field     expect: how many workers there are | writable: 1, the leader shall not make the
                   fleet read-only until it has been whole once
ARGV[2]  value     a whole number; 0 takes it back

Returns  1
]]
-- not deny-oom, so first: an operator is heard when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1] .. 'policy', ARGV[1])
else
  redis.call('HSET', KEYS[1] .. 'policy', ARGV[1], ARGV[2])
end
return 1
