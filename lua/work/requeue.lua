--[[
work/requeue: tasks that ended, or wait for a later try, are ready again now.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  from      states that may be requeued, of d, s, f and c
ARGV[2...]         ids, at most 500

Returns  {answer, ...}  per id: "ok", "missing", "foreign" (its record was not written by coordq), or
                        the letter of the state that does not allow it

A requeued task starts over: attempts and strikes are 0, its time limits run anew. Its version grows,
and its old fences are refused. It goes on at its last checkpoint, and waits anew for what did not come.
Those who wait for it have heard of its first end, and hear of no other; what has no handler cannot run.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
-- Its time limits run anew, and its unique key is its own again unless another has it by now.
local function start_options_over(task)
  for letter, member in pairs({ x = 'x' .. task.id, d = 'y' .. task.id }) do
    local limit_ms = option(task, letter)
    if limit_ms then redis.call('ZADD', KEYS[1] .. 'due', now + limit_ms, member) end
  end
  local unique = option(task, 'u')
  if unique and not option(task, 'U') then
    redis.call('SET', KEYS[1] .. 'unique:' .. unique, task.id, 'NX')
  end
end

local function start_over(task)
  if task.state == 'd' then
    redis.call('ZREM', KEYS[1] .. 'due', task.id)
    count(task.queue, 'scheduled', -1)
    count(task.queue, 'bytes', -weight(task))
  else
    redis.call('ZREM', KEYS[1] .. 'dead', task.id)
    redis.call('PERSIST', KEYS[1] .. 'p:' .. task.id)
  end
  if keeps(task) then forget_refusals(task) end
  task.state, task.version, task.since, task.worker = 'q', task.version + 1, now, '-'
  local flags = string.gsub(task.flags, '[^smnvzy]', '')
  task.attempt, task.strikes, task.fence, task.mailbox = 0, 0, '0', '-'
  task.flags = flags == '' and '-' or flags
  redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
  if task.options ~= '' then start_options_over(task) end
  make_ready(task)
  event(task.id, 'requeued', task)
end

local answers = {}
for i = 2, #ARGV do
  local task = record_of(ARGV[i])
  if not task then
    answers[i - 1] = redis.call('EXISTS', KEYS[1] .. 't:' .. ARGV[i]) == 1 and 'foreign' or 'missing'
  elseif not (string.find(ARGV[1], task.state, 1, true) and string.find('dsfc', task.state, 1, true))
    or option(task, 'w') then
    answers[i - 1] = task.state
  else
    start_over(task)
    answers[i - 1] = 'ok'
  end
end
write_counts()
write_events()
return answers
