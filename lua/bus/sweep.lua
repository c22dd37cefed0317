--[[
bus/sweep: what nobody reads any more is let go, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  cursor    "" to begin, "c0" to begin with the channels, then what the last call gave
ARGV[3]  limit     how many groups, channels and entries to look at, 1 to 500

Returns  {cursor, dropped, entries, consumers, forgotten}
         cursor     for the next call; "" when the end was reached
         dropped    {group, why, entries, ...}: groups that are gone altogether, and how many messages they had
                    not acknowledged
         entries    messages let go in this call
         consumers  names of readers that are gone, struck from native groups
         forgotten  channels that were empty for ten minutes, or that nobody hears

A group without any live reader ends: an ephemeral one after a minute, another when messages have waited
for it as long as its abandon_ms says. A reader is live for a minute after it was last heard. What a
dead one held is due at once; its name goes when it holds nothing.
]]
-- not deny-oom, so first: above all a full Redis must be swept
redis.call('PERSIST', KEYS[1] .. 'bus:readers')
--- @include lib/clock
--- @include lib/epoch
--- @include lib/event
--- @include lib/tell
--- @include lib/topic
--- @include lib/channel
--- @include lib/group
--- @include lib/bind
--- @include lib/leaving
local refused = deposed(ARGV[1])
if refused then return refused end
local READER_MS, EPHEMERAL_MS, FORGET_MS = 60000, 60000, 600000
local limit = tonumber(ARGV[3])
local budget = limit
local version = redis.call('GET', KEYS[1] .. 'bus:version') or '0'
local dropped, let, struck, forgotten = {}, 0, 0, 0
local alive = {}

local function is_alive(reader)
  local known = alive[reader]
  if known == nil then
    local seen = tonumber(redis.call('ZSCORE', KEYS[1] .. 'bus:readers', reader) or 0)
    known = now - seen <= READER_MS
    alive[reader] = known
  end
  return known
end

-- Whether a group has a live reader; names of dead ones go.
local function has_reader(group)
  local key, living = KEYS[1] .. 'bus:consumers:' .. group, false
  for _, reader in ipairs(redis.call('HKEYS', key)) do
    if is_alive(reader) then living = true else redis.call('HDEL', key, reader) end
  end
  return living
end

local function waits_for(group)
  return redis.call('EXISTS', KEYS[1] .. 'bus:heads:' .. group, KEYS[1] .. 'bus:held:' .. group) > 0
end

local function look_at_group(group, settings)
  if not settings then return end
  local figures_key = KEYS[1] .. 'bus:g:' .. group
  local seen = tonumber(redis.call('HGET', figures_key, 'seen') or nil)
  if not seen or has_reader(group) or not (settings.ephemeral or waits_for(group)) then
    redis.call('HSET', figures_key, 'seen', string.format('%.0f', now))
  elseif settings.ephemeral then
    if now - seen > EPHEMERAL_MS then end_group(group, 'ephemeral') end
  elseif settings.abandon > 0 and now - seen > settings.abandon then
    end_group(group, 'abandoned')
  end
end

local function sweep_groups(cursor)
  local page = redis.call('HSCAN', KEYS[1] .. 'bus:groups', cursor, 'COUNT', limit)
  for i = 1, #page[2], 2 do look_at_group(page[2][i], read_settings(page[2][i + 1])) end
  return page[1] == '0' and 'c0' or 'g' .. page[1]
end

-- What a leaving group holds at a place, and then what it has not read; gives whether that was all.
local function let_place_go(group, place)
  local key, held = KEYS[1] .. 'bus:s:' .. place, KEYS[1] .. 'bus:held:' .. group
  while budget > 0 do
    local ids, sizes = {}, {}
    for _, seen in ipairs(redis.call('XPENDING', key, group, '-', '+', math.min(100, budget))) do
      local entry = redis.call('XRANGE', key, seen[1], seen[1])[1]
      ids[#ids + 1], sizes[#sizes + 1] = seen[1], entry and size_of(entry[2]) or 0
      redis.call('ZREM', held, place .. ' ' .. seen[1])
    end
    if #ids > 0 then
      redis.call('XACK', key, group, unpack(ids))
    else
      local read = redis.call('XREADGROUP', 'GROUP', group, '-', 'COUNT', math.min(100, budget), 'NOACK', 'STREAMS', key, '>')
      for _, entry in ipairs(read and read[1] and read[1][2] or {}) do
        ids[#ids + 1], sizes[#sizes + 1] = entry[1], size_of(entry[2])
      end
    end
    if #ids == 0 then return true end
    let_go(group, place, ids, table.concat(sizes, ' '))
    let, budget = let + #ids, budget - #ids
    if redis.call('HEXISTS', KEYS[1] .. 'bus:leaving', group) == 1 then figure(group, 'dropped', #ids) end
  end
  return false
end

-- Unbinds a leaving group from a channel when it has let go of everything there.
local function let_group_go(channel, group)
  for lane in string.gmatch(channel.lanes, '.') do
    if not let_place_go(group, lane .. channel.name) then return false end
  end
  for lane in string.gmatch(channel.lanes, '.') do
    redis.pcall('XGROUP', 'DESTROY', KEYS[1] .. 'bus:s:' .. lane .. channel.name, group)
    redis.call('ZREM', KEYS[1] .. 'bus:heads:' .. group, lane .. channel.name)
  end
  redis.call('HDEL', KEYS[1] .. 'bus:on:' .. channel.name, group)
  return true
end

local function due_now(group, place, reader)
  local pending = redis.call('XPENDING', KEYS[1] .. 'bus:s:' .. place, group, '-', '+', 100, reader)
  for _, seen in ipairs(pending) do
    redis.call('ZADD', KEYS[1] .. 'bus:held:' .. group, 'XX', '0', place .. ' ' .. seen[1])
  end
  leave_marks(group, 1)
end

local function strike_consumers(group, place)
  local key = KEYS[1] .. 'bus:s:' .. place
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, group)
  for _, fields in ipairs(consumers.err and {} or consumers) do
    local name, pending
    for i = 1, #fields, 2 do
      if fields[i] == 'name' then name = fields[i + 1] elseif fields[i] == 'pending' then pending = fields[i + 1] end
    end
    if name and name ~= '-' and not is_alive(name) then
      if tonumber(pending) > 0 then
        due_now(group, place, name)
      else
        redis.call('XGROUP', 'DELCONSUMER', key, group, name)
        struck = struck + 1
      end
    end
  end
end

local function forget(channel, groups)
  for lane in string.gmatch('cnl', '.') do
    redis.call('UNLINK', KEYS[1] .. 'bus:s:' .. lane .. channel.name, KEYS[1] .. 'bus:space:' .. lane .. channel.name)
    for group in pairs(groups) do redis.call('ZREM', KEYS[1] .. 'bus:heads:' .. group, lane .. channel.name) end
  end
  redis.call('UNLINK', KEYS[1] .. 'bus:ch:' .. channel.name, KEYS[1] .. 'bus:on:' .. channel.name,
    KEYS[1] .. 'bus:done:' .. channel.name)
  redis.call('ZREM', KEYS[1] .. 'bus:channels', channel.name)
  channels[channel.name] = nil
  forgotten = forgotten + 1
end

-- Gives false when there is more to do for this channel.
local function sweep_channel(name, used_ms)
  local channel, staying = channel_of(name), 0
  local groups = bind(channel, version)
  for group, how in pairs(groups) do
    if how == '-' then
      if not let_group_go(channel, group) then return false end
    else
      staying = staying + 1
      for lane in string.gmatch(channel.lanes, '.') do
        strike_consumers(group, lane .. name)
        if redis.call('XLEN', KEYS[1] .. 'bus:s:' .. lane .. name) > 0 then announce(group, lane .. name, 1) end
      end
    end
  end
  local session = string.sub(name, 1, 1) == '~'
  local empty = entries_in(channel) == 0
  if empty and channel.b > 0 then channel.b, channel.freed = 0, true end
  if not session and (staying == 0 or empty and now - used_ms > FORGET_MS) then forget(channel, groups) end
  return true
end

local function sweep_channels(at)
  local page = redis.call('ZSCAN', KEYS[1] .. 'bus:channels', at, 'COUNT', limit)
  for i = 1, #page[2], 2 do
    if not sweep_channel(page[2][i], tonumber(page[2][i + 1])) then return 'c' .. at end
  end
  return page[1] == '0' and 'e' or 'c' .. page[1]
end

-- A walk that began after a group had left has seen all of its channels.
local function mark_leaving(leaving)
  for i = 1, #leaving, 2 do
    local why = string.match(leaving[i + 1], '^(%S+)$')
    if why then redis.call('HSET', KEYS[1] .. 'bus:leaving', leaving[i], why .. ' walked') end
  end
end

local function bid_farewell(leaving)
  for i = 1, #leaving, 2 do
    local group, why = leaving[i], string.match(leaving[i + 1], '^(%S+) walked$')
    if why then
      local count = redis.call('HGET', KEYS[1] .. 'bus:g:' .. group, 'dropped') or '0'
      tell(ARGV[1] ~= '' and ARGV[1] or '0', 'bus-group-dropped', group, why .. ' ' .. count)
      dropped[#dropped + 1], dropped[#dropped + 2], dropped[#dropped + 3] = group, why, tonumber(count)
      redis.call('UNLINK', KEYS[1] .. 'bus:g:' .. group, KEYS[1] .. 'bus:heads:' .. group, KEYS[1] .. 'bus:held:' .. group,
        KEYS[1] .. 'bus:marker:' .. group, KEYS[1] .. 'bus:consumers:' .. group)
      redis.call('HDEL', KEYS[1] .. 'bus:leaving', group)
    end
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[1] .. 'bus:readers', '-inf', string.format('%.0f', now - FORGET_MS))
end

local phase, at = string.match(ARGV[2], '^(%l)(%d*)$')
local cursor
local leaving = redis.call('HGETALL', KEYS[1] .. 'bus:leaving')
if ARGV[2] == 'c0' then mark_leaving(leaving) end
if phase == 'c' then cursor = sweep_channels(at) else cursor = sweep_groups(at or '0') end
write_channels()
write_figures()
if cursor == 'e' then
  bid_farewell(redis.call('HGETALL', KEYS[1] .. 'bus:leaving'))
  cursor = ''
end
return { cursor, dropped, let, struck, forgotten }
