--[[
lib/queue: a queue's settings, and its counters.

HASH queue:<name>
  settings   "<paused> <strict> <high> <low> <max_bytes>", missing while all are 0, and " 1" behind it
             when tenants do not take turns
  wanted     when a producer last found no room, in milliseconds
  ready, scheduled, running, bytes (of waiting tasks' spec and arguments): how it stands
  enqueued, started, succeeded, failed, cancelled, retried, lapsed, parked (at a limit), invited
  (brought back from there): how often since it was first used

Counters are collected over a call and written once. Settings are one field, so that the usual queue,
which has none, costs one HGET.
]]
local queue_settings, counted = {}, {}

local function settings_of(name)
  local settings = queue_settings[name]
  if settings then return settings end
  local text = redis.call('HGET', KEYS[1] .. 'queue:' .. name, 'settings')
  settings = { paused = false, strict = false, high = 0, low = 0, max_bytes = 0 }
  if text then
    local paused, strict, high, low, max_bytes, unfair = string.match(text, '(%d+) (%d+) (%d+) (%d+) (%d+) ?(%d*)')
    settings = { paused = paused == '1', strict = strict == '1', high = tonumber(high) or 0,
      low = tonumber(low) or 0, max_bytes = tonumber(max_bytes) or 0, unfair = unfair == '1' }
    settings.bounded = settings.high > 0 or settings.max_bytes > 0
  end
  queue_settings[name] = settings
  return settings
end

local function count(name, field, by)
  local queue = counted[name]
  if not queue then
    queue = {}
    counted[name] = queue
  end
  queue[field] = (queue[field] or 0) + by
end

-- How many tasks wait, and how many bytes they take.
local function backlog_of(name)
  local values = redis.call('HMGET', KEYS[1] .. 'queue:' .. name, 'ready', 'scheduled', 'bytes')
  return (tonumber(values[1] or 0) or 0) + (tonumber(values[2] or 0) or 0), tonumber(values[3] or 0) or 0
end

-- Producers that wait for room are woken by tokens, one for each free place, as long as one of them
-- has asked lately: they ask again at least every two seconds, and whoever is not let in asks again.
local function offer_space(name, settings)
  local WANTED_MS = 2500
  local wanted = tonumber(redis.call('HGET', KEYS[1] .. 'queue:' .. name, 'wanted') or 0)
  if not wanted or now - wanted > WANTED_MS then return end
  local tasks, bytes = backlog_of(name)
  if settings.high > 0 and tasks > settings.low then return end
  if settings.max_bytes > 0 and bytes >= settings.max_bytes then return end
  local key = KEYS[1] .. 'space:' .. name
  local room = settings.high > 0 and math.max(1, math.min(64, settings.high - tasks)) or 64
  local tokens = {}
  for i = 1, room - redis.call('LLEN', key) do tokens[i] = '1' end
  if #tokens == 0 then return end
  redis.call('RPUSH', key, unpack(tokens))
  redis.call('PEXPIRE', key, WANTED_MS)
end

local function write_counts()
  for name, queue in pairs(counted) do
    local key = KEYS[1] .. 'queue:' .. name
    for field, by in pairs(queue) do
      if by ~= 0 then
        -- a counter that a stranger made no number is lost; what was done must still be told
        local total = redis.pcall('HINCRBY', key, field, by)
        if field == 'enqueued' and total == by then redis.pcall('SADD', KEYS[1] .. 'queues', name) end
      end
    end
    local settings = settings_of(name)
    if settings.bounded then offer_space(name, settings) end
  end
  counted = {}
end
