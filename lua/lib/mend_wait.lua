--[[
lib/mend_wait: what waits is waited for by somebody: tasks before it that go on, or something that wakes it.
]]
local function end_it(task, reason, message)
  settle(task, 'f', reason_json(reason, message), reason)
end

local function make_ready_again(task, what)
  wrong(task.id, task, what, 'it goes on', function()
    the_waits().come(task, nil, nil)
  end)
end

local function edge_stands(id, edge)
  return redis.call('LPOS', KEYS[1] .. 'kids:' .. id, edge) ~= false
end

-- Whether the end of a task, or the start of a flow, is still to be told to its children. Who failed and
-- has an alternative leaves that to it.
local function will_be_told(id)
  if redis.call('HEXISTS', KEYS[1] .. 'rippling', id) == 1 then return true end
  local task = record_of(id)
  if not task then
    local state = redis.call('HGET', KEYS[1] .. 'flow:' .. id, 'state')
    return state == 'building' or state == 'staged'
  end
  if not string.find('sfc', task.state, 1, true) then return true end
  local other = task.state == 'f' and option(task, 'k')
  other = other and record_of(other)
  return other and not string.find('sfc', other.state, 1, true) or false
end

-- Tasks that it waits for: each that goes on must have the edge, and their number be the one that is counted.
local function mend_wait_for_tasks(task, wait)
  local open, telling = 0, 0
  for _, id in ipairs(wait.ids) do
    local other = record_of(id)
    if other and not string.find('sfc', other.state, 1, true) then
      open = open + 1
      if not edge_stands(id, task.id .. 'aw') or not string.find(other.flags, 'm', 1, true) then
        wrong(task.id, task, 'the end of task ' .. id .. ' would not have woken it', 'it will', function()
          the_waits().add_kid(other, task.id .. 'aw')
        end)
      end
    elseif redis.call('HEXISTS', KEYS[1] .. 'rippling', id) == 1 then
      telling = telling + 1
    end
  end
  if open + telling == 0 then return make_ready_again(task, 'the tasks that it waited for had ended') end
  local booked = tonumber(redis.call('HGET', KEYS[1] .. 'saved:' .. task.id, 'open') or '') or 0
  if booked >= open and booked <= open + telling then return end
  wrong(task.id, task, 'it waited for ' .. booked .. ' tasks of which ' .. open .. ' go on', 'counted anew', function()
    redis.call('HSET', KEYS[1] .. 'saved:' .. task.id, 'open', open)
  end)
end

local function mend_suspended(task)
  local wait = the_waits().wait_of(task)
  if not wait then return make_ready_again(task, 'nobody knew what it waited for') end
  if not option(task, 'f') and not zset_has('waiting', task.id) then
    wrong(task.id, task, 'a task that waits was not listed', 'listed', function()
      redis.call('ZADD', KEYS[1] .. 'waiting', task.since, task.id)
    end)
  end
  local limit_ms = wait.node and option(task, 'y')
  local over = limit_ms and string.format('%.0f', task.since + limit_ms)
    or not wait.node and redis.call('HGET', KEYS[1] .. 'saved:' .. task.id, 'until')
  if over and not zset_has('due', 'z' .. task.id) then
    wrong(task.id, task, 'the end of its wait was not set', 'set', function()
      redis.call('ZADD', KEYS[1] .. 'due', over, 'z' .. task.id)
    end)
  elseif wait.kind == 'time' and not over then
    make_ready_again(task, 'it waited for no moment')
  end
  if wait.kind == 'signal' and not zset_has('listening:' .. wait.name, task.id) then
    wrong(task.id, task, 'the signal that it waited for would not have woken it', 'it will', function()
      redis.call('ZADD', KEYS[1] .. 'listening:' .. wait.name, string.format('%.0f', now_us), task.id)
    end)
  elseif wait.kind == 'tasks' then
    mend_wait_for_tasks(task, wait)
  end
end

local function bury_orphan(task, what)
  wrong(task.id, task, what, 'it is a dead letter, "orphan"', function()
    leave_backlog(task)
    redis.call('ZREM', KEYS[1] .. 'due', task.id)
    end_it(task, 'orphan', what)
  end)
end

-- What its record and its own books say; whether those before it go on is for mend_orphan.
local function mend_waiting(task)
  local flow = option(task, 'f')
  if flow and redis.call('EXISTS', KEYS[1] .. 'flow:' .. flow) == 0 then
    bury_orphan(task, 'the flow that it belonged to was gone')
  elseif not flow and not zset_has('waiting', task.id) then
    bury_orphan(task, 'it waited for a task that there is not')
  elseif string.find(task.flags, 'n', 1, true) and redis.call('EXISTS', KEYS[1] .. 'need:' .. task.id) == 0 then
    bury_orphan(task, 'what it waited for was forgotten')
  end
end

-- subject: "<id> <edges into it> <who is before it>,...", as a slow look at all edges has found them.
local function mend_orphan(subject)
  local id, edges, parents = string.match(subject, '^(%w+) (%d+) ?(.*)$')
  local task = id and record_of(id)
  if not task or task.state ~= 'w' then return end
  local facts = redis.call('HMGET', KEYS[1] .. 'flow:' .. (option(task, 'f') or ''), 'state', 'firing')
  -- a retry has the ends of those that had succeeded told again, bit by bit
  if facts[1] == 'retrying' or facts[2] then return end
  if (redis.call('HGET', KEYS[1] .. 'need:' .. id, 'of') or '0') ~= edges then return end
  for parent in string.gmatch(parents, '[^,]+') do
    if will_be_told(parent) then return end
  end
  bury_orphan(task, 'nobody was before it whose end it could wait for')
end

-- An entry of the list of those that wait without a flow.
local function mend_listed(id)
  local task = record_of(id)
  if task and (task.state == 'w' or task.state == 'p') or not zset_has('waiting', id) then return end
  wrong(id, task, 'listed as waiting, and does not wait', 'struck off', function()
    redis.call('ZREM', KEYS[1] .. 'waiting', id)
  end)
end

-- Edges that are still to be fired have a moment for that.
local function mend_ripple(id)
  if redis.call('HEXISTS', KEYS[1] .. 'rippling', id) == 0 or zset_has('due', 'e' .. id) then return end
  wrong(id, record_of(id), 'its end was told to some of those that waited for it, and not to all', 'goes on', function()
    redis.call('ZADD', KEYS[1] .. 'due', now, 'e' .. id)
  end)
end

-- What is kept beside a task that there is not.
local function mend_leftover(kind, what)
  return function(id)
    local owned = redis.call('EXISTS', KEYS[1] .. 't:' .. id, KEYS[1] .. 'flow:' .. id) > 0
    if owned or redis.call('EXISTS', KEYS[1] .. kind .. id) == 0 then return end
    wrong(id, nil, what, 'deleted', function() redis.call('UNLINK', KEYS[1] .. kind .. id) end)
  end
end

-- subject: "<id> <signal>".
local function mend_listening(subject)
  local id, name = string.match(subject, '^([^ ]+) (.*)$')
  local task = record_of(id)
  local wait = task and task.state == 'p' and the_waits().wait_of(task)
  if wait and wait.kind == 'signal' and wait.name == name then return end
  if not zset_has('listening:' .. name, id) then return end
  wrong(id, task, 'it listened for a signal that it did not wait for', 'no more', function()
    redis.call('ZREM', KEYS[1] .. 'listening:' .. name, id)
  end)
end
