--[[
lib/bury: a message that will not be given out again becomes a dead letter, with the reason.

STREAM bus:dead, capped at ten thousand. Fields: g the group whose letter it is, "" for all that had not
read it; c the channel, l the lane, r the reason, n how often it was given out, h and b what it says.
]]
local function bury(group, channel, lane, reason, attempts, fields)
  local DEAD_MAX = 10000
  local header, body, first = '', '', channel
  for i = 1, #fields, 2 do
    if fields[i] == 'h' then header = fields[i + 1]
    elseif fields[i] == 'b' then body = fields[i + 1]
    elseif fields[i] == 'c' then first = fields[i + 1] end
  end
  redis.call('XADD', KEYS[1] .. 'bus:dead', 'MAXLEN', '~', DEAD_MAX, '*', 'g', group, 'c', first, 'l', lane,
    'r', reason, 'n', attempts, 'h', header, 'b', body)
  if group ~= '' then figure(group, 'dead', 1) end
end
