--[[
lib/queue: a queue's settings and counters, read once and written once per call.

HASH queue:<name>. Settings: paused, strict, high, low, max_bytes. Counters: ready, scheduled,
running, bytes (of ready and scheduled tasks' spec and arguments), and the running totals
enqueued, succeeded, failed, cancelled, retried, lapsed.
]]
local QUEUE_FIELDS = { 'paused', 'strict', 'high', 'low', 'max_bytes', 'wanted', 'ready', 'scheduled',
  'running', 'bytes', 'enqueued', 'succeeded', 'failed', 'cancelled', 'retried', 'lapsed' }
local open_queues = {}

local function queue_of(name)
  local queue = open_queues[name]
  if queue then return queue end
  local values = redis.call('HMGET', KEYS[1] .. 'queue:' .. name, unpack(QUEUE_FIELDS))
  queue = { changed = {} }
  for i, field in ipairs(QUEUE_FIELDS) do queue[field] = tonumber(values[i] or '0') or 0 end
  queue.is_new = not values[11]
  open_queues[name] = queue
  return queue
end

local function count(name, field, by)
  local queue = queue_of(name)
  queue[field] = queue[field] + by
  queue.changed[field] = true
end

-- Producers that wait for room get one token each, as soon as there is room for them.
local function offer_space(name, queue)
  if queue.wanted == 0 then return end
  local backlog = queue.ready + queue.scheduled
  local bytes_fit = queue.max_bytes == 0 or queue.bytes < queue.max_bytes
  if queue.high > 0 and backlog > queue.low or not bytes_fit then return end
  local room = queue.high > 0 and math.max(1, math.min(64, queue.high - backlog)) or 64
  local tokens = {}
  for i = 1, room do tokens[i] = '1' end
  redis.call('RPUSH', KEYS[1] .. 'space:' .. name, unpack(tokens))
  redis.call('PEXPIRE', KEYS[1] .. 'space:' .. name, 2000)
  queue.wanted, queue.changed.wanted = 0, true
end

local function write_queues()
  for name, queue in pairs(open_queues) do
    if next(queue.changed) then
      offer_space(name, queue)
      local pairs_flat = {}
      for field in pairs(queue.changed) do
        pairs_flat[#pairs_flat + 1] = field
        pairs_flat[#pairs_flat + 1] = string.format('%.0f', math.max(0, queue[field]))
      end
      redis.call('HSET', KEYS[1] .. 'queue:' .. name, unpack(pairs_flat))
      if queue.is_new then redis.call('SADD', KEYS[1] .. 'queues', name) end
    end
  end
  open_queues = {}
end

-- What a waiting task weighs against its queue's byte limit.
local function weight(task)
  local stop = args_end(task)
  local size = stop - task.cut
  if stop == task.body and string.sub(task.text, stop, stop) == '@' then
    size = size - 1 + redis.call('STRLEN', KEYS[1] .. 'p:' .. task.id)
  end
  return size
end
