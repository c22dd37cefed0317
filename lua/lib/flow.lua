--[[
lib/flow: the end of a task is told to the tasks that wait for it, and to its flow.

lib/settle hands over what has ended and has edges or a flow (`has_kin`); `ripple()` does the rest: it
fires edges (lib/edges), releases children, ends those that shall not run, and counts for the flow. Work
goes by rounds and never recurs. At most RIPPLE_MAX edges are fired in a call; the rest goes on by the due
member e<id> at once, and HASH rippling remembers how far it had come: "<edges passed> <how it stands>".
All that ends tasks calls `close_books()` last, or ripple() where tasks are claimed afterwards.

Of a record's flags, m: LIST kids:<id> holds edges; n: HASH need:<id> counts its own; z: its end was
told, and is not told again; y: a retry of its flow will tell it; u: it was cancelled because a parent had failed; o: it was skipped; v: it
stands in for a task that failed. Of a spec: f its flow, e edges, k its alternative, a whose alternative it
is, D delay once released, w what it waits for instead of running.

Who fails must be dealt with: by an alternative, by a child after its failure, by one that goes on as if.
A child that fails for it passes the question on to its own children. What nobody deals with makes the
flow fail: field unhandled of flow:<id>.
]]
--- @include lib/line
--- @include lib/ready

local function make_flows()
--- @include lib/kin
  local RIPPLE_MAX = 500
  local budget = RIPPLE_MAX
  local tallies, paces = {}, {}

  local function tally(flow, field, by)
    if flow == '' then return end
    local fields = tallies[flow]
    if not fields then
      fields = {}
      tallies[flow] = fields
    end
    fields[field] = (fields[field] or 0) + by
  end

  local kin = make_kin(tally)

  -- Where the edges of a task stand: texts, and keys of lists. Who stands in has those of whom it does
  -- as well.
  local function sources_of(task, found)
    local inline = option(task, 'e')
    if inline then
      local texts = {}
      for text in string.gmatch(inline, '[^,]+') do texts[#texts + 1] = text end
      found[#found + 1] = texts
    end
    if string.find(task.flags, 'm', 1, true) then found[#found + 1] = KEYS[1] .. 'kids:' .. task.id end
    local first = string.find(task.flags, 'v', 1, true) and option(task, 'a')
    first = first and record_of(first)
    if first then sources_of(first, found) end
    return found
  end

  -- The texts of at most `room` edges behind the first `passed`; and whether there are more.
  local function page_of(sources, passed, room)
    local texts, at = {}, 0
    for _, source in ipairs(sources) do
      local key = type(source) == 'string'
      local size = key and redis.call('LLEN', source) or #source
      local first, last = math.max(0, passed - at), math.min(size, math.max(0, passed - at) + room - #texts)
      if first < last then
        local some = key and redis.call('LRANGE', source, first, last - 1) or { unpack(source, first + 1, last) }
        for _, text in ipairs(some) do texts[#texts + 1] = text end
      end
      at = at + size
    end
    return texts, passed + #texts < at
  end

  -- Takes some edges of a parent into `edges`. Returns whether it has none left.
  local function take_edges(parent, edges)
    local sources = parent.task and sources_of(parent.task, {}) or { KEYS[1] .. 'kids:' .. parent.id }
    if #sources == 0 then return true end
    local texts, more = page_of(sources, parent.passed_over, budget)
    for _, text in ipairs(texts) do edges[#edges + 1] = kin.read_edge(text, parent) end
    parent.passed_over = parent.passed_over + #texts
    budget = budget - #texts
    return not more
  end

  local function go_on_later(parent)
    local stands = parent.taken and 't' or parent.passed and 'p' or '-'
    redis.call('HSET', KEYS[1] .. 'rippling', parent.id, parent.passed_over .. ' ' .. stands)
    redis.call('ZADD', KEYS[1] .. 'due', now, 'e' .. parent.id)
    if parent.task then mark(parent.task.queue, line_of(parent.task), 1) end
  end

  -- Every edge of a parent has been fired.
  local function come_to_rest(parent)
    if parent.resumed then redis.call('HDEL', KEYS[1] .. 'rippling', parent.id) end
    local task = parent.task
    if not task then return end
    if parent.failed then
      if not parent.taken and not parent.passed then tally(parent.flow, 'unhandled', 1) end
      if parent.taken and parent.ended == 'f' then tally(parent.flow, 'handled', 1) end
    end
    if parent.flow == '' and string.find(task.flags, 'm', 1, true) then
      redis.call('UNLINK', KEYS[1] .. 'kids:' .. task.id)
    end
  end

  -- True when the alternative of a failed task takes over, edges and all.
  local function hand_over(parent)
    local id = option(parent.task, 'k')
    local other = id and record_of(id)
    if not other or other.state ~= 'w' then return false end
    if parent.ended == 'f' then
      add_flag(other, 'v')
      kin.release(other)
      tally(parent.flow, 'handled', 1)
      return true
    end
    if parent.ended == 'c' then
      leave_backlog(other)
      settle(other, 'c', reason_json('cancelled', 'task ' .. parent.id .. ', for which it would stand in, was cancelled'),
        'cancelled')
    else
      kin.leave_out(other, 'task ' .. parent.id .. ' did not need it')
    end
    return false
  end

  local ENDED_AS = { f = 'failed', o = 'skipped', u = 'cancelled', c = 'cancelled' }

  local function count_ended(parent)
    local flow = parent.flow
    if flow == '' then return end
    tally(flow, 'left', -1)
    if ENDED_AS[parent.ended] then tally(flow, ENDED_AS[parent.ended], 1) end
    if parent.ended == 's' and parent.ran_ms then
      local name = parent.task.name
      local pace = paces[name] or { n = 0, ms = 0 }
      pace.n, pace.ms = pace.n + 1, pace.ms + parent.ran_ms
      paces[name] = pace
    end
  end

  local function parent_from(task)
    local ended = kin.ending_of(task)
    local said = task.outcome or ended == 's' and outcome_of(task) or nil
    return {
      id = task.id, task = task, ended = ended, flow = option(task, 'f') or '', passed_over = 0,
      failed = ended == 'f' or ended == 'u', outcome = ended == 's' and said or nil,
      ran_ms = task.ran_ms,
    }
  end

  local function round(batch)
    local edges, rested = {}, {}
    for _, parent in ipairs(batch) do
      local handed = parent.task and not parent.resumed and hand_over(parent)
      if handed or take_edges(parent, edges) then
        parent.handed = handed
        rested[#rested + 1] = parent
      else
        parent.later = true
      end
    end
    kin.fire_edges(edges)
    kin.write_released()
    for _, parent in ipairs(rested) do
      if not parent.handed then come_to_rest(parent) end
    end
    for _, parent in ipairs(batch) do
      if parent.later then go_on_later(parent) end
    end
  end

  local function letter_of(flow, facts, state)
    return flow .. '\n' .. cjson.encode({ id = flow, name = facts[4] or '', state = state })
  end

  -- facts: state, cancel, unhandled, name, mailbox, ttl_s
  local function end_flow(flow)
    local key = KEYS[1] .. 'flow:' .. flow
    local facts = redis.call('HMGET', key, 'state', 'cancel', 'unhandled', 'name', 'mailbox', 'ttl_s')
    if facts[1] ~= 'running' then return end
    local state = facts[2] and 'cancelled' or (tonumber(facts[3] or 0) or 0) > 0 and 'failed' or 'succeeded'
    redis.call('HSET', key, 'state', state, 'ended', now)
    redis.call('ZREM', KEYS[1] .. 'flows:open', flow)
    redis.call('ZADD', KEYS[1] .. 'flows:ended', now + 1000 * (tonumber(facts[6] or 0) or 0), flow)
    for mailbox in string.gmatch(facts[5] or '', '[^,]+') do
      redis.pcall('RPUSH', KEYS[1] .. 'mailbox:' .. mailbox, letter_of(flow, facts, state))
      redis.call('PEXPIRE', KEYS[1] .. 'mailbox:' .. mailbox, MAILBOX_TTL_MS)
    end
    event(flow, 'flow-ended', { version = 1, fence = '0', queue = '-', name = facts[4] or '-' }, state)
  end

  local function write_tallies()
    for flow, fields in pairs(tallies) do
      local key, left = KEYS[1] .. 'flow:' .. flow, nil
      for field, by in pairs(fields) do
        local value = redis.pcall('HINCRBY', key, field, by)
        if field == 'left' then left = value end
      end
      if left == 0 then
        end_flow(flow)
      elseif type(left) == 'number' and left < 0 and redis.call('HEXISTS', key, 'state') == 0 then
        redis.call('UNLINK', key) -- there is no such flow any more
      else
        redis.call('ZADD', KEYS[1] .. 'flows:open', 'XX', now, flow)
      end
    end
    for name, pace in pairs(paces) do
      redis.pcall('HINCRBY', KEYS[1] .. 'pace', name .. ':n', pace.n)
      redis.pcall('HINCRBY', KEYS[1] .. 'pace', name .. ':ms', string.format('%.0f', pace.ms))
    end
    tallies, paces = {}, {}
  end

  local flows = { end_flow = end_flow }

  -- parents: what else is to be fired, besides what has ended.
  function flows.ripple(parents)
    local batch = parents or {}
    while true do
      local ended = ended_kin
      ended_kin = {}
      for _, task in ipairs(ended) do
        local parent = parent_from(task)
        count_ended(parent)
        batch[#batch + 1] = parent
      end
      if #batch == 0 then break end
      round(batch)
      batch = {}
    end
    write_tallies()
  end

  -- e<id> has come due: a parent, or a flow that was launched, has more edges. task: nil for a flow.
  function flows.resumed(id, task)
    local place = redis.call('HGET', KEYS[1] .. 'rippling', id)
    if not place then return nil end
    local passed, stands = string.match(place, '^(%d+) (.)$')
    local parent = task and parent_from(task) or { id = id, ended = 's', flow = id }
    parent.passed_over, parent.resumed = tonumber(passed), true
    parent.taken, parent.passed = stands == 't', stands == 'p'
    return parent
  end

  -- The roots of a flow hang on the flow itself.
  function flows.launch(flow)
    flows.ripple({ { id = flow, ended = 's', flow = flow, passed_over = 0 } })
    if tonumber(redis.call('HGET', KEYS[1] .. 'flow:' .. flow, 'left') or '') == 0 then end_flow(flow) end
  end

  -- New tasks: those in `free` wait for nothing; `ended` are edges from tasks that have ended: {task, text}.
  function flows.join_in(flow, free, ended)
    local edges, start = {}, { id = flow, ended = 's', flow = flow }
    for _, id in ipairs(free) do edges[#edges + 1] = kin.read_edge(id .. 'af', start) end
    for _, edge in ipairs(ended) do edges[#edges + 1] = kin.read_edge(edge.text, parent_from(edge.task)) end
    for first = 1, #edges, RIPPLE_MAX do
      kin.fire_edges({ unpack(edges, first, math.min(first + RIPPLE_MAX - 1, #edges)) })
      kin.write_released()
    end
  end

  return flows
end

local made_flows = nil
local function the_flows()
  made_flows = made_flows or make_flows()
  return made_flows
end

-- What has ended in this call is told to whom it concerns.
local function ripple()
  if #ended_kin > 0 then the_flows().ripple() end
end

-- Last of all, in every script that may end tasks.
local function close_books()
  ripple()
  write_counts()
  write_finished()
  write_events()
end
