--[[
lib/epoch: a leader's writes carry its epoch, and an older one is refused.

STRING epoch, one a shard, holds the highest epoch that was seen there; it only grows. A leader makes
itself known on every shard before it acts, so what a paused predecessor still sends changes nothing.
]]
-- What to answer a caller whose epoch is over, or nil. epoch: '' for callers that are no leaders.
local function deposed(epoch)
  if epoch == '' then return nil end
  local seen = redis.call('GET', KEYS[1] .. 'epoch') or '0'
  if tonumber(epoch) < tonumber(seen) then return redis.error_reply('DEPOSED ' .. seen) end
  if tonumber(epoch) > tonumber(seen) then redis.call('SET', KEYS[1] .. 'epoch', epoch) end
  return nil
end
