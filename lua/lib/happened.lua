--[[
lib/happened: what happened on the shard, read as messages by groups that ask for it.

A group whose patterns begin with task, flow, fleet, ... is a consumer group of the stream events too. The
stream is capped by those who write it, read or not; field e of bus:g:<group> is the last entry that
the group has read, so that it can be told when entries were cut off behind it.
]]
local SPEAKERS = { flow = true, agent = true, bus = true, session = true, worker = true }

-- The topic of an entry: task.succeeded, flow.ended, fleet.elected.
local function topic_of(text)
  local kind, queue = string.match(text, '^([^ ]+) ([^ ]*)')
  if not kind then return nil end
  local speaker, rest = string.match(kind, '^(%l+)%-(.+)$')
  if speaker and SPEAKERS[speaker] then return speaker .. '.' .. rest end
  return (queue == '-' and 'fleet.' or 'task.') .. kind
end

local function asks_for(settings, topic)
  for pattern in string.gmatch(settings.patterns, '[^ ]+') do
    if topic_matches(pattern, topic) then return true end
  end
  return false
end

local function is_later(one, other)
  local ms, number = string.match(one, '^(%d+)%-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)%-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) > tonumber(other_ms or 0) end
  return tonumber(number) > tonumber(other_number)
end

-- Entries that were cut off before the group read them: it is told between which two.
local function tell_gap(group)
  local last = redis.call('HGET', KEYS[1] .. 'bus:g:' .. group, 'e')
  local first = redis.call('XRANGE', KEYS[1] .. 'events', '-', '+', 'COUNT', 1)[1]
  if last and first and is_later(first[1], last) then
    local body = '{"after":"' .. last .. '","until":"' .. first[1] .. '"}'
    give(group, 'ebus.gap', 1, { { '0-0', { 'h', '{"i":"gap","k":"gap"}', 'b', body } } })
    left = left - 1
  end
end

local function read_events(group, settings)
  tell_gap(group)
  local key, PAGE, PAGES_MAX, pages = KEYS[1] .. 'events', 100, 10, 0
  while left > 0 and pages < PAGES_MAX do
    pages = pages + 1
    local read = redis.pcall('XREADGROUP', 'GROUP', group, reader, 'COUNT', math.min(left, PAGE), 'STREAMS', key, '>')
    if read and read.err then -- somebody deleted the stream: what happens from now on is read again
      redis.pcall('XGROUP', 'CREATE', key, group, '$', 'MKSTREAM')
      return
    end
    local entries = read and read[1] and read[1][2] or {}
    local others = {}
    for _, entry in ipairs(entries) do
      local topic = topic_of(entry[2][2] or '')
      if topic and asks_for(settings, topic) then
        keep(group, settings, 'e' .. topic, { entry })
        give(group, 'e' .. topic, 1, { entry })
      else
        others[#others + 1] = entry[1]
      end
    end
    if #others > 0 then redis.call('XACK', key, group, unpack(others)) end
    if #entries > 0 then redis.call('HSET', KEYS[1] .. 'bus:g:' .. group, 'e', entries[#entries][1]) end
    if #entries < PAGE then return end
  end
end
