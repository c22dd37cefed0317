--[[
lib/mend_task: a task's record is the truth, and whatever else is kept about the task must agree.
]]
local function mend_foreign(id)
  if redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 0 or zset_has('dead', id) then return end
  wrong(id, nil, 'its record was not written by coordq', 'set aside as a dead letter', function()
    redis.call('ZADD', KEYS[1] .. 'dead', now, id)
  end)
end

local function mend_running(task)
  if not zset_has('lease', task.id .. '|' .. task.fence) then
    wrong(task.id, task, 'it ran without a lease', 'given back', function()
      give_back(task, 'released', false)
    end)
  elseif string.find(task.flags, '[xk]') and redis.call('SISMEMBER', KEYS[1] .. 'cancels', task.id) == 0 then
    wrong(task.id, task, 'it shall be cancelled, but its worker was not told', 'told again', function()
      redis.call('SADD', KEYS[1] .. 'cancels', task.id)
    end)
  end
end

local function mend_scheduled(task)
  if zset_has('due', task.id) then return end
  wrong(task.id, task, 'it was scheduled for no moment', 'due now', function()
    redis.call('ZADD', KEYS[1] .. 'due', now, task.id)
    mark(task.queue, line_of(task), 1)
  end)
end

local function mend_failed(task)
  if zset_has('dead', task.id) then return end
  wrong(task.id, task, 'a dead letter that was not listed', 'listed', function()
    redis.call('ZADD', KEYS[1] .. 'dead', task.since, task.id)
  end)
end

-- A task whose arguments were kept apart and are gone must not run without them; true when so.
local function mend_arguments(task)
  if string.sub(task.text, task.body, args_end(task)) ~= '@' then return false end
  if redis.call('EXISTS', KEYS[1] .. 'p:' .. task.id) == 1 then return false end
  wrong(task.id, task, 'its arguments were gone', 'it is a dead letter, "arguments-lost"', function()
    leave_backlog(task)
    end_it(task, 'arguments-lost', 'its arguments were gone from Redis')
  end)
  return true
end

local function mend_total_timeout(task)
  local total_ms = option(task, 'd')
  if not total_ms or string.find(task.flags, 'k', 1, true) then return end
  if zset_has('due', 'y' .. task.id) then return end
  wrong(task.id, task, 'the end of its total timeout was not set', 'it begins anew', function()
    redis.call('ZADD', KEYS[1] .. 'due', string.format('%.0f', now + total_ms), 'y' .. task.id)
  end)
end

local function mend_route(task)
  local route = route_in(line_of(task))
  if not string.find(route, '@', 1, true) then return end
  if redis.call('SISMEMBER', KEYS[1] .. 'routes', task.queue .. ' ' .. route) == 1 then return end
  wrong(task.id, task, 'no worker could learn what it requires', 'made known', function()
    redis.call('SADD', KEYS[1] .. 'routes', task.queue .. ' ' .. route)
    leave_marks(task.queue, '*', 8)
  end)
end

local function mend_fence(task)
  local last = redis.call('GET', KEYS[1] .. 'fence')
  if tonumber(task.fence) <= (tonumber(last or '0') or 0) then return end
  wrong(task.id, task, 'the last fence was lower than its own', 'raised', function()
    redis.call('SET', KEYS[1] .. 'fence', task.fence)
  end)
end

local function mend_task(id)
  local task = record_of(id)
  if not task then return mend_foreign(id) end
  mend_fence(task)
  local state = task.state
  if state == 'f' then return mend_failed(task) end
  if not string.find('wdqrp', state, 1, true) then return end
  mend_total_timeout(task)
  if state == 'w' then return mend_waiting(task) end
  if state == 'p' then return mend_suspended(task) end
  mend_holder(task)
  if state == 'r' then return mend_running(task) end
  if mend_arguments(task) then return end
  mend_route(task)
  if state == 'd' then mend_scheduled(task) end
end

-- A ready task that was not seen in its line, nor parked. Reads the line: slow when that is long.
local function mend_standing(id)
  local task = record_of(id)
  if not task or task.state ~= 'q' then return end
  if the_slots().exist() and the_slots().where(task) then return end
  local line = line_of(task)
  local key = KEYS[1] .. 'line:' .. task.queue .. ':' .. line
  local entry = task.since ~= '0' and id .. stamp(tonumber(task.since)) or id
  if redis.call('LPOS', key, entry) or entry ~= id and redis.call('LPOS', key, id) then return end
  wrong(id, task, 'it was ready and stood in no line', 'it stands in line', function()
    stand_in_line(task.queue, line, { entry })
  end)
end
