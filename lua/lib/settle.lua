--[[
lib/settle: what a task leaves behind when it ends.

Succeeded and cancelled records live on for their result TTL (option t, seconds, 600 by default, and
never under 5, so that a finish repeated after a lost reply is still recognised); dead letters stay until revived, purged or pushed out by DEAD_MAX younger ones. A unique key is
freed if it is still this task's. Whoever waits for the task finds its record in their mailbox, and the
schedule that made it remembers how it ended.
]]
--- @include lib/saved
--- @include lib/slot
local MAILBOX_TTL_MS = 60000
local finished = {}
local ended_kin = {} -- tasks that this call has ended and that others wait for, or a flow: see lib/flow

local function tell_waiters(task, text)
  for mailbox in string.gmatch(task.mailbox, '[^,]+') do
    local key = KEYS[1] .. 'mailbox:' .. mailbox
    -- an outcome must not depend on the state of a mailbox, or of a list for people
    redis.pcall('RPUSH', key, task.id .. '\n' .. text)
    redis.call('PEXPIRE', key, MAILBOX_TTL_MS)
  end
end

-- A line of HASH schedule:<name>, field runs: "<slot_ms> <id> <state, - until it ended> <ms>".
local function tell_schedule(task, name, state)
  local key = KEYS[1] .. 'schedule:' .. name
  local runs = redis.pcall('HGET', key, 'runs')
  if type(runs) ~= 'string' then return end
  local told, times = string.gsub(runs, '( ' .. task.id .. ' )%S+', '%1' .. state)
  if times > 0 then redis.pcall('HSET', key, 'runs', told) end
end

local function clear_options(task)
  local unique = option(task, 'u')
  if unique and not option(task, 'U') then
    local key = KEYS[1] .. 'unique:' .. unique
    if redis.call('GET', key) == task.id then redis.call('DEL', key) end
  end
  if option(task, 'x') then redis.call('ZREM', KEYS[1] .. 'due', 'x' .. task.id) end
  if option(task, 'd') then redis.call('ZREM', KEYS[1] .. 'due', 'y' .. task.id) end
  local made_by = option(task, 'c')
  if made_by then tell_schedule(task, string.match(made_by, '^[^@]+'), task.state) end
  if string.find(task.flags, '[xk]') then redis.call('SREM', KEYS[1] .. 'cancels', task.id) end
end

local function bury(task, text)
  local DEAD_MAX = 10000
  redis.call('SET', KEYS[1] .. 't:' .. task.id, text)
  redis.call('ZADD', KEYS[1] .. 'dead', now, task.id)
  local excess = redis.call('ZCARD', KEYS[1] .. 'dead') - DEAD_MAX
  if excess <= 0 then return end
  local oldest = redis.call('ZPOPMIN', KEYS[1] .. 'dead', math.min(excess, 100))
  for i = 1, #oldest, 2 do
    redis.call('UNLINK', KEYS[1] .. 't:' .. oldest[i], KEYS[1] .. 'p:' .. oldest[i], KEYS[1] .. 'saved:' .. oldest[i])
  end
end

-- Members of a flow stay until it has ended: others may want their results.
local function retain(task, text, stays)
  finished[#finished + 1] = task.id
  if stays then
    redis.call('SET', KEYS[1] .. 't:' .. task.id, text)
    return
  end
  local ttl_s = math.max(5, tonumber(option(task, 't') or '600'))
  redis.call('SET', KEYS[1] .. 't:' .. task.id, text, 'EX', ttl_s)
  if string.sub(task.text, task.body, task.body) == '@' then
    redis.call('EXPIRE', KEYS[1] .. 'p:' .. task.id, ttl_s)
  end
  if keeps(task) then redis.call('EXPIRE', KEYS[1] .. 'saved:' .. task.id, ttl_s) end
end

-- Whether somebody must hear of the task's end, who has not heard of it yet.
local function has_kin(task)
  if string.find(task.flags, 'z', 1, true) then return false end
  return string.find(task.options, ' f=', 1, true) ~= nil or string.find(task.flags, 'm', 1, true) ~= nil
end

local function note_end(task, outcome)
  ended_kin[#ended_kin + 1] = task
  task.ran_ms, task.outcome = task.state == 'r' and now - tonumber(task.since), outcome
  add_flag(task, 'z')
end

-- state: s, f or c. outcome: JSON for the record's last line. The caller has taken the task out
-- of where it stood (lease, line, due) and raised nothing else.
local function settle(task, state, outcome, detail)
  if task.flags ~= '-' and string.find(task.flags, '[hg]') then the_slots().leave(task) end
  local plain = task.options == '' and task.flags == '-'
  local kin = not plain and has_kin(task)
  if kin then note_end(task, outcome) end
  task.state, task.version, task.since = state, task.version + 1, now
  if state == 's' and keeps(task) then keep_nothing(task) end
  local text = write_record(task, outcome)
  if not plain then clear_options(task) end
  local stays = not plain and string.find(task.flags, 'z', 1, true) and option(task, 'f')
  if state == 'f' then bury(task, text) else retain(task, text, stays) end
  if task.mailbox ~= '-' then tell_waiters(task, text) end
  local what = state == 's' and 'succeeded' or state == 'f' and 'failed' or 'cancelled'
  count(task.queue, what, 1)
  event(task.id, kin and string.find(task.flags, 'o', 1, true) and 'skipped' or what, task, detail)
end

--- @include lib/wait
local function reason_json(reason, message)
  return cjson.encode({ type = reason, message = message, reason = reason })
end

-- True when a task that would run again must not, because it was cancelled or its total timeout has
-- passed while it ran: it has ended instead. message: what its record says of a cancel.
local function called_off(task, message)
  if string.find(task.flags, 'x', 1, true) then
    settle(task, 'c', reason_json('cancelled', message), 'cancelled')
  elseif string.find(task.flags, 'k', 1, true) then
    settle(task, 'f', reason_json('deadline', 'its total timeout passed'), 'deadline')
  else
    return false
  end
  return true
end

-- A task is no longer where it waited: in its line, for a moment, or for others.
local function leave_backlog(task)
  if task.state == 'p' then return the_waits().leave(task) end
  if task.state == 'w' then
    if option(task, 'f') then return end
    redis.call('ZREM', KEYS[1] .. 'waiting', task.id)
    redis.call('UNLINK', KEYS[1] .. 'need:' .. task.id)
    return
  end
  count(task.queue, task.state == 'q' and 'ready' or 'scheduled', -1)
  count(task.queue, 'bytes', -weight(task))
  redis.call('ZREM', KEYS[1] .. 'due', task.id)
  if task.state == 'q' and the_slots().exist() then the_slots().unpark(task) end
end

local function write_finished()
  local DONE_MAX, size = 10000, #finished
  if size == 0 then return end
  for first = 1, size, 2000 do
    redis.pcall('LPUSH', KEYS[1] .. 'done', unpack(finished, first, math.min(first + 1999, size)))
  end
  redis.pcall('LTRIM', KEYS[1] .. 'done', 0, DONE_MAX - 1)
  finished = {}
end
--- @include lib/flow
