--[[
lib/tally: how many tasks of a queue there are, counted where they stand.

Ready tasks stand in lines or are parked, scheduled ones in due, running ones in lease. An entry is a hint and the
record decides; one task may have several entries in its line, and counts once.
]]
-- What has happened to a queue so far. Every transition of one of its tasks changes some of these, and
-- none can change and be as before: whoever leaves `ready` and comes back to it has been started.
local function token_of(queue)
  local values = redis.call('HMGET', KEYS[1] .. 'queue:' .. queue, 'ready', 'scheduled', 'running', 'bytes',
    'enqueued', 'started', 'succeeded', 'failed', 'cancelled', 'retried', 'lapsed', 'parked', 'invited')
  for i = 1, 13 do values[i] = values[i] or '0' end
  return table.concat(values, ' '), values
end

local function records_of(ids)
  local keys = {}
  for i, id in ipairs(ids) do keys[i] = KEYS[1] .. 't:' .. id end
  local texts, tasks = #keys > 0 and redis.call('MGET', unpack(keys)) or {}, {}
  for i, text in ipairs(texts) do
    local task = text and read_record(text)
    if task then task.id = ids[i] end
    tasks[i] = task or text and 'foreign'
  end
  return tasks
end

-- each(id, weight, again): called for the entries of ready tasks; `again` when another entry of the
-- line may name the same task: one that never moved has the entry it was born with, and no other.
local function tally_line(entries, each)
  local ids = {}
  for i, entry in ipairs(entries) do ids[i] = string.sub(entry, 1, 22) end
  for i, task in ipairs(records_of(ids)) do
    if task == 'foreign' then
      -- counted until a claim comes upon it, or an audit, and sets it aside
      if not redis.call('ZSCORE', KEYS[1] .. 'dead', ids[i]) then each(ids[i], 0, true) end
    elseif task and task.state == 'q' then
      each(ids[i], weight(task), task.since ~= '0')
    end
  end
end

-- each(id, weight, again): as above, for parked tasks of one queue: others are parked with them.
local function tally_parked(queue, entries, each)
  local ids = {}
  for i, entry in ipairs(entries) do ids[i] = string.sub(entry, 1, 22) end
  for i, task in ipairs(records_of(ids)) do
    if task and task ~= 'foreign' and task.state == 'q' and task.queue == queue then each(ids[i], weight(task), true) end
  end
end

-- each(task): called for the tasks of `members` in a state; they are those of due or lease.
local function tally_members(members, state, each)
  local ids = {}
  for _, member in ipairs(members) do
    if state == 'r' or #member == 22 then ids[#ids + 1] = string.sub(member, 1, 22) end
  end
  for _, task in ipairs(records_of(ids)) do
    if task and task ~= 'foreign' and task.state == state then each(task) end
  end
end
