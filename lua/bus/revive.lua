--[[
bus/revive: dead letters are given out again, to the group whose they are, or to all that hear the channel.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  nonce     new for every call, the same when a call is repeated after a lost reply
ARGV[2...]         ids, up to 500

Returns  how many were; the others are not there, or their group is not

A group's letter is put into the group's own channel, !<group>, so that no other group is given it
anew. Bounds do not hold anybody back here.
]]
--- @include lib/clock
--- @include lib/topic
--- @include lib/channel
--- @include lib/group
--- @include lib/bind
local REMEMBERED_MS = 60000
local answered = redis.call('GET', KEYS[1] .. 'bus:sent:' .. ARGV[1])
if answered then return tonumber(answered) end
local version, revived = redis.call('GET', KEYS[1] .. 'bus:version') or '0', 0

local function revive(id)
  local entry = redis.call('XRANGE', KEYS[1] .. 'bus:dead', id, id)[1]
  if not entry then return end
  local letter = {}
  for i = 1, #entry[2], 2 do letter[entry[2][i]] = entry[2][i + 1] end
  local name, groups = letter.g ~= '' and '!' .. letter.g or letter.c, 0
  local channel = channel_of(name)
  local on = bind(channel, version)
  for _ in pairs(on) do groups = groups + 1 end
  if groups == 0 then return end
  open_lane(channel, letter.l, on)
  local place = letter.l .. name
  local added = redis.call('XADD', KEYS[1] .. 'bus:s:' .. place, '*', 'h', letter.h, 'b', letter.b, 'c', letter.c)
  count_on(channel, letter.l, { added }, groups)
  for group in pairs(on) do announce(group, place, 1) end
  channel.came, channel.filled = channel.came + 1, true
  channel.b = channel.b + #letter.h + #letter.b + ENTRY_BYTES
  redis.call('ZADD', KEYS[1] .. 'bus:channels', string.format('%.0f', now), name)
  redis.call('XDEL', KEYS[1] .. 'bus:dead', id)
  revived = revived + 1
end

for i = 2, #ARGV do revive(ARGV[i]) end
write_channels()
redis.call('SET', KEYS[1] .. 'bus:sent:' .. ARGV[1], revived, 'PX', REMEMBERED_MS)
return revived
