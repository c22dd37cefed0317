--[[
fleet/look: everything that is known of the fleet's workers, for whoever asks; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

Returns  {now, {worker, beat, ...}, {worker, info, ttl_ms, ...}, {field, value, ...}, expect, writable,
         readonly}
         info, ttl_ms  as in fleet/observe
         field, value  all of HASH roster
         expect, writable  what the operator said, see fleet/policy; 0 for nothing
         readonly  who stopped the fleet, when and why, see fleet/readonly; false when nobody did
]]
--- @include lib/clock
local beats = redis.call('ZRANGE', KEYS[1] .. 'workers', 0, -1, 'WITHSCORES')
local infos = {}
for i = 1, #beats, 2 do
  local key = KEYS[1] .. 'worker:' .. beats[i]
  local info = redis.call('GET', key)
  if info then
    infos[#infos + 1] = beats[i]
    infos[#infos + 1] = info
    infos[#infos + 1] = math.floor(redis.call('PTTL', key) + now - tonumber(beats[i + 1]))
  end
end
local said = redis.call('HMGET', KEYS[1] .. 'policy', 'expect', 'writable')
return {
  now, beats, infos, redis.call('HGETALL', KEYS[1] .. 'roster'), tonumber(said[1] or '0'),
  tonumber(said[2] or '0'), redis.call('GET', KEYS[1] .. 'readonly'),
}
