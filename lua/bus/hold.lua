--[[
bus/hold: messages that are still being handled are held for another visibility time.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  reader    who holds them
ARGV[2...]         of one group and place each:
         group, place
         amount    how many ids follow, 1 to 500

Returns  how many are held on; the others were given to another reader, or are done with
]]
redis.call('PERSIST', KEYS[1] .. 'bus:readers')
--- @include lib/clock
--- @include lib/channel
--- @include lib/group
--- @include lib/settled
local reader, held, at = ARGV[1], 0, 2

local function hold(group, place, id, moment)
  local pending = redis.pcall('XPENDING', key_of(place), group, id, id, 1)
  local seen = not pending.err and pending[1]
  if not seen or seen[2] ~= reader then return 0 end
  redis.call('ZADD', KEYS[1] .. 'bus:held:' .. group, 'XX', moment, place .. ' ' .. id)
  return 1
end

redis.call('ZADD', KEYS[1] .. 'bus:readers', string.format('%.0f', now), reader)
while at <= #ARGV do
  local group, place, amount = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local settings = settings_of(group)
  for i = at + 3, at + 2 + amount do
    if settings then held = held + hold(group, place, ARGV[i], string.format('%.0f', now + settings.visibility)) end
  end
  at = at + 3 + amount
end
return held
