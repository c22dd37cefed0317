--[[
lib/giveback: a claim ends without an outcome; the task stands at the head of its line again.

No attempt is spent: the handler did not fail. When the worker died at it, that is a strike, and
STRIKES_MAX strikes make a dead letter ("poison"): a task that kills workers must not kill them all.
Who crashed or lapsed keeps its slots for a minute, and what it paid, so that no limit delays its recovery.
The record's fence becomes 0, so that a finish by the old fence is stale, never a duplicate.
]]
local STRIKES_MAX = 3

-- task: read from its record, state r, its lease entry already removed. what: the event's name.
local function give_back(task, what, strike)
  count(task.queue, 'running', -1)
  task.attempt = math.max(0, task.attempt - 1)
  if strike then task.strikes = task.strikes + 1 end
  local fence, worker = task.fence, task.worker
  if what == 'released' and string.find(task.flags, '[hg]') then the_slots().leave(task, true) end
  task.fence = '0'
  if called_off(task, 'cancelled while it ran on ' .. worker) then return end
  if task.strikes >= STRIKES_MAX then
    settle(task, 'f', reason_json('poison', 'its worker died ' .. STRIKES_MAX .. ' times at it'), 'poison')
  else
    task.state, task.version, task.since, task.worker = 'q', task.version + 1, now, '-'
    redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
    make_ready(task, true)
    if string.find(task.flags, 'h', 1, true) then the_slots().keep_for_now(task) end
    event(task.id, what, task, fence .. ' ' .. worker)
  end
end
