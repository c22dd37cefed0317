--[[
work/recount: count what small queues hold, in one step, and set the counters that are wrong.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  mode      repair | look, as in work/repair
ARGV[3...]         queues, at most 100

Returns  {{queue, ...}, {queue, wrong, ...}}
         first   queues of which not all was counted, because more than ENTRIES_MAX entries would have
                 been read: ask for one alone; if it is named again, count it with work/tally
         second  findings, as work/repair gives them

Each counter is looked at by itself: what runs in a large queue can be counted though what waits can not.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/lines
--- @include lib/ready
--- @include lib/mend
--- @include lib/tally
--- @include lib/mend_counters
local ENTRIES_MAX = 2000
local refused = deposed(ARGV[1])
if refused then return refused end
redis.call('PERSIST', KEYS[1] .. 'lease')
local left = ENTRIES_MAX

local function fits(amount)
  if amount > left then return false end
  left = left - amount
  return true
end

local function sums_of(key, state)
  if not fits(redis.call('ZCARD', KEYS[1] .. key)) then return nil end
  local sums = {}
  tally_members(redis.call('ZRANGE', KEYS[1] .. key, 0, -1), state, function(task)
    local sum = sums[task.queue] or { amount = 0, bytes = 0 }
    sum.amount, sum.bytes = sum.amount + 1, sum.bytes + weight(task)
    sums[task.queue] = sum
  end)
  return sums
end

local function ready_of(queue)
  local lines, standing = lines_of(queue), 0
  for _, line in ipairs(lines) do standing = standing + redis.call('LLEN', KEYS[1] .. 'line:' .. queue .. ':' .. line) end
  local slots = redis.call('SMEMBERS', KEYS[1] .. 'parks')
  for _, slot in ipairs(slots) do standing = standing + redis.call('ZCARD', KEYS[1] .. 'park:' .. slot) end
  if not fits(standing) then return nil end
  local sum, seen = { amount = 0, bytes = 0 }, {}
  local function each(id, size)
    if seen[id] then return end
    seen[id] = true
    sum.amount, sum.bytes = sum.amount + 1, sum.bytes + size
  end
  for _, line in ipairs(lines) do tally_line(redis.call('LRANGE', KEYS[1] .. 'line:' .. queue .. ':' .. line, 0, -1), each) end
  for _, slot in ipairs(slots) do tally_parked(queue, redis.call('ZRANGE', KEYS[1] .. 'park:' .. slot, 0, -1), each) end
  return sum
end

local NONE = { amount = 0, bytes = 0 }
local running, scheduled = sums_of('lease', 'r'), sums_of('due', 'd')
local large = {}
for i = 3, #ARGV do
  local queue = ARGV[i]
  local ready = ready_of(queue)
  local later = scheduled and (scheduled[queue] or NONE)
  correct(queue, {
    ready = ready and ready.amount,
    scheduled = later and later.amount,
    running = running and (running[queue] or NONE).amount,
    bytes = ready and later and ready.bytes + later.bytes,
  })
  if not (ready and later and running) then large[#large + 1] = queue end
end
return { large, findings }
