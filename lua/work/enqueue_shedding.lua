--[[
work/enqueue_shedding: work/enqueue for callers who would rather lose the least urgent than wait.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  on_full   shed, or shed! as in work/enqueue
ARGV[2...]         as in work/enqueue

Returns  {"ok", s1, s2, ...}  as in work/enqueue, and "!": the queue was full of work at least as
         urgent, so this one was shed itself: it is a dead letter

What is shed becomes a dead letter with the reason "shed": the youngest of the least urgent line first,
as many as it takes to make room. Who is parked at a limit takes room as well, and goes before those of its
priority that may start: the last ten of each of a hundred limits are looked at.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/heads
--- @include lib/ready
--- @include lib/settle
--- @include lib/readonly
-- Sheds the youngest task of a line; returns what it weighed, or nil when the line held none.
local function shed_from(queue, line)
  local key = KEYS[1] .. 'line:' .. queue .. ':' .. line
  for _ = 1, 1000 do
    local entry = redis.call('RPOP', key)
    if not entry then
      leave_heads(queue, line)
      return nil
    end
    local task = record_of(string.sub(entry, 1, 22))
    if task and task.state == 'q' then
      local size = weight(task)
      count(queue, 'ready', -1)
      count(queue, 'bytes', -size)
      settle(task, 'f', reason_json('shed', 'pushed out of a full queue by more urgent work'), 'shed')
      return size
    end
  end
  return nil
end

-- Of tenants the one with the most to do gives up some of it, as far as the first hundred tell.
local function line_to_shed_from(queue, line)
  if string.sub(line, -1) ~= '~' then return line end
  local longest, most = nil, -1
  for _, tenant in ipairs(redis.call('ZRANGE', KEYS[1] .. 'fair:' .. queue .. ':' .. line, 0, 99)) do
    local length = redis.call('LLEN', KEYS[1] .. 'line:' .. queue .. ':' .. line .. tenant)
    if length > most then longest, most = line .. tenant, length end
  end
  return longest
end

-- Of those that limits hold up the least urgent one, and its priority; nil when none is seen.
local function least_urgent_parked(queue)
  local SLOTS_MAX, LAST = 100, 10
  if not the_slots().exist() then return nil, '' end
  local found, lowest = nil, ''
  local slots = redis.pcall('SRANDMEMBER', KEYS[1] .. 'parks', SLOTS_MAX)
  for _, slot in ipairs(slots) do
    for _, entry in ipairs(redis.pcall('ZREVRANGE', KEYS[1] .. 'park:' .. slot, 0, LAST - 1)) do
      local task = record_of(string.sub(entry, 1, 22))
      local priority = task and task.state == 'q' and task.queue == queue and string.sub(line_of(task), 1, 1) or ''
      if priority > lowest then found, lowest = task, priority end
    end
  end
  return found, lowest
end

local function shed_parked(task)
  local size = weight(task)
  leave_backlog(task)
  settle(task, 'f', reason_json('shed', 'pushed out of a full queue by more urgent work'), 'shed')
  return size
end

local function shed_less_urgent(group)
  local urgency = string.sub(group.line, 1, 1)
  local parked, priority = least_urgent_parked(group.queue)
  if priority <= urgency then parked = nil end
  local lines = redis.call('ZRANGE', KEYS[1] .. 'heads:' .. group.queue, 0, -1)
  table.sort(lines, function(a, b) return string.sub(a, 1, 1) > string.sub(b, 1, 1) end)
  for _, line in ipairs(lines) do
    if string.sub(line, 1, 1) <= urgency then break end
    if parked and priority >= string.sub(line, 1, 1) then return shed_parked(parked) end
    local chosen = line_to_shed_from(group.queue, line)
    while chosen do
      local size = shed_from(group.queue, chosen)
      if size then return size end
      chosen = chosen ~= line and line_to_shed_from(group.queue, line)
    end
  end
  return parked and shed_parked(parked)
end

-- True when less urgent tasks were shed until this one fits; else this one is shed, and false.
local function make_room(group, id, args, left, size)
  local max_bytes = settings_of(group.queue).max_bytes
  local hopeless = max_bytes > 0 and size > max_bytes
  while not hopeless and (left.tasks < 1 or left.bytes < size) do
    local freed = shed_less_urgent(group)
    if freed then
      left.tasks, left.bytes = left.tasks + 1, left.bytes + freed
    else
      hopeless = true
    end
  end
  if not hopeless then return true end
  local task = read_record('q1\n' .. group.spec .. '\n' .. args)
  task.id = id
  if group.mailbox ~= '' then task.mailbox = group.mailbox end
  settle(task, 'f', reason_json('shed', 'the queue was full of work at least as urgent'), 'shed')
  return false
end
local orders_at = 1
--- @include lib/place
local answer = insists == '' and stopped() or place_groups()
close_books()
return answer
