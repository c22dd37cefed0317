--[[
work/enqueue_shedding: work/enqueue for callers who would rather lose the least urgent than wait.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  on_full   shed
ARGV[2...]         as in work/enqueue

Returns  {"ok", s1, s2, ...}  as in work/enqueue, and "!": the queue was full of work at least as
         urgent, so this one was shed itself: it is a dead letter

What is shed becomes a dead letter with the reason "shed": the youngest of the least urgent line first.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
local function shed_from(queue, line)
  local key = KEYS[1] .. 'line:' .. queue .. ':' .. line
  for _ = 1, 1000 do
    local entry = redis.call('RPOP', key)
    if not entry then
      redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, line)
      return false
    end
    local id = string.sub(entry, 1, 22)
    local task = read_record(redis.call('GET', KEYS[1] .. 't:' .. id) or '')
    if task and task.state == 'q' then
      task.id = id
      count(queue, 'ready', -1)
      count(queue, 'bytes', -weight(task))
      settle(task, 'f', reason_json('shed', 'pushed out of a full queue by more urgent work'), 'shed')
      return true
    end
  end
  return false
end

-- True when a less urgent task was shed for this one; else this one is shed, and false.
local function make_room(group, id, args)
  local urgency = string.sub(group.line, 1, 1)
  local lines = redis.call('ZRANGE', KEYS[1] .. 'heads:' .. group.queue, 0, -1)
  table.sort(lines, function(a, b) return string.sub(a, 1, 1) > string.sub(b, 1, 1) end)
  for _, line in ipairs(lines) do
    if string.sub(line, 1, 1) <= urgency then break end
    if shed_from(group.queue, line) then return true end
  end
  local task = read_record('q1\n' .. group.spec .. '\n' .. args)
  task.id = id
  settle(task, 'f', reason_json('shed', 'the queue was full of work at least as urgent'), 'shed')
  return false
end
--- @include lib/place
local answer = place_groups()
write_finished()
return answer
