--[[
lib/saved: what a task keeps from one run to the next.

HASH saved:<id>, which is there while the record has the flag s:
  state     the handler's last checkpoint, JSON
  wait      what a suspended task waits for, see lib/wait
  until     when that wait is over whatever comes, in milliseconds
  open      how many of the tasks that it waits for have not ended
  w:<key>   what came of a wait: {"value":...} or {"error":"timeout"|"rejected",...}
]]
local function keeps(task)
  return task.flags ~= '-' and string.find(task.flags, 's', 1, true) ~= nil
end

-- The caller writes the record.
local function keep(task, field, text)
  redis.call('HSET', KEYS[1] .. 'saved:' .. task.id, field, text)
  if not keeps(task) then task.flags = (task.flags == '-' and '' or task.flags) .. 's' end
end

-- A task that has succeeded goes on nowhere. The caller writes the record.
local function keep_nothing(task)
  redis.call('UNLINK', KEYS[1] .. 'saved:' .. task.id)
  local flags = string.gsub(task.flags, 's', '')
  task.flags = flags == '' and '-' or flags
end

-- A wait that ended in vain would end the handler again as soon as it asks.
local function forget_refusals(task)
  redis.call('PERSIST', KEYS[1] .. 'saved:' .. task.id)
  local flat = redis.call('HGETALL', KEYS[1] .. 'saved:' .. task.id)
  for i = 1, #flat, 2 do
    if string.find(flat[i], '^w:') and string.find(flat[i + 1], '^{"error"') then
      redis.call('HDEL', KEYS[1] .. 'saved:' .. task.id, flat[i])
    end
  end
end
