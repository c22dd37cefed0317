--[[
lib/readonly: while STRING readonly exists, no new work is taken and none is started.

Written by fleet/readonly. What is new asks first: enqueues, unless they are forced, and claims. What is
under way goes on: beats, finishes, releases, cancels, and every look.
]]
-- What to answer somebody who wants new work, or nil.
local function stopped()
  local why = redis.call('GET', KEYS[1] .. 'readonly')
  return why and redis.error_reply('STOPPED ' .. why) or nil
end
