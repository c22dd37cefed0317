--[[
lib/mend_books: what the books say of tasks that do not agree, or are not there any more.

Each function takes one entry of one book, which may have been struck off since it was suspected.
]]
local function mend_lease(member)
  local id = string.sub(member, 1, 22)
  local task = record_of(id)
  if task and task.state == 'r' and task.fence == string.sub(member, 24) then return end
  if not zset_has('lease', member) then return end
  wrong(id, task, 'a lease of a claim that there is not', 'taken away', function()
    redis.call('ZREM', KEYS[1] .. 'lease', member)
  end)
end

local function mend_due(member)
  local slot = string.match(member, '^l(.+)$')
  if slot and (zset_has('pauses', slot) or redis.call('EXISTS', KEYS[1] .. 'park:' .. slot) == 1) then return end
  local task = record_of(string.sub(member, -22))
  local limit = #member > 22
  local alive = task and not string.find('sfc', task.state, 1, true)
  if string.sub(member, 1, 1) == 'z' then alive = task and task.state == 'p' end
  if string.sub(member, 1, 1) == 'e' then alive = redis.call('HEXISTS', KEYS[1] .. 'rippling', string.sub(member, 2)) == 1 end
  if string.sub(member, 1, 1) == 'c' then alive = redis.call('HEXISTS', KEYS[1] .. 'need:' .. string.sub(member, 2), 'rivals') == 1 end
  if limit and alive or task and not limit and task.state == 'd' then return end
  if not zset_has('due', member) then return end
  local what = limit and 'a time limit of a task that has ended' or 'a moment of a task that is not scheduled'
  wrong(string.sub(member, -22), task, what, 'taken away', function()
    redis.call('ZREM', KEYS[1] .. 'due', member)
  end)
end

local function mend_dead(id)
  local task = record_of(id)
  if task and task.state == 'f' then return end
  if not task and redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 1 then return end
  if not zset_has('dead', id) then return end
  local what = task and 'listed as a dead letter that it is not' or 'a dead letter that is gone was listed'
  wrong(id, task, what, 'struck off', function() redis.call('ZREM', KEYS[1] .. 'dead', id) end)
end

local function mend_cancel(id)
  local task = record_of(id)
  if task and task.state == 'r' or redis.call('SISMEMBER', KEYS[1] .. 'cancels', id) == 0 then return end
  wrong(id, task, 'a worker should cancel it, but it does not run', 'struck off', function()
    redis.call('SREM', KEYS[1] .. 'cancels', id)
  end)
end

local function mend_payload(id)
  if redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 1 or redis.call('EXISTS', KEYS[1] .. 'p:' .. id) == 0 then return end
  wrong(id, nil, 'arguments of a task that there is not', 'deleted', function()
    redis.call('UNLINK', KEYS[1] .. 'p:' .. id)
  end)
end

-- A key that is held for a time, whatever becomes of its task, ends by itself.
local function mend_unique(digest)
  local key = KEYS[1] .. 'unique:' .. digest
  local holder = redis.call('MGET', key)[1]
  if not holder or redis.call('PTTL', key) > 0 then return end
  local task = record_of(holder)
  local alive = task and not string.find('sfc', task.state, 1, true)
  if alive and option(task, 'u') == digest then return end
  wrong(holder, task, 'a unique key was held by a task that had ended, or never asked for it', 'freed', function()
    redis.call('DEL', key)
  end)
end

-- The queue and line that a line's key stands for, by the first of its tasks that is still there:
-- names may hold colons, so the key alone does not say.
local function whose_line(key)
  for _, entry in ipairs(redis.call('LRANGE', key, 0, 999)) do
    local task = record_of(string.sub(entry, 1, 22))
    if task and KEYS[1] .. 'line:' .. task.queue .. ':' .. line_of(task) == key then return task.queue, line_of(task) end
  end
  return nil
end

-- Whether claims can find a line: by heads, and if it is a tenant's by its fair line too.
local function findable(queue, line)
  local cut = string.find(line, '~', 1, true)
  if not cut then return zset_has('heads:' .. queue, line) end
  local fair = string.sub(line, 1, cut)
  return zset_has('heads:' .. queue, fair) and zset_has('fair:' .. queue .. ':' .. fair, string.sub(line, cut + 1))
end

-- Whether the heads of any queue whose name the key may begin with know it.
local function known_line(rest)
  local at = string.find(rest, ':', 1, true)
  while at do
    if findable(string.sub(rest, 1, at - 1), string.sub(rest, at + 1)) then return true end
    at = string.find(rest, ':', at + 1, true)
  end
  return false
end

local function mend_line(rest)
  local key = KEYS[1] .. 'line:' .. rest
  local queue, line = whose_line(key)
  if not queue then
    local length = redis.call('LLEN', key)
    if length == 0 or length > 1000 or known_line(rest) then return end
    return wrong(rest, nil, 'a line of tasks that are gone', 'deleted', function() redis.call('UNLINK', key) end)
  end
  if findable(queue, line) then return end
  wrong(queue, { queue = queue, name = '-' }, 'nobody knew of its line ' .. line, 'made known', function()
    local cut = string.find(line, '~', 1, true)
    if cut then the_fair().join(queue, string.sub(line, 1, cut), string.sub(line, cut + 1)) end
    rank_again(queue, cut and string.sub(line, 1, cut) or line)
    mark(queue, line, 8)
  end)
end

local function mend_queue(name)
  local key = KEYS[1] .. 'queue:' .. name
  if redis.call('EXISTS', key) == 0 or redis.call('SISMEMBER', KEYS[1] .. 'queues', name) == 1 then return end
  wrong(name, { queue = name, name = '-' }, 'a queue that was not listed', 'listed', function()
    redis.call('SADD', KEYS[1] .. 'queues', name)
  end)
end
