--[[
fleet/disown: a further shard forgets workers that the leader has declared dead on shard 0.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's
ARGV[2...]         pairs: worker, and its last beat in milliseconds; one that has beaten since stays

Returns  how many were forgotten
]]
--- @include lib/epoch
-- not deny-oom, so first: the dead are forgotten when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
local forgotten = 0
for i = 2, #ARGV, 2 do
  local beat = redis.call('ZSCORE', KEYS[1] .. 'workers', ARGV[i])
  if beat and tonumber(beat) <= tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1] .. 'workers', ARGV[i])
    redis.call('DEL', KEYS[1] .. 'worker:' .. ARGV[i])
    forgotten = forgotten + 1
  end
end
return forgotten
