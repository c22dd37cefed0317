--[[
lib/bind: which groups hear a channel.

STRING bus:version counts changes of groups and bounds; a channel that follows an older one looks again,
when it is published to and when it is swept. HASH bus:patterns has the patterns of those groups that
have any. A mailbox @a is heard by group @a, the broadcast * by all groups @..., the channel !g by
group g; who hears a session ~s is said by sessions.
]]
local MAX_ENTRIES, MAX_BYTES = 10000, 33554432

local function hearers(name)
  local first, heard = string.sub(name, 1, 1), {}
  if first == '@' or first == '!' then
    local group = first == '!' and string.sub(name, 2) or name
    if redis.call('HEXISTS', KEYS[1] .. 'bus:groups', group) == 1 then heard[group] = true end
  elseif first == '*' then
    for _, group in ipairs(redis.call('HKEYS', KEYS[1] .. 'bus:groups')) do
      if string.sub(group, 1, 1) == '@' then heard[group] = true end
    end
  else
    local all = redis.call('HGETALL', KEYS[1] .. 'bus:patterns')
    for i = 1, #all, 2 do
      for pattern in string.gmatch(all[i + 1], '[^ ]+') do
        if topic_matches(pattern, name) then heard[all[i]] = true end
      end
    end
  end
  return heard
end

-- HASH bus:bounds: channel or pattern -> "<entries> <bytes>"; the longest that fits counts. Read once in a call.
local all_bounds = nil
local function bounds_of(name)
  local best, entries, bytes = -1, MAX_ENTRIES, MAX_BYTES
  all_bounds = all_bounds or redis.call('HGETALL', KEYS[1] .. 'bus:bounds')
  local all = all_bounds
  for i = 1, #all, 2 do
    local weight = all[i] == name and 1000 or (all[i] == '**' or topic_matches(all[i], name)) and #all[i] or -1
    local most, size = string.match(all[i + 1], '^(%d+) (%d+)$')
    if weight > best and most then best, entries, bytes = weight, tonumber(most), tonumber(size) end
  end
  return entries, bytes
end

local function join(channel, group)
  for lane in string.gmatch(channel.lanes, '.') do
    redis.pcall('XGROUP', 'CREATE', KEYS[1] .. 'bus:s:' .. lane .. channel.name, group, '$')
  end
  redis.call('HSET', KEYS[1] .. 'bus:on:' .. channel.name, group, '+')
end

-- Gives the groups of a channel as they are now: group -> '+' or '-'.
local function bound_to(channel)
  local on, all = {}, redis.call('HGETALL', KEYS[1] .. 'bus:on:' .. channel.name)
  for i = 1, #all, 2 do on[all[i]] = all[i + 1] end
  return on
end

-- Brings a channel up to date, and gives its groups. What is heard by nobody is not written down.
local function bind(channel, version)
  local on = bound_to(channel)
  if channel.v == version then return on end
  if string.sub(channel.name, 1, 1) ~= '~' then
    local heard = hearers(channel.name)
    for group in pairs(heard) do
      if not on[group] then join(channel, group)
      elseif on[group] == '-' then redis.call('HSET', KEYS[1] .. 'bus:on:' .. channel.name, group, '+') end
      on[group] = '+'
    end
    for group, how in pairs(on) do
      if how == '+' and not heard[group] then
        redis.call('HSET', KEYS[1] .. 'bus:on:' .. channel.name, group, '-')
        on[group] = '-'
      end
    end
  end
  if next(on) then
    channel.max, channel.bytes = bounds_of(channel.name)
    channel.v = version
    redis.call('HSET', KEYS[1] .. 'bus:ch:' .. channel.name, 'v', version, 'max', channel.max, 'bytes', channel.bytes)
  end
  return on
end

-- The stream of a lane, made when it is first used: all groups begin with what comes now.
local function open_lane(channel, lane, on)
  if string.find(channel.lanes, lane, 1, true) then return end
  for group in pairs(on) do
    redis.pcall('XGROUP', 'CREATE', KEYS[1] .. 'bus:s:' .. lane .. channel.name, group, '0', 'MKSTREAM')
  end
  channel.lanes = channel.lanes .. lane
  redis.call('HSET', KEYS[1] .. 'bus:ch:' .. channel.name, 'lanes', channel.lanes)
end
