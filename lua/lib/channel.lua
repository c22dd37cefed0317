--[[
lib/channel: where messages lie until every group has acknowledged them.

A channel has a STREAM for each priority that was used, bus:s:<lane><channel>, lane c, n or l; lane and
channel together are a place. Its groups are native consumer groups of these streams.
HASH bus:ch:<channel>
  v      the version of the bindings that bus:on:<channel> follows, see lib/bind
  lanes  those that have a stream
  b      bytes of what lies here: all fields, and a hundred for each entry
  max, bytes  what may lie here, see bus/configure
  in, out     messages published, and let go, since the channel was made
  wc, wn, wl  when a publisher of a lane last found no room, in milliseconds
HASH bus:on:<channel>: its groups, + as they are, - for those that are leaving
HASH bus:done:<channel>: <lane><entry> -> how many groups have not acknowledged it yet, for entries that
  more than one group shall have; one that is not named waits for one.

Records are read once in a call and written at its end by write_channels.
]]
local ENTRY_BYTES = 100
local channels = {}

local function channel_of(name)
  local channel = channels[name]
  if channel then return channel end
  local read = redis.call('HMGET', KEYS[1] .. 'bus:ch:' .. name,
    'v', 'lanes', 'b', 'max', 'bytes', 'in', 'out', 'wc', 'wn', 'wl')
  channel = {
    name = name, v = read[1], lanes = read[2] or '', b = tonumber(read[3] or 0) or 0,
    max = tonumber(read[4] or 0) or 0, bytes = tonumber(read[5] or 0) or 0,
    came = tonumber(read[6] or 0) or 0, went = tonumber(read[7] or 0) or 0,
    c = tonumber(read[8] or 0) or 0, n = tonumber(read[9] or 0) or 0, l = tonumber(read[10] or 0) or 0,
  }
  channels[name] = channel
  return channel
end

local function entries_in(channel)
  local total = 0
  for lane in string.gmatch(channel.lanes, '.') do
    total = total + redis.call('XLEN', KEYS[1] .. 'bus:s:' .. lane .. channel.name)
  end
  return total
end

-- How much of its bounds a channel has for a lane: low ones stop early, critical ones have some more.
local function share_of(lane)
  return lane == 'c' and 1.1 or lane == 'l' and 0.8 or 1
end

-- What was said in a session stays as long as the session does.
local function is_session(place)
  return string.sub(place, 2, 2) == '~'
end

local function numbers_in(text)
  local numbers = {}
  for number in string.gmatch(text, '[^ ]+') do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end

-- Deletes entries that nobody needs any more. Where one group is all that hears a channel, what lies before
-- the first that it holds is no longer needed: whole nodes of the stream go at once.
local function delete(group, place, channel, ids)
  local MANY, key, went = 16, KEYS[1] .. 'bus:s:' .. place, 0
  if #ids >= MANY then
    local on = redis.call('HKEYS', KEYS[1] .. 'bus:on:' .. channel.name)
    if #on == 1 and on[1] == group then
      local first = redis.call('XPENDING', key, group)[2]
      local ms, number = string.match(first or ids[#ids], '^(%d+)-(%d+)$')
      went = redis.call('XTRIM', key, 'MINID', ms .. '-' .. string.format('%.0f', first and number or number + 1))
    end
  end
  return went < #ids and went + redis.call('XDEL', key, unpack(ids)) or went
end

-- Entries that one more group has done with. sizes: "number number ...", bytes of their fields; total: of all of
-- them, if it is known. Those that no group needs any more go.
local function let_go(group, place, ids, sizes, total)
  if is_session(place) then return end
  local lane, channel = string.sub(place, 1, 1), channel_of(string.sub(place, 2))
  local done, gone, bytes = KEYS[1] .. 'bus:done:' .. channel.name, ids, 0
  if redis.call('EXISTS', done) == 1 then
    local fields, keep, drop, numbers = {}, {}, {}, numbers_in(sizes)
    gone = {}
    for i, id in ipairs(ids) do fields[i] = lane .. id end
    for i, left in ipairs(redis.call('HMGET', done, unpack(fields))) do
      local rest = (tonumber(left or 1) or 1) - 1
      if rest > 0 then
        keep[#keep + 1], keep[#keep + 2] = fields[i], rest
      else
        gone[#gone + 1] = ids[i]
        bytes = bytes + numbers[i] + ENTRY_BYTES
        if left then drop[#drop + 1] = fields[i] end
      end
    end
    if #keep > 0 then redis.call('HSET', done, unpack(keep)) end
    if #drop > 0 then redis.call('HDEL', done, unpack(drop)) end
  elseif total then
    bytes = tonumber(total) + #ids * ENTRY_BYTES
  else
    for _, size in ipairs(numbers_in(sizes)) do bytes = bytes + size + ENTRY_BYTES end
  end
  if #gone == 0 then return end
  local went = delete(group, place, channel, gone)
  channel.went, channel.b, channel.freed = channel.went + went, math.max(0, channel.b - bytes), true
end

-- Each of several groups has to acknowledge new entries before they go.
local function count_on(channel, lane, ids, groups)
  if groups < 2 then return end
  local fields = {}
  for i, id in ipairs(ids) do fields[2 * i - 1], fields[2 * i] = lane .. id, groups end
  redis.call('HSET', KEYS[1] .. 'bus:done:' .. channel.name, unpack(fields))
end

-- Publishers that wait for room are woken by tokens, those of each lane apart, as long as one of them has
-- asked lately: they ask again at least every two seconds. Normal and low ones are let in by the hundred,
-- when a fifth of the room is free.
local function offer_room(channel)
  local WANTED_MS, TOKENS_MAX = 2500, 64
  local entries = nil
  for lane in string.gmatch('cnl', '.') do
    if now - channel[lane] <= WANTED_MS then
      entries = entries or entries_in(channel)
      local share = lane == 'c' and 1.1 or lane == 'n' and 0.8 or 0.64
      if entries < channel.max * share and (channel.b < channel.bytes * share or entries == 0) then
        local key, tokens = KEYS[1] .. 'bus:space:' .. lane .. channel.name, {}
        for i = 1, TOKENS_MAX - redis.call('LLEN', key) do tokens[i] = '1' end
        if #tokens > 0 then redis.call('RPUSH', key, unpack(tokens)) end
        redis.call('PEXPIRE', key, WANTED_MS)
      end
    end
  end
end

local function write_channels()
  for name, channel in pairs(channels) do
    if channel.freed or channel.filled then
      redis.call('HSET', KEYS[1] .. 'bus:ch:' .. name, 'b', channel.b, 'in', channel.came, 'out', channel.went)
      if channel.freed then offer_room(channel) end
    end
  end
end

local function size_of(fields)
  local size = 0
  for i = 2, #fields, 2 do
    local name = fields[i - 1]
    if name == 'h' or name == 'b' then size = size + #fields[i] end
  end
  return size
end
