--[[
breaker/set: by what thresholds a breaker opens and closes; shard 0 only.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  subject   what is called
ARGV[2]  text      thresholds, see lib/breaker; "" for the usual ones

Returns  1 when something was changed, else 0

What it has counted is forgotten, since the window may have another length; its state stays.
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/breaker
local it = breaker(ARGV[1])
local text = ARGV[2] ~= '' and ARGV[2] or nil
if it.set == text then
  if it.known then it.keep() end
  return 0
end
it.set = text
if text then
  it.put('set', text)
else
  redis.call('HDEL', it.key(), 'set')
end
for i = 0, TENTHS - 1 do redis.call('HDEL', it.key(), 'b' .. i) end
if it.known or text then it.keep() end
return 1
