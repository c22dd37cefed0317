--[[
breaker/force: an operator opens or closes a breaker, whatever calls do, or takes that back; shard 0 only.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  subject   what is called
ARGV[2]  what      open or closed: it stays so | reset: it is closed, forgets what it has counted, and
                   follows its calls again
ARGV[3]  who       who says so, on one line
ARGV[4]  why       words on one line

Returns  1 when something was changed, else 0
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/breaker
local what = ARGV[2]
local it = breaker(ARGV[1])
local why = ARGV[4] ~= '' and ': ' .. ARGV[4] or ''
local changed = 0
if what == 'reset' then
  changed = (it.forced or it.state ~= 'closed' or it.sums()[1] > 0) and 1 or 0
  redis.call('HDEL', it.key(), 'forced', 'who')
  it.forced = nil
  if changed == 1 then it.become('closed', 'reset by ' .. ARGV[3] .. why) end
elseif it.forced ~= what then
  changed = 1
  it.forced = what
  it.put('forced', what, 'who', ARGV[3])
  it.become(what, 'forced by ' .. ARGV[3] .. why)
end
if it.known or changed == 1 then it.keep() end
return changed
