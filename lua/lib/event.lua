--[[
lib/event: says what happened, on the shard's capped stream.

Events of one call are collected and written together, at most 16 to an entry: field = task id,
value = `<event> <version> <fence> <queue> <name> <detail>`. Readers turn an entry into its events
in order. Writing them in batches is what keeps "events on" affordable under load.
]]
local EVENT_ENTRIES_MAX = 4096
local event_pairs = {}

local function write_events()
  local size = #event_pairs
  for first = 1, size, 32 do
    redis.call('XADD', KEYS[1] .. 'events', 'MAXLEN', '~', EVENT_ENTRIES_MAX, '*',
      unpack(event_pairs, first, math.min(first + 31, size)))
  end
  event_pairs = {}
end

local function event(id, what, task, detail)
  local size = #event_pairs
  event_pairs[size + 1] = id
  event_pairs[size + 2] = what .. ' ' .. task.version .. ' ' .. task.fence .. ' ' .. task.queue
    .. ' ' .. task.name .. ' ' .. (detail or '')
end
