--[[
lib/grant: the best ready tasks go to one claimant, each with a lease and a fence.

A fence is max(last + 1, now in microseconds): it grows even when a failover rolled the counter back.
STRING claimant:<name> remembers the last grant under the caller's nonce, so that a caller whose reply
was lost asks again and gets the same tasks, not others.
]]
--- @include lib/cancel
--- @include lib/limit
local function next_fence(amount)
  -- whatever a stranger may have put there: tasks that have left their line must not be stranded
  local last = redis.pcall('GET', KEYS[1] .. 'fence')
  local first = math.max((type(last) == 'string' and tonumber(last) or 0) + 1, now_us)
  redis.call('SET', KEYS[1] .. 'fence', string.format('%.0f', first + amount - 1))
  return first
end

local function with_args(task, text)
  if string.sub(task.text, task.body, task.body) ~= '@' then return text end
  local args = redis.call('GET', KEYS[1] .. 'p:' .. task.id) or '{}'
  return string.sub(text, 1, #text - (#task.text - task.body) - 1) .. args
end

-- A task with options starts: nothing waits for that any more, and its tenant has been served.
local function note_start(task, starts)
  if option(task, 'x') then redis.call('ZREM', KEYS[1] .. 'due', 'x' .. task.id) end
  local tenant = option(task, 'T')
  if tenant then starts[tenant] = (starts[tenant] or 0) + 1 end
end

local function count_starts(starts)
  for tenant, amount in pairs(starts) do redis.pcall('HINCRBY', KEYS[1] .. 'served', tenant, amount) end
end

-- Gives `tasks` (records read, state q, id set) to the claimant; returns {id, record, ...}.
local function grant(tasks, claimant, nonce, lease_ms)
  if #tasks == 0 then return {} end
  local worker = string.match(claimant, '^[^:]+')
  local first = next_fence(#tasks)
  local sets, leases, reply, members, starts = {}, {}, {}, {}, {}
  local expiry = string.format('%.0f', now + lease_ms)
  for i, task in ipairs(tasks) do
    count(task.queue, 'ready', -1)
    count(task.queue, 'bytes', -weight(task))
    count(task.queue, 'running', 1)
    count(task.queue, 'started', 1)
    task.state, task.version, task.attempt = 'r', task.version + 1, task.attempt + 1
    task.fence, task.since, task.worker = string.format('%.0f', first + i - 1), now, worker
    local text = write_record(task)
    sets[2 * i - 1], sets[2 * i] = KEYS[1] .. 't:' .. task.id, text
    members[i] = task.id .. '|' .. task.fence
    leases[2 * i - 1], leases[2 * i] = expiry, members[i]
    reply[2 * i - 1], reply[2 * i] = task.id, with_args(task, text)
    if task.options ~= '' then note_start(task, starts) end
    event(task.id, 'running', task, worker)
  end
  count_starts(starts)
  redis.call('MSET', unpack(sets))
  redis.call('ZADD', KEYS[1] .. 'lease', unpack(leases))
  redis.call('SET', KEYS[1] .. 'claimant:' .. claimant, nonce .. ' ' .. table.concat(members, ' '),
    'PX', lease_ms * 2)
  return reply
end

-- What the claimant was given under this nonce before, as far as it still holds it; or nil.
local function granted_before(claimant, nonce)
  local last = redis.call('GET', KEYS[1] .. 'claimant:' .. claimant)
  if not last or string.match(last, '^[^ ]+') ~= nonce then return nil end
  local reply = {}
  for member in string.gmatch(string.sub(last, #nonce + 2), '[^ ]+') do
    local id = string.sub(member, 1, 22)
    local task = record_of(id)
    if task and redis.call('ZSCORE', KEYS[1] .. 'lease', member) then
      reply[#reply + 1] = id
      reply[#reply + 1] = with_args(task, task.text)
    end
  end
  return reply
end

-- An entry whose record is not ours: out of the way, with the reason, and on with the work.
local function set_aside(id, queue, line)
  if redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 0 then return end
  if redis.call('ZADD', KEYS[1] .. 'dead', 'NX', now, id) == 0 then return end
  count(queue, 'ready', -1)
  count(queue, 'failed', 1)
  event(id, 'failed', { version = 0, fence = '0', queue = queue, name = route_in(line) }, 'foreign-data')
end

-- The next entries of a line; of a fair one also whose turn brought each.
local function pop_entries(queue, line, amount)
  if string.sub(line, -1) == '~' then return the_fair().take_turns(queue, line, amount) end
  local key = KEYS[1] .. 'line:' .. queue .. ':' .. line
  local entries = redis.call('LPOP', key, amount) or {}
  local head = #entries == amount and redis.call('LINDEX', key, 0)
  if head then
    redis.call('ZADD', KEYS[1] .. 'heads:' .. queue, rank(head, line, settings_of(queue).strict), line)
  else
    redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, line)
  end
  return entries
end

local limited = false -- whether there is any limit or pause

-- Who may not start yet by its limits is parked. seen: ids that this call has taken. An id may stand in
-- a line more than once, and its record still says ready until the call grants it.
local function take_from(queue, line, amount, tasks, seen)
  local entries, owners = pop_entries(queue, line, amount)
  if #entries == 0 then return 0 end
  local keys = {}
  for i, entry in ipairs(entries) do keys[i] = KEYS[1] .. 't:' .. string.sub(entry, 1, 22) end
  for i, text in ipairs(redis.call('MGET', unpack(keys))) do
    local id, before = string.sub(entries[i], 1, 22), #tasks
    local task = text and read_record(text)
    if not task then
      set_aside(id, queue, line)
    elseif task.state == 'q' and not seen[id] then
      task.id, seen[id] = id, true
      local verdict = not limited or the_gate().admit(task, entries[i])
      if verdict == true then tasks[#tasks + 1] = task end
      if verdict == 'parked' then seen[id] = nil end -- it may be brought back in this very call
    end
    if owners and #tasks == before then the_fair().waste_turn(owners[i]) end
  end
  return #entries
end

local function serves(served, line)
  return string.find(served, ' ' .. string.sub(line, 2) .. ' ', 1, true)
    or string.sub(line, -1) == '~' and string.find(served, ' ' .. string.sub(line, 2, -2) .. ' ', 1, true)
end

-- The best line of a queue that the caller may take from, and how many others there are.
local function best_line(queue, served)
  local best, others = nil, 0
  for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. queue, 0, -1)) do
    if serves(served, line) then
      if best then others = others + 1 else best = line end
    end
  end
  return best, others
end

-- A mark for each line that still has something for a caller like this one: the mark that woke the
-- caller may have been for a task it had no room for, and another may wait for just that.
local function pass_on(queues, served)
  for name in string.gmatch(queues, '[^ ]+') do
    if not settings_of(name).paused then
      for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. name, 0, -1)) do
        if serves(served, line) then mark(name, line, 1) end
      end
    end
  end
end

-- queues: in the caller's order of preference. served: ' route route ... '. Returns tasks, more.
-- Nothing while the fleet is read-only: see lib/readonly.
local function choose(queues, served, want)
  local SCAN_MAX = 1000
  limited = redis.call('EXISTS', KEYS[1] .. 'readonly', KEYS[1] .. 'limits', KEYS[1] .. 'pauses') > 0
  if limited and redis.call('EXISTS', KEYS[1] .. 'readonly') == 1 then return {}, 0 end
  local tasks, seen, scanned = {}, {}, 0
  for name in string.gmatch(queues, '[^ ]+') do
    while #tasks < want and scanned < SCAN_MAX and not settings_of(name).paused do
      local line, others = best_line(name, served)
      if not line then break end
      local amount = others > 0 and math.min(want - #tasks, 8) or want - #tasks
      local found = take_from(name, line, amount, tasks, seen)
      scanned = scanned + math.max(1, found)
      if others == 0 and found < amount then break end
    end
  end
  if made_fair then made_fair.give_turns_back() end
  local full = #tasks >= want or scanned >= SCAN_MAX
  if limited then tasks = the_gate().settled(tasks) end
  return tasks, full and 1 or 0
end
