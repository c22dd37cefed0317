--[[
lib/promote: what is due becomes ready; what waited too long ends.

ZSET due: <id> is a delayed or retried task, x<id> the end of its queue timeout, y<id> the end of its
total timeout, z<id> the end of its wait, h<id> the end of its hold on slots that nobody has started it for,
l<slot> when parked tasks may run, e<id> edges that are left, see lib/flow, c<id> that tasks are cancelled which
that one has not waited for, see lib/edges; scores are milliseconds. Any claim promotes, at most 100 a call; the supervisor's forwarder does
the same when nobody claims. Returns the next moment something is due, or nil, and how many members were
taken.
]]
--- @include lib/wait
--- @include lib/cancel
-- Something is due, and happens. Returns how many members were taken.
local function take_due()
  local PROMOTE_MAX = 100

  local function promote_one(task)
    if task.options ~= '' and option(task, 'w') then -- a node that was to wait for a moment, and no more
      leave_backlog(task)
      return settle(task, 's', 'null', '')
    end
    task.state, task.version, task.since = 'q', task.version + 1, now
    redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
    count(task.queue, 'scheduled', -1)
    count(task.queue, 'bytes', -weight(task))
    make_ready(task)
    event(task.id, 'ready', task)
  end

  local function expire(task)
    if (task.state ~= 'q' and task.state ~= 'd') or task.attempt > 0 then return end
    leave_backlog(task)
    settle(task, 'f', reason_json('expired', 'no worker started it within its queue timeout'), 'expired')
  end

  -- A handler that waits is told that the time is up; a node that only waits has failed.
  local function end_wait(task)
    if task.state == 'p' and option(task, 'w') then
      leave_backlog(task)
      return settle(task, 'f', reason_json('timeout', 'what it waited for did not come in time'), 'timeout')
    end
    the_waits().time_is_up(task)
  end

  local function overrun(task)
    if string.find('qdwp', task.state, 1, true) then
      leave_backlog(task)
      settle(task, 'f', reason_json('deadline', 'its total timeout passed'), 'deadline')
    elseif task.state == 'r' then
      task.flags = (task.flags == '-' and '' or task.flags) .. 'k'
      redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
      cancel_running(task, 'deadline')
    end
  end

  -- A page of those that a task has not waited for. each(id): it may have changed.
  local function cancel_rivals(id, each)
    local RIVALS_MAX, need = 100, KEYS[1] .. 'need:' .. id
    local facts = redis.call('HMGET', need, 'rivals', 'called')
    local rivals, first = facts[1] or '', tonumber(facts[2] or 0) or 0
    local last = math.min(first + RIVALS_MAX, #rivals / 22)
    for at = first, last - 1 do
      local rival = string.sub(rivals, 22 * at + 1, 22 * at + 22)
      local task = record_of(rival)
      each(rival)
      if task and not string.find('sfc', task.state, 1, true) then
        cancel_task(task, 'task ' .. id .. ' did not wait for it')
      end
    end
    if last * 22 >= #rivals then return end
    redis.call('HSET', need, 'called', last)
    redis.call('ZADD', KEYS[1] .. 'due', now, 'c' .. id)
  end

  local members = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'due', '-inf', now, 'LIMIT', 0, PROMOTE_MAX)
  redis.call('ZREM', KEYS[1] .. 'due', unpack(members))
  local keys = {}
  for i, member in ipairs(members) do keys[i] = KEYS[1] .. 't:' .. string.sub(member, -22) end
  local seen, rippling = {}, nil
  for i, text in ipairs(redis.call('MGET', unpack(keys))) do
    local id = string.sub(members[i], -22)
    local kind = string.match(members[i], '^%l') or '' -- ids begin with a digit
    -- two members may name one task: the record is read again once it may have changed
    local task = text and (seen[id] and record_of(id) or not seen[id] and read_record(text))
    seen[id] = true
    if task then task.id = id end
    if kind == 'l' then
      the_slots().come_due(string.sub(members[i], 2))
    elseif kind == 'c' then
      cancel_rivals(id, function(rival) seen[rival] = true end)
    elseif kind == 'e' then
      rippling = rippling or {}
      rippling[#rippling + 1] = the_flows().resumed(id, task)
    elseif task then
      if kind == 'x' then expire(task)
      elseif kind == 'y' then overrun(task)
      elseif kind == 'z' then end_wait(task)
      elseif kind == 'h' then the_slots().keep_no_longer(task)
      elseif task.state == 'd' then promote_one(task) end
    end
  end
  if rippling then the_flows().ripple(rippling) else ripple() end
  return #members
end

local function promote()
  local next_due = redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0, 'WITHSCORES')
  if not next_due[2] or tonumber(next_due[2]) > now then return tonumber(next_due[2]), 0 end
  local taken = take_due()
  next_due = redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0, 'WITHSCORES')
  return tonumber(next_due[2]), taken
end
