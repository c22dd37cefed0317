--[[
bus/publish: messages come in, up to 500 of one shard, of any channels.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  nonce     new for every call, the same when a call is repeated after a lost reply; one that begins
                   with ! is remembered for five minutes, for who may say the same in another call
ARGV[2]  mode      wait | refuse | shed: what becomes of those that find no room, see below
ARGV[3...]         runs of messages for one channel and lane, each:
         channel   a topic, @<agent>, *, ~<session> or !<group>
         lane      c critical, n normal, l low
         amount    how many follow, each: expires_ms (from now; 0 = never), header, body

Returns  "<receivers> <taken> ..." for each run: how many groups are given it (0: nobody asks for it,
         and it was not kept; -1: there is no such agent) and how many of it were taken, from the first on

A channel takes low messages up to 80 % of its bounds in entries and bytes, normal ones up to 100 %,
critical ones up to 110 %; a single message always fits into an empty one. Behind the first that finds no
room, no other of its run is taken, nor of a later run for that place. wait: a token in
bus:space:<lane><channel> says when there is room. shed: low messages that nobody holds are buried
to make room for normal and critical ones.
]]
--- @include lib/clock
--- @include lib/topic
--- @include lib/channel
--- @include lib/group
--- @include lib/bind
local REMEMBERED_MS = string.sub(ARGV[1], 1, 1) == '!' and 300000 or 60000
local answered = redis.call('GET', KEYS[1] .. 'bus:sent:' .. ARGV[1])
if answered then return answered end
local version = redis.call('GET', KEYS[1] .. 'bus:version') or '0'
local mode, closed, shed = ARGV[2], {}, nil
local used, moment = {}, string.format('%.0f', now) -- channels, and when

local function the_shedding()
--- @include lib/bury
--- @include lib/shed
  return shed_low
end

-- Who hears a channel, how many of them stay, and how many entries it has; read once in a call.
local function look_at(channel)
  if channel.on then return end
  channel.on, channel.live, channel.groups = bind(channel, version), 0, 0
  for _, how in pairs(channel.on) do
    channel.groups = channel.groups + 1
    if how == '+' then channel.live = channel.live + 1 end
  end
  channel.entries = entries_in(channel)
  if channel.entries == 0 then channel.b = 0 end
end

local function has_room(channel, lane, size)
  local share = share_of(lane)
  if channel.entries == 0 then return true end
  return channel.entries + 1 <= channel.max * share and channel.b + size <= channel.bytes * share
end

local function make_room(channel, lane, size)
  if mode ~= 'shed' or lane == 'l' then return false end
  shed = shed or the_shedding()
  return shed(channel, lane, size, has_room)
end

-- Takes messages from `at` on until one finds no room; gives how many.
local function append(channel, lane, at, amount)
  local key, added, call = KEYS[1] .. 'bus:s:' .. lane .. channel.name, {}, redis.call
  local most, bytes = channel.max * share_of(lane), channel.bytes * share_of(lane)
  for i = 1, amount do
    local expires, header, body = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local size = #header + #body + ENTRY_BYTES
    local fits = channel.entries + 1 <= most and channel.b + size <= bytes
    if not fits and not has_room(channel, lane, size) and not make_room(channel, lane, size) then break end
    if expires == '0' then
      added[i] = call('XADD', key, '*', 'h', header, 'b', body)
    else
      added[i] = call('XADD', key, '*', 'h', header, 'b', body, 'x', string.format('%.0f', now + expires))
    end
    channel.entries, channel.b = channel.entries + 1, channel.b + size
    at = at + 3
  end
  return added
end

local function publish_run(name, lane, at, amount)
  local channel = channel_of(name)
  look_at(channel)
  if channel.live == 0 then return string.sub(name, 1, 1) == '@' and -1 or 0, amount end
  local place = lane .. name
  if closed[place] then return channel.live, 0 end
  open_lane(channel, lane, channel.on)
  local added = append(channel, lane, at, amount)
  if #added < amount then
    closed[place] = true
    if mode == 'wait' then redis.call('HSET', KEYS[1] .. 'bus:ch:' .. name, 'w' .. lane, moment) end
  end
  if #added > 0 then
    count_on(channel, lane, added, channel.groups)
    channel.came, channel.filled = channel.came + #added, true
    for group in pairs(channel.on) do announce(group, place, #added) end
    used[#used + 1], used[#used + 2] = moment, name
  end
  return channel.live, #added
end

local answer, at = {}, 3
while at <= #ARGV do
  local amount = tonumber(ARGV[at + 2])
  local receivers, taken = publish_run(ARGV[at], ARGV[at + 1], at + 3, amount)
  answer[#answer + 1] = receivers .. ' ' .. taken
  at = at + 3 + 3 * amount
end
if #used > 0 then redis.call('ZADD', KEYS[1] .. 'bus:channels', unpack(used)) end
write_channels()
write_figures()
answer = table.concat(answer, ' ')
-- a call that did nothing may be repeated: perhaps there is room by then, or somebody who asks for it
if #used > 0 then redis.call('SET', KEYS[1] .. 'bus:sent:' .. ARGV[1], answer, 'PX', REMEMBERED_MS) end
return answer
