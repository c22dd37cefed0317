--[[
bus/alone: a reader says that it alone reads a group, and asks what is still to come to it.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  group     which
ARGV[2]  reader    who reads it
ARGV[3]  lease_ms  for so long nobody else is told the same; 0: it reads it no longer
ARGV[4...]         up to 64 channels

Returns  {other, channel, ...}
         other    "", or who reads the group alone already: then nothing was changed
         channel  for each of them: 1 when a take finds something there that the group was never given,
                  2 when something of it was given back, or is held by another reader, and comes later;
                  0 when there is neither: all of it that the group will be given is with this reader

Nothing keeps others from taking: it is for those to whom it matters that they are alone.
]]
redis.call('PERSIST', KEYS[1] .. 'bus:readers')
--- @include lib/clock
--- @include lib/channel
--- @include lib/group
--- @include lib/settled
local group, reader, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, HELD_MAX = KEYS[1] .. 'bus:alone:' .. group, 1000
local other = redis.call('GET', key)
if other and other ~= reader then return { other } end
if lease_ms > 0 then
  redis.call('SET', key, reader, 'PX', lease_ms)
else
  redis.call('DEL', key)
end

-- Whether an entry that the group holds, and that is due at a moment, is not with this reader.
local function is_elsewhere(place, id, due)
  if due <= now then return true end
  local pending = redis.pcall('XPENDING', key_of(place), group, id, id, 1)
  local seen = not pending.err and pending[1]
  return seen and seen[2] ~= reader
end

local heads, held = KEYS[1] .. 'bus:heads:' .. group, nil
local function look_at(channel)
  local unread = redis.call('ZMSCORE', heads, 'c' .. channel, 'n' .. channel, 'l' .. channel)
  if unread[1] or unread[2] or unread[3] then return 1 end
  held = held or redis.call('ZRANGE', KEYS[1] .. 'bus:held:' .. group, 0, HELD_MAX - 1, 'WITHSCORES')
  for i = 1, #held, 2 do
    local place, id = string.match(held[i], '^([^ ]+) (.+)$')
    if place and string.sub(place, 2) == channel and is_elsewhere(place, id, tonumber(held[i + 1])) then return 2 end
  end
  return #held == 2 * HELD_MAX and 2 or 0
end

local answer = { '' }
for i = 4, #ARGV do answer[#answer + 1] = look_at(ARGV[i]) end
return answer
