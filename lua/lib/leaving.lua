--[[
lib/leaving: a group ends, and lets go of what it has not acknowledged, a page at a time.

HASH bus:leaving: group -> why. Until everything is let go the group stays bound to its channels, marked -,
so that what is published meanwhile counts as before; then bus-group-dropped says how much it was.
]]
local function end_group(group, why)
  if redis.call('HDEL', KEYS[1] .. 'bus:groups', group) == 0 then return 0 end
  redis.call('HDEL', KEYS[1] .. 'bus:patterns', group)
  redis.call('HSET', KEYS[1] .. 'bus:leaving', group, why)
  redis.call('INCR', KEYS[1] .. 'bus:version')
  redis.pcall('XGROUP', 'DESTROY', KEYS[1] .. 'events', group)
  return 1
end
