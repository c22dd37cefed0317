--[[
work/finish: commit the outcomes of claims, and claim the next tasks, in one round trip.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  claimant  as in work/claim
ARGV[2]  nonce     as in work/claim
ARGV[3]  want      how many to claim, 0 for none
ARGV[4]  lease_ms  as in work/claim
ARGV[5]  queues    as in work/claim
ARGV[6]  served    as in work/claim
ARGV[7...]         outcomes, each:
         kind      s succeeded | t try again | f failed for good | z snooze | l release | c cancelled |
                   p suspend | k snooze, and pause a limit for everybody; "<kind> <units>": what the run cost
         member    "id|fence": the claim
         delay_ms  for t, z and k; for p its timeout, 0 for none
         body      JSON: the result (s), the error (t, f, c), the wait (p, see lib/wait); k: a slot, see lib/slot

Returns  {{verdict, ...}, {id, record, ...}, next_due_ms, more, routes}
         verdict   "ok" committed | "duplicate" it was committed before by this claim |
                   "stale" the claim is no longer held: nothing was changed |
                   "would-cycle", "senseless-wait" for p: the task is a dead letter instead

The lease set's member is id|fence, so being in it is the proof of the claim. The first write is a
ZREM, which a Redis at maxmemory allows, and what follows it in the script is then allowed too.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
-- In a function of its own, as lua/README says of what a call costs.
local function finish()
--- @include lib/wait
--- @include lib/settle
--- @include lib/promote
--- @include lib/grant
  local postponed, due = {}, {}

  local function write_postponed()
    if #postponed > 0 then redis.call('MSET', unpack(postponed)) end
    if #due > 0 then redis.call('ZADD', KEYS[1] .. 'due', unpack(due)) end
    postponed, due = {}, {}
  end

  local function again(task, state, delay_ms, body, what)
    task.state, task.version, task.since, task.worker = state, task.version + 1, now, '-'
    local size = #postponed
    postponed[size + 1] = KEYS[1] .. 't:' .. task.id
    postponed[size + 2] = write_record(task, body)
    if state == 'd' then
      due[#due + 1] = string.format('%.0f', now + delay_ms)
      due[#due + 1] = task.id
      count(task.queue, 'scheduled', 1)
      count(task.queue, 'bytes', weight(task))
    else
      make_ready(task, true)
    end
    event(task.id, what, task, state == 'd' and string.format('%.0f', delay_ms) or '')
  end

  local function try_again(task, delay_ms, body)
    if called_off(task, 'cancelled while it ran') then return end
    count(task.queue, 'retried', 1)
    again(task, 'd', delay_ms, body, 'retrying')
  end

  local function refund(task, delay_ms, kind)
    task.attempt = math.max(0, task.attempt - 1)
    if called_off(task, 'cancelled while it ran') then return end
    if kind == 'z' then
      again(task, 'd', delay_ms, nil, 'snoozed')
    else
      again(task, 'q', 0, nil, 'released')
    end
  end

  -- The handler waits for something. What makes no sense to wait for makes a dead letter.
  local function wait_or_fail(task, timeout_ms, body)
    task.attempt = math.max(0, task.attempt - 1)
    if called_off(task, 'cancelled while it ran') then return 'ok' end
    write_postponed() -- it may wait for one of these, and leaves its mark in its record
    local verdict, path = the_waits().suspend(task, timeout_ms, body)
    if verdict == 'ok' then return 'ok' end
    local error = { type = 'SenselessWait', reason = verdict, message = 'nothing can come of what it would wait for' }
    if verdict == 'would-cycle' then
      local SHOWN_MAX = 20
      local way = table.concat(path, ', which waits for ', 1, math.min(#path, SHOWN_MAX))
      error = { type = 'WouldCycle', reason = verdict, path = path, message = 'it would wait for ' .. way }
    end
    settle(task, 'f', cjson.encode(error), verdict)
    return verdict
  end

  local function commit(task, kind, delay_ms, body)
    count(task.queue, 'running', -1)
    if kind ~= 's' and (#kind > 1 or kind == 'k') or task.flags ~= '-' and string.find(task.flags, '[hg]') then
      kind = the_slots().end_claim(task, kind, delay_ms, body)
    end
    if kind == 's' then
      settle(task, 's', body, '')
    elseif kind == 'f' then
      settle(task, 'f', body, string.match(body, '"reason":"([^"]*)"'))
    elseif kind == 'c' then
      local overdue = string.find(task.flags, 'k', 1, true)
      settle(task, overdue and 'f' or 'c',
        overdue and reason_json('deadline', 'its total timeout passed') or body, overdue and 'deadline' or '')
    elseif kind == 't' then
      try_again(task, delay_ms, body)
    elseif kind == 'p' then
      return wait_or_fail(task, delay_ms, body)
    else
      refund(task, delay_ms, kind)
    end
    return 'ok'
  end

  local function commit_all()
    local FIRST, members, keys, verdicts = 7, {}, {}, {}
    for at = FIRST, #ARGV, 4 do
      members[#members + 1] = ARGV[at + 1]
      keys[#keys + 1] = KEYS[1] .. 't:' .. string.sub(ARGV[at + 1], 1, 22)
    end
    if #members == 0 then return verdicts end
    local leased = redis.call('ZMSCORE', KEYS[1] .. 'lease', unpack(members))
    redis.call('ZREM', KEYS[1] .. 'lease', unpack(members))
    local texts = redis.call('MGET', unpack(keys))
    local seen, waits = {}, false
    for i, member in ipairs(members) do
      local at = FIRST + 4 * (i - 1)
      local id, fence = string.sub(member, 1, 22), string.sub(member, 24)
      -- what waits has left its mark in the records of what it waits for
      local text = waits and redis.call('GET', keys[i]) or texts[i]
      local task = text and read_record(text)
      if seen[member] then
        verdicts[i] = 'duplicate'
      elseif leased[i] and task then
        task.id, seen[member] = id, true
        verdicts[i] = commit(task, ARGV[at], tonumber(ARGV[at + 2]), ARGV[at + 3])
        waits = waits or ARGV[at] ~= 's' and string.sub(ARGV[at], 1, 1) == 'p'
      elseif task and task.fence == fence and task.state ~= 'r' then
        verdicts[i] = 'duplicate'
      else
        verdicts[i] = 'stale'
        local known = task or { version = 0, fence = '0', queue = '-', name = '-' }
        event(id, 'refused', known, fence)
      end
    end
    return verdicts
  end

  local verdicts = commit_all()
  write_postponed()
  ripple()

  local want = tonumber(ARGV[3])
  local reply, more, next_due = {}, 0, nil
  if want > 0 then
    reply = granted_before(ARGV[1], ARGV[2])
    if not reply then
      next_due = promote()
      local tasks
      tasks, more = choose(ARGV[5], ARGV[6], want)
      reply = grant(tasks, ARGV[1], ARGV[2], tonumber(ARGV[4]))
    end
  end
  close_books()
  if made_slots then next_due = made_slots.next_due(next_due, want == 0 or #reply > 0) end
  local wait_ms = next_due and math.max(0, math.floor(next_due - now)) or -1
  return { verdicts, reply, wait_ms, more, want > 0 and redis.call('SCARD', KEYS[1] .. 'routes') or -1 }
end
return finish()
