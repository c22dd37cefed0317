--[[
work/purge: cancel the waiting tasks of a queue, a batch a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  queue     its name
ARGV[2]  limit     how many at most, 1 to 1000

Returns  {cancelled, left}  left: 1 when the call should be repeated

Ready and scheduled tasks become cancelled; running ones go on. Tasks that wait for others, or are suspended,
stand in no queue yet and stay.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/heads
--- @include lib/lines
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
local name, limit, cancelled = ARGV[1], tonumber(ARGV[2]), 0
redis.call('PERSIST', KEYS[1] .. 'lease')

local function cancel(id, state)
  local task = record_of(id)
  if not task or task.state ~= state or task.queue ~= name then return end
  leave_backlog(task)
  settle(task, 'c', reason_json('cancelled', 'its queue was purged'), 'purged')
  cancelled = cancelled + 1
end

local function empty(line)
  local key = KEYS[1] .. 'line:' .. name .. ':' .. line
  while cancelled < limit do
    local entry = redis.call('LPOP', key)
    if not entry then return leave_heads(name, line) end
    cancel(string.sub(entry, 1, 22), 'q')
  end
end

-- Those that a limit holds up; tasks of other queues may be among them.
local function empty_park(slot)
  local at = 0
  while cancelled < limit do
    local entries = redis.call('ZRANGE', KEYS[1] .. 'park:' .. slot, at, at + 199)
    if #entries == 0 then return end
    local before = cancelled
    for _, entry in ipairs(entries) do
      if cancelled < limit then cancel(string.sub(entry, 1, 22), 'q') end
    end
    at = at + #entries - (cancelled - before)
  end
end

for _, slot in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'parks')) do empty_park(slot) end
while cancelled < limit do
  local lines = lines_of(name, limit)
  if #lines == 0 then break end
  for _, line in ipairs(lines) do empty(line) end
end
local at = 0
while cancelled < limit do
  local ids = redis.call('ZRANGE', KEYS[1] .. 'due', at, at + 199)
  if #ids == 0 then break end
  local before = cancelled
  for _, id in ipairs(ids) do
    if #id == 22 and cancelled < limit then cancel(id, 'd') end
  end
  at = at + #ids - (cancelled - before)
end
close_books()
return { cancelled, cancelled >= limit and 1 or 0 }
