--[[
lib/slot: what limits know of tasks: who holds a slot, what was spent, who is parked.

HASH limits: name -> "<rate> <period_us> <burst> <b bucket | s sliding window> <concurrency>
<q queue | o cancel-oldest | n cancel-newest | s skip> <budget> <budget_ms> <as it was said: JSON>"; 0: none.
A task counts against those its option l names, "<limit>" or "<limit>:<key>", and without asking
against queue:<queue>, task:<name> and tenant:<tenant>. Each such text is a slot name with state of its
own; it means the limit of just that name, or else the one named by what stands before its first colon.

  ZSET slots:<slot>     ids that hold a slot, scored by their birth
  STRING bucket:<slot>  when the bucket is full again, in microseconds
  LIST window:<slot>    the last starts, in microseconds, no more than the rate
  STRING spent:<slot>   units of this period; expires with it
  ZSET park:<slot>      entries of lines that may not start yet, best first; SET parks says where any are
  ZSET pauses           slot or limit -> until when nothing starts, in milliseconds

A parked task is ready: state, counters and version are as if it stood in its line. due has l<slot>
for when a parked task may run; the end of one that holds a slot brings the next back at once. Flags of
a record: h it holds slots, g it has paid. Both outlive a crash, so recovering waits for no limit; but h
only for a minute: due has h<id> for its end. Who has not been started by then holds nobody up any more.

Nearly every script carries this and hardly any needs it, and to make a function costs more than to have
it: so there is one, which makes the others on first use.
]]
local made_slots = nil

local function the_slots()
  if made_slots then return made_slots end
  local WAKE_MAX, LATE_MS, TOKENS_SHOWN = 100, 1000, 1000
  local STRICT, FOR_EVER = 35184372088832, 9007199254740992
  local definitions, pauses, any_pause, slots = {}, {}, nil, { FOR_EVER = FOR_EVER }
  made_slots = slots

  local function key(kind, slot) return KEYS[1] .. kind .. slot end

  function slots.has(task, flag)
    return task.flags ~= '-' and string.find(task.flags, flag, 1, true) ~= nil
  end

  -- What a key holds, whatever a stranger may have put there: nil when it is of another type.
  local function ask(...)
    local answer = redis.pcall(...)
    if type(answer) == 'table' and answer.err then return nil end
    return answer or nil
  end

  -- The slots that a task counts against if they have a limit, or a pause.
  function slots.names_of(task)
    local names = { 'queue:' .. task.queue, 'task:' .. task.name }
    local tenant = option(task, 'T')
    if tenant then names[3] = 'tenant:' .. tenant end
    for name in string.gmatch(option(task, 'l') or '', '[^,]+') do names[#names + 1] = name end
    return names
  end

  local function read_limit(text)
    local rate, period, burst, window, most, policy, budget, budget_ms = string.match(text,
      '^(%d+) (%d+) (%d+) (%l) (%d+) (%l) ([%d.]+) (%d+) ')
    if not rate then return false end
    local limit = {
      rate = tonumber(rate), period_us = tonumber(period), window = window == 's', concurrency = tonumber(most),
      policy = policy, budget = tonumber(budget), budget_ms = tonumber(budget_ms),
    }
    if limit.rate > 0 then
      limit.step_us = limit.period_us / limit.rate
      -- how far ahead of its step a start may be: the burst; without one, what a claim may come late
      limit.slack_us = tonumber(burst) > 0 and (burst - 1) * limit.step_us or math.max(50000, limit.period_us / 60)
    end
    return limit
  end

  -- The limit of a slot, or false.
  function slots.limit_of(slot)
    local limit = definitions[slot]
    if limit == nil then
      local texts = ask('HMGET', KEYS[1] .. 'limits', slot, string.match(slot, '^[^:]*')) or {}
      local text = texts[1] or texts[2]
      limit = text and read_limit(text) or false
      definitions[slot] = limit
    end
    return limit
  end

  -- Until when a slot is paused, by itself or with its limit; nil when it is not.
  function slots.paused_until(slot)
    local until_ms = pauses[slot]
    if any_pause == nil then any_pause = redis.call('EXISTS', KEYS[1] .. 'pauses') == 1 end
    if not any_pause then return nil end
    if not until_ms then
      local scores = ask('ZMSCORE', KEYS[1] .. 'pauses', slot, string.match(slot, '^[^:]*')) or {}
      until_ms = math.max(tonumber(scores[1] or 0), tonumber(scores[2] or 0))
      pauses[slot] = until_ms
    end
    return until_ms > now and until_ms or nil
  end

  function slots.held(slot) return ask('ZCARD', key('slots:', slot)) or 0 end

  function slots.cost_of(task) return tonumber(option(task, 'C') or '1') end

  function slots.spent(slot) return tonumber(ask('GET', key('spent:', slot)) or '0') or 0 end

  -- When the period of a budget that goes on now is over.
  function slots.period_end(limit) return (math.floor(now / limit.budget_ms) + 1) * limit.budget_ms end

  -- What costs more than a whole budget starts with a fresh one.
  function slots.affordable(slot, limit, cost)
    local spent = slots.spent(slot)
    return spent == 0 or spent < limit.budget and spent + cost <= limit.budget
  end

  function slots.spend(slot, limit, units)
    if units == 0 then return end
    -- INCRBYFLOAT makes Redis 6.2 write past its own arguments when a script has had a longer command before
    local spent = string.gsub(string.format('%.6f', slots.spent(slot) + units), '%.?0+$', '')
    redis.call('SET', key('spent:', slot), spent, 'PXAT', string.format('%.0f', slots.period_end(limit)))
  end

  -- When a bucket is full again; what it was before the limit changed does not hold it back for long.
  local function full_at(slot, limit)
    local full_us = tonumber(ask('GET', key('bucket:', slot)) or '0') or 0
    if full_us > now_us + limit.slack_us + limit.step_us + 1 then return now_us + limit.slack_us end
    return math.max(now_us, full_us)
  end

  -- How many may start now by the rate, at most `most`, and when the next one may, in microseconds.
  function slots.tokens(slot, limit, most)
    if limit.window then
      local starts = ask('LRANGE', key('window:', slot), -limit.rate, math.min(-1, most - 1 - limit.rate)) or {}
      local length = math.min(ask('LLEN', key('window:', slot)) or 0, limit.rate)
      local free = limit.rate - length
      for _, start in ipairs(starts) do
        local again = (tonumber(start) or 0) + limit.period_us
        if again > now_us then return math.min(free, most), again end
        free = free + 1
      end
      return math.min(free, most), now_us + limit.period_us
    end
    local full_us = full_at(slot, limit)
    local free = math.min(most, math.floor((now_us - full_us + limit.slack_us) / limit.step_us) + 1)
    if free < 0 then free = 0 end
    return free, full_us + free * limit.step_us - limit.slack_us
  end

  function slots.take_token(slot, limit)
    if limit.window then
      redis.pcall('RPUSH', key('window:', slot), string.format('%.0f', now_us))
      redis.pcall('LTRIM', key('window:', slot), -limit.rate, -1)
      redis.call('PEXPIRE', key('window:', slot), math.ceil(limit.period_us / 1000))
      return
    end
    local full_us = full_at(slot, limit) + limit.step_us
    redis.call('SET', key('bucket:', slot), string.format('%.1f', full_us), 'PX', math.ceil((full_us - now_us) / 1000) + 1)
  end

  -- A moment at which the parked of a slot are looked at again.
  function slots.arm(slot, at_ms)
    if at_ms >= FOR_EVER then return end
    redis.call('ZADD', KEYS[1] .. 'due', 'LT', string.format('%.0f', at_ms), 'l' .. slot)
    slots.soonest = math.min(slots.soonest or at_ms, at_ms)
  end

  -- Where an entry stands among the parked: like lines, but one scale for strict queues and others.
  local function park_rank(task, entry)
    local strict = settings_of(task.queue).strict
    local score = tonumber(rank(entry, line_of(task), strict)) - (strict and 2 * STRICT or 0)
    return string.format('%.0f', score)
  end

  -- entries: {task, entry, ...}. wake_ms: when the first may run; FOR_EVER when a task must end first.
  function slots.park(slot, entries, wake_ms)
    local scored = {}
    for i = 1, #entries, 2 do
      local task = entries[i]
      scored[i], scored[i + 1] = park_rank(task, entries[i + 1]), entries[i + 1]
      count(task.queue, 'parked', 1)
      event(task.id, 'parked', task, slot)
    end
    slots.heir = entries[1]
    for first = 1, #scored, 2000 do
      local some = { unpack(scored, first, math.min(first + 1999, #scored)) }
      if ask('ZADD', key('park:', slot), unpack(some)) == nil then
        redis.call('UNLINK', key('park:', slot))
        redis.call('ZADD', key('park:', slot), unpack(some))
      end
    end
    redis.call('SADD', KEYS[1] .. 'parks', slot)
    slots.arm(slot, wake_ms)
  end

  -- The forms that the entry of a ready task may have.
  function slots.entries_of(task)
    return task.id, task.id .. stamp(tonumber(task.since))
  end

  -- Where a ready task is parked: slot, rank from 0, out of how many; or nil.
  function slots.where(task)
    local plain, stamped = slots.entries_of(task)
    for _, slot in ipairs(slots.names_of(task)) do
      local at = ask('ZRANK', key('park:', slot), plain) or ask('ZRANK', key('park:', slot), stamped)
      if at then return slot, at, ask('ZCARD', key('park:', slot)) end
    end
    return nil
  end

  local function left_empty(slot)
    if ask('ZCARD', key('park:', slot)) ~= 0 then return false end
    redis.call('SREM', KEYS[1] .. 'parks', slot)
    if not ask('ZSCORE', KEYS[1] .. 'pauses', slot) then redis.call('ZREM', KEYS[1] .. 'due', 'l' .. slot) end
    return true
  end

  -- A ready task is parked no more, because it has started or ended otherwise.
  function slots.unpark(task)
    local plain, stamped = slots.entries_of(task)
    for _, slot in ipairs(slots.names_of(task)) do
      if (ask('ZREM', key('park:', slot), plain, stamped) or 0) > 0 then left_empty(slot) end
    end
  end

  -- How many parked tasks of a slot may run now, and when it is worth looking again: FOR_EVER when
  -- only the end of a task makes room. Who was brought back and is not taken soon, because no worker
  -- serves it, must not stand in the way of others: then there is another look after LATE_MS.
  function slots.room(slot, first)
    local until_ms, limit = slots.paused_until(slot), slots.limit_of(slot)
    if until_ms then return 0, until_ms end
    if not limit then return WAKE_MAX, now end
    local room, later = WAKE_MAX, now + LATE_MS
    if limit.concurrency > 0 then room = math.min(room, limit.concurrency - slots.held(slot)) end
    if room <= 0 then return 0, FOR_EVER end
    if first and slots.has(first, 'g') then return 1, later end -- it has paid
    if limit.rate > 0 then
      local tokens, next_us = slots.tokens(slot, limit, WAKE_MAX)
      local next_ms = math.ceil(next_us / 1000)
      if tokens == 0 then return 0, next_ms end
      room, later = math.min(room, tokens), math.min(later, next_ms)
    end
    if limit.budget > 0 and first and not slots.affordable(slot, limit, slots.cost_of(first)) then
      return 0, slots.period_end(limit)
    end
    return room, later
  end

  -- How a slot stands, as limit/look gives it.
  function slots.view(slot)
    local texts = ask('HMGET', KEYS[1] .. 'limits', slot, string.match(slot, '^[^:]*')) or {}
    local limit, until_ms = slots.limit_of(slot), slots.paused_until(slot)
    local best = (ask('ZRANGE', key('park:', slot), 0, 0) or {})[1]
    local room, later = slots.room(slot, best and record_of(string.sub(best, 1, 22)))
    return {
      slot, texts[1] and 1 or 0, texts[1] or texts[2] or false,
      not until_ms and 0 or until_ms >= FOR_EVER and -1 or until_ms - now,
      slots.held(slot), tostring(slots.spent(slot)), ask('ZCARD', key('park:', slot)) or 0,
      limit and limit.rate > 0 and (slots.tokens(slot, limit, TOKENS_SHOWN)) or -1,
      room > 0 and 0 or later >= FOR_EVER and -1 or math.max(0, later - now),
    }
  end

  local function moment_of(entry)
    return tonumber(#entry > 22 and string.sub(entry, 23, 31) or string.sub(entry, 1, 9), 32) or 0
  end

  local function older(entry, other)
    local moment, others = moment_of(entry), moment_of(other)
    return moment < others or moment == others and entry < other
  end

  -- Near the head of its line, behind those that are older: they came back before it.
  local function stand_by_age(task, entry)
    local line = line_of(task)
    local place = KEYS[1] .. 'line:' .. task.queue .. ':' .. line
    local first = redis.call('LRANGE', place, 0, WAKE_MAX)
    if not first[1] or older(entry, first[1]) then
      return stand_in_line(task.queue, line, { entry }, true)
    end
    mark(task.queue, line, 1)
    for _, other in ipairs(first) do
      if older(entry, other) then return redis.call('LINSERT', place, 'BEFORE', other, entry) end
    end
    redis.call('LINSERT', place, 'AFTER', first[#first], entry)
  end

  local function bring_back(slot, amount)
    local popped, found = ask('ZPOPMIN', key('park:', slot), amount) or {}, 0
    for i = #popped - 1, 1, -2 do -- the best one last, so that it finds its place at once
      local task = record_of(string.sub(popped[i], 1, 22))
      if task and task.state == 'q' then
        stand_by_age(task, popped[i])
        count(task.queue, 'invited', 1)
        found = found + 1
      end
    end
    return #popped / 2, found
  end

  -- Parked tasks of a slot that may run now stand in their lines again, the best ones.
  function slots.wake(slot)
    local best = ask('ZRANGE', key('park:', slot), 0, 0)
    if not best or not best[1] then return end
    local first = record_of(string.sub(best[1], 1, 22))
    local room, later = slots.room(slot, first)
    slots.heir = slots.heir or first
    while room > 0 do
      local popped, found = bring_back(slot, room)
      if popped == 0 then break end
      room = room - found
    end
    if not left_empty(slot) then slots.arm(slot, later) end
  end

  -- Nothing that counts against a slot, or a limit, starts until then; a longer pause stays.
  function slots.pause(slot, until_ms)
    redis.pcall('ZADD', KEYS[1] .. 'pauses', 'GT', string.format('%.0f', until_ms), slot)
    pauses, any_pause = {}, nil
    slots.arm(slot, until_ms)
  end

  function slots.resume(slot)
    redis.pcall('ZREM', KEYS[1] .. 'pauses', slot)
    pauses, any_pause = {}, nil
    if not left_empty(slot) then slots.wake(slot) end
  end

  -- l<slot> has come due.
  function slots.come_due(slot)
    redis.pcall('ZREMRANGEBYSCORE', KEYS[1] .. 'pauses', '-inf', now)
    slots.wake(slot)
  end

  -- What a run really cost takes the place of what was declared; less only within its own period.
  function slots.correct(task, units)
    local extra = units - slots.cost_of(task)
    for _, slot in ipairs(slots.names_of(task)) do
      local limit = slots.limit_of(slot)
      if limit and limit.budget > 0 then
        local same = math.floor(now / limit.budget_ms) == math.floor(task.since / limit.budget_ms)
        if extra > 0 or same then slots.spend(slot, limit, extra) end
        if extra < 0 and same then slots.wake(slot) end
      end
    end
  end

  -- A claim has ended: its slots are free for others. keep_paid: it will run again, at no other cost.
  function slots.leave(task, keep_paid)
    local held = slots.has(task, 'h')
    local flags = string.gsub(task.flags, keep_paid and 'h' or '[hg]', '')
    task.flags = flags == '' and '-' or flags
    if not held then return end
    redis.call('ZREM', KEYS[1] .. 'due', 'h' .. task.id)
    for _, slot in ipairs(slots.names_of(task)) do
      if ask('ZREM', key('slots:', slot), task.id) == 1 then slots.wake(slot) end
    end
  end

  -- A ready task keeps the slots of its last run for a while. Somebody must learn of that moment, and
  -- those who serve the task may be gone.
  function slots.keep_for_now(task)
    local KEPT_MS = 60000
    redis.call('ZADD', KEYS[1] .. 'due', string.format('%.0f', now + KEPT_MS), 'h' .. task.id)
    leave_marks(task.queue, '*', 1)
  end

  -- h<id> has come due: nobody has started it. It asks for slots again when its turn comes.
  function slots.keep_no_longer(task)
    if task.state ~= 'q' or not slots.has(task, 'h') then return end
    slots.leave(task, true)
    redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
    event(task.id, 'let-go', task)
  end

  -- A claim ends with an outcome. kind: its letter, "<letter> <units>" when it says what it has cost;
  -- body: of a k the slot that is to be paused. Returns the letter of what becomes of the task.
  function slots.end_claim(task, kind, delay_ms, body)
    if #kind > 1 and slots.has(task, 'g') then slots.correct(task, tonumber(string.sub(kind, 3))) end
    kind = string.sub(kind, 1, 1)
    slots.leave(task, kind == 'l' or kind == 'p')
    if kind ~= 'k' then return kind end
    slots.pause(body, now + delay_ms)
    return 'z'
  end

  -- Whether any task may be held up by a limit; asked once a call.
  function slots.exist()
    if slots.known == nil then
      slots.known = redis.call('EXISTS', KEYS[1] .. 'limits', KEYS[1] .. 'pauses', KEYS[1] .. 'parks') > 0
    end
    return slots.known
  end

  -- The next due moment, with those that this call has set for parked tasks. busy: the caller has other
  -- things to do until then, so somebody else must learn of it.
  function slots.next_due(next_due, busy)
    local soonest, heir = slots.soonest, slots.heir
    if not soonest then return next_due end
    if busy and heir then mark(heir.queue, line_of(heir), 1) end
    return math.min(soonest, next_due or soonest)
  end

  return slots
end
