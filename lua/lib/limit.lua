--[[
lib/limit: whether a task may start now by all of its limits, and what becomes of it if not.

A task is admitted by all its limits at once or by none: each is asked before any is charged. The first
that refuses decides: the task is parked there, see lib/slot, or, when the slots of a limit are taken,
what its policy says. cancel-oldest and cancel-newest: of those that hold a slot, are parked for one or
come now, the eldest or the youngest by birth is cancelled while there are more than the limit has slots;
one that runs is told to stop, and its slot is free when it has. skip: who comes now is cancelled.
]]
--- @include lib/slot
local made_gate = nil

local function the_gate()
  if made_gate then return made_gate end
  local RIVALS_MAX = 100
  local slots, gate = the_slots(), {}
  made_gate = gate
  local closed, held_up, admitted, gone = {}, {}, {}, {}

  -- When it is worth asking again, and whether slots are what is missing; nil when it may start.
  local function refusal(task, slot, limit)
    local until_ms = slots.paused_until(slot)
    if until_ms then return until_ms end
    if not limit then return nil end
    if limit.concurrency > 0 and not slots.has(task, 'h') and slots.held(slot) >= limit.concurrency then
      return slots.FOR_EVER, true
    end
    if slots.has(task, 'g') or slots.has(task, 'h') then return nil end
    if limit.rate > 0 then
      local tokens, next_us = slots.tokens(slot, limit, 1)
      if tokens == 0 then return math.ceil(next_us / 1000) end
    end
    if limit.budget > 0 and not slots.affordable(slot, limit, slots.cost_of(task)) then return slots.period_end(limit) end
    return nil
  end

  -- Who refuses: slot, limit, when to ask again, whether slots are missing; nil when nobody does.
  function gate.refused(task)
    local known = task.flags ~= '-' and (slots.has(task, 'h') or slots.has(task, 'g'))
    for _, slot in ipairs(slots.names_of(task)) do
      local limit = slots.limit_of(slot)
      if closed[slot] and not known then return slot, limit, closed[slot] end
      local wake_ms, busy = refusal(task, slot, limit)
      if wake_ms then return slot, limit, wake_ms, busy end
    end
    return nil
  end

  -- The task starts: it takes its slots and pays.
  function gate.charge(task)
    local holds, pays = false, false
    for _, slot in ipairs(slots.names_of(task)) do
      local limit = slots.limit_of(slot)
      if limit and limit.concurrency > 0 and not slots.has(task, 'h') then
        local birth = tonumber(string.sub(task.id, 1, 9), 32) or 0
        redis.call('ZADD', KEYS[1] .. 'slots:' .. slot, string.format('%.0f', birth), task.id)
        holds = true
      end
      if limit and not slots.has(task, 'g') and not slots.has(task, 'h') then
        if limit.rate > 0 then slots.take_token(slot, limit) end
        if limit.budget > 0 then slots.spend(slot, limit, slots.cost_of(task)) end
        pays = pays or limit.rate > 0 or limit.budget > 0
      end
    end
    local flags = (holds and 'h' or '') .. (pays and 'g' or '')
    if flags ~= '' then task.flags = (task.flags == '-' and '' or task.flags) .. flags end
  end

  local function dismiss(task, slot, reason)
    gone[task.id], closed = true, {} -- what it held is free
    leave_backlog(task)
    settle(task, 'c', reason_json(reason, 'limit ' .. slot .. ' had no slot for it'), reason)
  end

  local function hold_up(task, entry, slot, wake_ms)
    local batch = held_up[slot] or { wake_ms = wake_ms, entries = {} }
    batch.wake_ms = math.min(batch.wake_ms, wake_ms)
    batch.entries[#batch.entries + 1], batch.entries[#batch.entries + 2] = task, entry
    held_up[slot] = batch
  end

  local function write()
    for slot, batch in pairs(held_up) do slots.park(slot, batch.entries, batch.wake_ms) end
    held_up = {}
  end

  -- Those of the admitted who have not had to give way since; whoever was held up is parked.
  function gate.settled(tasks)
    write()
    local left = {}
    for _, task in ipairs(tasks) do
      if task.state == 'q' then left[#left + 1] = task end
    end
    return left
  end

  local function rivals_of(task, slot)
    local rivals = { task }
    for _, id in ipairs(redis.call('ZRANGE', KEYS[1] .. 'slots:' .. slot, 0, RIVALS_MAX - 1)) do
      local rival = admitted[id] or record_of(id)
      if rival and not slots.has(rival, 'x') then rivals[#rivals + 1] = rival end
    end
    for _, entry in ipairs(redis.call('ZRANGE', KEYS[1] .. 'park:' .. slot, 0, RIVALS_MAX - 1)) do
      local rival = record_of(string.sub(entry, 1, 22))
      if rival and rival.state == 'q' then rivals[#rivals + 1] = rival end
    end
    return rivals
  end

  -- Somebody has to give way. Returns "gone" when that is the task itself, "free" when a slot is free.
  local function give_way(task, slot, limit)
    if limit.policy == 's' then
      dismiss(task, slot, 'skipped')
      return 'gone'
    end
    write()
    local rivals = rivals_of(task, slot)
    if #rivals <= limit.concurrency then return nil end
    table.sort(rivals, function(one, other) return one.id < other.id end)
    local loser = limit.policy == 'o' and rivals[1] or rivals[#rivals]
    if loser.state == 'r' then
      cancel_task(loser, 'limit ' .. slot .. ' gave its slot to another task')
      return nil
    end
    local held = slots.has(loser, 'h')
    dismiss(loser, slot, 'gave-way')
    return loser == task and 'gone' or held and 'free' or nil
  end

  -- entry: as it stood in its line. Returns true when the task may start and has been charged for;
  -- "parked"; or false when it has ended.
  function gate.admit(task, entry)
    if gone[task.id] then return false end
    local slot, limit, wake_ms, busy = gate.refused(task)
    if not slot then
      gate.charge(task)
      admitted[task.id] = task
      return true
    end
    local outcome = busy and limit.policy ~= 'q' and give_way(task, slot, limit)
    if outcome == 'gone' then return false end
    if outcome == 'free' then return gate.admit(task, entry) end
    if not busy or limit.policy == 'q' then
      -- all who come now are refused as well; what a budget has left may do for a smaller one
      if not limit or limit.budget == 0 then closed[slot] = wake_ms end
    end
    hold_up(task, entry, slot, wake_ms)
    return 'parked'
  end

  return gate
end
