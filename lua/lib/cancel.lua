--[[
lib/cancel: a task that has not ended is cancelled at once, or its worker is told to stop it.
]]
-- Its worker is told to stop it.
local function cancel_running(task, reason)
  local member = task.id .. '|' .. task.fence
  redis.call('SADD', KEYS[1] .. 'cancels', task.id)
  local worker = string.match(task.worker, '^[^/]+')
  local key = KEYS[1] .. 'inbox:' .. worker
  redis.call('RPUSH', key, cjson.encode({ ['do'] = 'cancel', member = member, reason = reason }))
  redis.call('PEXPIRE', key, 60000)
end

-- task: read from its record. Returns what work/cancel does; the caller writes counts and events.
local function cancel_task(task, reason)
  if task.state == 'r' then
    if not string.find(task.flags, 'x', 1, true) then
      task.flags = (task.flags == '-' and '' or task.flags) .. 'x'
      redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
      event(task.id, 'cancelling', task, reason)
    end
    cancel_running(task, reason)
    return { 'requested', task.worker }
  end
  leave_backlog(task)
  settle(task, 'c', reason_json('cancelled', reason), reason)
  return { 'cancelled' }
end
