--[[
work/enqueue: put up to 500 new tasks where they belong, all of one shard.

KEYS[1]  root      prefix of every key of the shard; the script touches nothing outside it

ARGV[1]  on_full   refuse (all or nothing) | wait (as many as fit) | shed | force
ARGV[2...]         groups of tasks that differ only in id and arguments, each:
         spec        the record's spec line
         queue       its queue
         line        <priority><route>
         delay       milliseconds from now, 0 = ready now; or @<milliseconds since 1970>
         expires_ms  queue timeout, 0 = none
         total_ms    total timeout, 0 = none
         unique      "" or the digest of the unique key (groups of one task only)
         unique_ms   0 = unique while the task lives, else for so long
         mailbox     "" or who shall hear of the end, see work/watch
         amount      how many tasks follow, each: id, args (a JSON object)

Returns  {"ok", s1, s2, ...}     one status per task in order: "+" accepted (also when it was accepted
                                 by an earlier call with the same id), "=<id>" held back: <id> holds its
                                 unique key, "-" no room, "!" shed at once (a dead letter)
         {"full", queue, depth, high, bytes, max_bytes}  nothing was changed

Enqueueing an id twice has one effect, so a call whose reply was lost may simply be made again.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/settle
local ARGS_INLINE_MAX = 2048
local on_full = ARGV[1]

local function delay_of(text)
  local moment = string.match(text, '^@(%d+)$')
  return moment and math.max(0, tonumber(moment) - now) or tonumber(text)
end

local function read_groups()
  local groups, ids, at = {}, {}, 2
  while at <= #ARGV do
    local group = {
      spec = ARGV[at], queue = ARGV[at + 1], line = ARGV[at + 2], delay_ms = delay_of(ARGV[at + 3]),
      expires_ms = tonumber(ARGV[at + 4]), total_ms = tonumber(ARGV[at + 5]), unique = ARGV[at + 6],
      unique_ms = tonumber(ARGV[at + 7]), mailbox = ARGV[at + 8], amount = tonumber(ARGV[at + 9]),
      first = at + 10,
    }
    for i = 0, group.amount - 1 do ids[#ids + 1] = KEYS[1] .. 't:' .. ARGV[group.first + 2 * i] end
    groups[#groups + 1] = group
    at = group.first + 2 * group.amount
  end
  return groups, ids
end

-- Which of the ids exist already: nil when none does, the usual case, which costs one command.
local function find_existing(keys)
  if redis.call('EXISTS', unpack(keys)) == 0 then return nil end
  local existing = {}
  for _, key in ipairs(keys) do existing[key] = redis.call('EXISTS', key) == 1 end
  return existing
end

-- How many more tasks and bytes the queue takes.
local function room_in(name)
  local queue = queue_of(name)
  local tasks, bytes = math.huge, math.huge
  if queue.high > 0 then tasks = queue.high - queue.ready - queue.scheduled end
  if queue.max_bytes > 0 then bytes = queue.max_bytes - queue.bytes end
  return tasks, bytes
end

local function size_of(group, i)
  local args = ARGV[group.first + 2 * i + 1]
  return #group.spec + 1 + #args
end

local function first_full_queue(groups, existing)
  local tasks, bytes = {}, {}
  for _, group in ipairs(groups) do
    local queue = group.queue
    if not tasks[queue] then tasks[queue], bytes[queue] = room_in(queue) end
    if tasks[queue] < math.huge or bytes[queue] < math.huge then
      for i = 0, group.amount - 1 do
        if not (existing and existing[KEYS[1] .. 't:' .. ARGV[group.first + 2 * i]]) then
          tasks[queue], bytes[queue] = tasks[queue] - 1, bytes[queue] - size_of(group, i)
        end
      end
      if tasks[queue] < 0 or bytes[queue] < 0 then return queue end
    end
  end
  return nil
end

-- Returns the id that holds the unique key, or nil when this task now does.
local function held_by(group, id)
  if group.unique == '' then return nil end
  local key = KEYS[1] .. 'unique:' .. group.unique
  if redis.call('SET', key, id, 'NX') then
    if group.unique_ms > 0 then redis.call('PEXPIRE', key, group.unique_ms) end
    return nil
  end
  local holder = redis.call('GET', key)
  if holder == id or redis.call('EXISTS', KEYS[1] .. 't:' .. holder) == 0 and group.unique_ms == 0 then
    redis.call('SET', key, id)
    return nil
  end
  return holder
end

-- The youngest ready task of the least urgent line makes room, if it is less urgent than `priority`.
local function shed_one(queue, priority)
  local lines = redis.call('ZRANGE', KEYS[1] .. 'heads:' .. queue, 0, -1)
  table.sort(lines, function(a, b) return string.sub(a, 1, 1) > string.sub(b, 1, 1) end)
  for _, line in ipairs(lines) do
    if string.sub(line, 1, 1) <= priority then return false end
    local key = KEYS[1] .. 'line:' .. queue .. ':' .. line
    for _ = 1, 100 do
      local entry = redis.call('RPOP', key)
      if not entry then
        redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, line)
        break
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
  end
  return false
end

local records, accepted, entries = {}, {}, {}

local function put(group, i, id, args)
  local body = args
  if #args > ARGS_INLINE_MAX then
    redis.call('SET', KEYS[1] .. 'p:' .. id, args)
    body = '@'
  end
  local state = group.delay_ms > 0 and 'd' or 'q'
  records[#records + 1] = KEYS[1] .. 't:' .. id
  local life = group.mailbox == '' and '1\n' or '1 0 0 0 0 - ' .. group.mailbox .. '\n'
  records[#records + 1] = state .. life .. group.spec .. '\n' .. body
  count(group.queue, state == 'q' and 'ready' or 'scheduled', 1)
  count(group.queue, 'bytes', size_of(group, i))
  count(group.queue, 'enqueued', 1)
  accepted[#accepted + 1] = { group, id }
end

local function place(group, i, existing)
  local id, args = ARGV[group.first + 2 * i], ARGV[group.first + 2 * i + 1]
  if existing and existing[KEYS[1] .. 't:' .. id] then return '+' end
  local tasks, bytes = room_in(group.queue)
  local fits = on_full == 'force' or tasks >= 1 and bytes >= size_of(group, i)
  if not fits and on_full == 'wait' then return '-' end
  local holder = held_by(group, id)
  if holder then return '=' .. holder end
  local urgent = string.sub(group.line, 1, 1)
  if not fits and not shed_one(group.queue, urgent) then
    local task = read_record('q1\n' .. group.spec .. '\n' .. args)
    task.id = id
    settle(task, 'f', reason_json('shed', 'the queue was full of work at least as urgent'), 'shed')
    return '!'
  end
  put(group, i, id, args)
  return '+'
end

local function announce(group, ids)
  local name = string.match(group.spec, '^[^ ]+ ([^ ]+)')
  local task = { version = 1, fence = '0', queue = group.queue, name = name }
  local what = group.delay_ms > 0 and 'scheduled' or 'ready'
  for _, id in ipairs(ids) do event(id, what, task) end
  if string.find(group.line, '@', 1, true) then
    redis.call('SADD', KEYS[1] .. 'routes', string.sub(group.line, 2))
  end
end

local function schedule(group, ids)
  local due = {}
  for _, id in ipairs(ids) do
    if group.delay_ms > 0 then
      due[#due + 1] = now + group.delay_ms
      due[#due + 1] = id
    end
    if group.expires_ms > 0 then
      due[#due + 1] = now + group.delay_ms + group.expires_ms
      due[#due + 1] = 'x' .. id
    end
    if group.total_ms > 0 then
      due[#due + 1] = now + group.total_ms
      due[#due + 1] = 'y' .. id
    end
  end
  for first = 1, #due, 2000 do
    redis.call('ZADD', KEYS[1] .. 'due', unpack(due, first, math.min(first + 1999, #due)))
  end
  if group.delay_ms > 0 then
    local head = redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0)[1]
    -- somebody must learn that the next due moment is now earlier
    if head == ids[1] then mark(group.queue, group.line, 1) end
  end
end

local groups, keys = read_groups()
local existing = find_existing(keys)
if on_full == 'refuse' then
  local name = first_full_queue(groups, existing)
  if name then
    local queue = queue_of(name)
    return { 'full', name, queue.ready + queue.scheduled, queue.high, queue.bytes, queue.max_bytes }
  end
end

local reply = { 'ok' }
local seen = {}
for _, group in ipairs(groups) do
  for i = 0, group.amount - 1 do
    local id = ARGV[group.first + 2 * i]
    if seen[id] then
      reply[#reply + 1] = '+'
    else
      seen[id] = true
      local status = place(group, i, existing)
      if status == '-' then
        local queue = queue_of(group.queue)
        if queue.wanted == 0 then queue.wanted, queue.changed.wanted = 1, true end
      end
      reply[#reply + 1] = status
    end
  end
end
if #records > 0 then redis.call('MSET', unpack(records)) end

local ids, group = {}, nil
local function flush()
  if #ids == 0 then return end
  schedule(group, ids)
  if group.delay_ms == 0 then stand_in_line(group.queue, group.line, ids) end
  announce(group, ids)
end
for _, pair in ipairs(accepted) do
  if pair[1] ~= group then
    flush()
    group, ids = pair[1], {}
  end
  ids[#ids + 1] = pair[2]
end
flush()
write_queues()
write_finished()
write_events()
return reply
