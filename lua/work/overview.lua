--[[
work/overview: the shard at a glance: queues, claims, dead letters, workers.

KEYS[1]  root      prefix of every key of the shard

Returns  {{queue, {field, value, ...}, oldest_ready_ms, ...}, running, scheduled, dead, done,
          {worker, last_beat_ms, info, ...}, now_ms}
         oldest_ready_ms  age of the first entry of the oldest line, -1 when nothing is ready; among
                          tenants, of the hundred whose turn is next
]]
--- @include lib/clock
--- @include lib/lines
local function oldest(name)
  local age = -1
  for _, line in ipairs(lines_of(name, 100)) do
    local head = redis.call('LINDEX', KEYS[1] .. 'line:' .. name .. ':' .. line, 0)
    if head then
      local moment = tonumber(#head > 22 and string.sub(head, 23, 31) or string.sub(head, 1, 9), 32)
      age = math.max(age, now - moment)
    end
  end
  return age
end

local queues = {}
local names = redis.call('SMEMBERS', KEYS[1] .. 'queues')
table.sort(names)
for _, name in ipairs(names) do
  queues[#queues + 1] = name
  queues[#queues + 1] = redis.call('HGETALL', KEYS[1] .. 'queue:' .. name)
  queues[#queues + 1] = oldest(name)
end
local workers = {}
local beats = redis.call('ZRANGE', KEYS[1] .. 'workers', 0, -1, 'WITHSCORES')
for i = 1, #beats, 2 do
  local info = redis.call('GET', KEYS[1] .. 'worker:' .. beats[i])
  if info then
    workers[#workers + 1] = beats[i]
    workers[#workers + 1] = beats[i + 1]
    workers[#workers + 1] = info
  end
end
return {
  queues, redis.call('ZCARD', KEYS[1] .. 'lease'), redis.call('ZCARD', KEYS[1] .. 'due'),
  redis.call('ZCARD', KEYS[1] .. 'dead'), redis.call('LLEN', KEYS[1] .. 'done'), workers, now,
}
