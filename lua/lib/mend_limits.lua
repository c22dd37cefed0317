--[[
lib/mend_limits: who holds slots of limits, and who is parked, agree with the records.

Each function takes what one key is for, or one task; of what is very long it looks at the first 1,000.
]]
local LIMIT_ENTRIES_MAX = 1000

-- Those that hold a slot run, or will run again after a crash.
local function mend_slot(slot)
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1] .. 'slots:' .. slot, 0, LIMIT_ENTRIES_MAX - 1)) do
    local task = record_of(id)
    if not (task and the_slots().has(task, 'h') and (task.state == 'r' or task.state == 'q')) then
      wrong(id, task, 'it held a slot of limit ' .. slot .. ' without running', 'freed', function()
        redis.call('ZREM', KEYS[1] .. 'slots:' .. slot, id)
        the_slots().wake(slot)
      end)
    end
  end
end

-- A task that holds slots is among the holders of each limit that has any.
local function mend_holder(task)
  if not the_slots().has(task, 'h') then return end
  if task.state == 'q' and not zset_has('due', 'h' .. task.id) then
    wrong(task.id, task, 'it would have held slots of limits until somebody started it', 'for a minute', function()
      the_slots().keep_for_now(task)
    end)
  end
  local held = false
  for _, slot in ipairs(the_slots().names_of(task)) do held = held or zset_has('slots:' .. slot, task.id) end
  if held then return end
  for _, slot in ipairs(the_slots().names_of(task)) do
    local limit = the_slots().limit_of(slot)
    if limit and limit.concurrency > 0 then
      wrong(task.id, task, 'limit ' .. slot .. ' did not know that it holds a slot', 'counted', function()
        redis.call('ZADD', KEYS[1] .. 'slots:' .. slot, tonumber(string.sub(task.id, 1, 9), 32) or 0, task.id)
      end)
    end
  end
end

local function mend_parked(slot, entry)
  local id = string.sub(entry, 1, 22)
  local task = record_of(id)
  if task and task.state == 'q' then return true end
  wrong(id, task, 'limit ' .. slot .. ' held it up, but it is not ready', 'struck off', function()
    redis.call('ZREM', KEYS[1] .. 'park:' .. slot, entry)
  end)
  return false
end

-- What frees a limit brings back whom it held up, or a moment of due does.
local function mend_park(slot)
  local first = nil
  for _, entry in ipairs(redis.call('ZRANGE', KEYS[1] .. 'park:' .. slot, 0, LIMIT_ENTRIES_MAX - 1)) do
    if mend_parked(slot, entry) and not first then first = record_of(string.sub(entry, 1, 22)) end
  end
  if not first then return end
  if redis.call('SISMEMBER', KEYS[1] .. 'parks', slot) == 0 then
    wrong(slot, nil, 'nobody knew that tasks wait for this limit', 'made known', function()
      redis.call('SADD', KEYS[1] .. 'parks', slot)
    end)
  end
  local room, later = the_slots().room(slot, first)
  if room == 0 and later >= the_slots().FOR_EVER or zset_has('due', 'l' .. slot) then return end
  wrong(slot, nil, 'nothing would have brought back who waits for this limit', 'brought back', function()
    the_slots().wake(slot)
  end)
end
