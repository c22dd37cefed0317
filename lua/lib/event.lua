--[[
lib/event: says what happened, on the shard's capped stream.

Events of one call that are alike travel in one entry, at most 64 together. An entry has one field, e:

  <event> <queue> <name> <detail>
  <item> <item> ...

where an item is <id>[,<version>,<fence>] and version 1, fence 0 go without saying. An id that differs
from the one before it in its last two characters only, as those of a bulk do, is written as + and
these two. Batching and this are what keep "events on" affordable: 4 bytes for a task of a bulk. Should a
stranger's key stand where the stream should be, events are lost and the work goes on.
]]
local EVENT_ENTRIES_MAX = 8192
local event_head, event_items, event_stem = nil, {}, ''

local function write_events()
  if event_head then
    redis.pcall('XADD', KEYS[1] .. 'events', 'MAXLEN', '~', EVENT_ENTRIES_MAX, '*', 'e',
      event_head .. '\n' .. table.concat(event_items, ' '))
  end
  event_head, event_items, event_stem = nil, {}, ''
end

local function event(id, what, task, detail)
  local EVENT_ITEMS_MAX = 64
  local head = what .. ' ' .. task.queue .. ' ' .. task.name .. ' ' .. (detail or '')
  if head ~= event_head or #event_items >= EVENT_ITEMS_MAX then
    write_events()
    event_head = head
  end
  local stem = string.sub(id, 1, 20)
  local item = stem == event_stem and '+' .. string.sub(id, 21) or id
  if task.fence ~= '0' or task.version ~= 1 then
    item = item .. ',' .. task.version .. ',' .. task.fence
  end
  event_stem = stem
  event_items[#event_items + 1] = item
end
