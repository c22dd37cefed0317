--[[
fleet/standing: who leads, and who else would; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

Returns  {{name, epoch, left_ms, since_ms, settings}, {supervisor, heard_ms, info, ...}, now_ms}
         the first is {} when nobody leads; heard_ms: when the supervisor was last heard; those that
         have been silent for four of their leases are left out
]]
--- @include lib/clock
--- @include lib/leader
local leader, office = leader_now(), {}
if leader then
  office = { leader.name, tonumber(leader.epoch), redis.call('PTTL', KEYS[1] .. 'leader'),
    tonumber(leader.since), leader.settings }
end
local candidates = {}
local heard = redis.call('ZRANGE', KEYS[1] .. 'supervisors', 0, -1, 'WITHSCORES')
for i = 1, #heard, 2 do
  local info = redis.call('GET', KEYS[1] .. 'supervisor:' .. heard[i])
  if info then
    candidates[#candidates + 1] = heard[i]
    candidates[#candidates + 1] = tonumber(heard[i + 1])
    candidates[#candidates + 1] = info
  end
end
return { office, candidates, now }
