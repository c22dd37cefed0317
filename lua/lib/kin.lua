--[[
lib/kin: edges are fired, and what they decide about the tasks at their ends happens; see lib/flow.

A parent here is a table: id, ended (lib/edges), flow ("" for none), failed, outcome (the result as JSON, nil
for none); taken and passed say afterwards whether its failure was dealt with, or passed on. What is released
is written in one go by write_released(). All of it stands inside lib/flow, which is made on first use.
]]
-- tally(flow, field, by): counts for a flow.
local function make_kin(tally)
--- @include lib/edges
--- @include lib/condition
  local entry_stamp = stamp(now)
  local records, stood, due, delayed_in = {}, {}, {}, {}
  local kin = { ending_of = ending_of }

  function kin.read_edge(text, parent)
    local on, policy = string.sub(text, 23, 23), string.sub(text, 24, 24)
    local n, early = string.match(text, '^([^!]*)(!?)', 25)
    return { child = string.sub(text, 1, 22), on = on, policy = policy, n = n, early = early == '!', parent = parent,
      effect = effect_of(parent.ended, on, policy) }
  end

  local function due_at(ms, member)
    due[#due + 1] = string.format('%.0f', ms)
    due[#due + 1] = member
  end

  -- A task waits no more for others: it shall run, or wait for what its spec names.
  function kin.release(task)
    leave_backlog(task)
    local pause = option(task, 'w')
    local delay_ms = tonumber(option(task, 'D') or 0)
    if pause and pause ~= 't' then
      local came = the_waits().begin_node(task)
      if came then settle(task, 's', came, '') end
      return
    end
    local delayed = delay_ms > 0 or pause
    task.state, task.version, task.since = delayed and 'd' or 'q', task.version + 1, now
    records[#records + 1] = KEYS[1] .. 't:' .. task.id
    records[#records + 1] = write_record(task)
    local expires_ms = option(task, 'x')
    if expires_ms then due_at(now + delay_ms + expires_ms, 'x' .. task.id) end
    if delayed then
      due_at(now + delay_ms, task.id)
      delayed_in[task.id] = task.queue
    else
      local line = task.queue .. ' ' .. line_of(task)
      local entries = stood[line] or {}
      entries[#entries + 1] = task.id .. entry_stamp
      stood[line] = entries
    end
    count(task.queue, delayed and 'scheduled' or 'ready', 1)
    count(task.queue, 'bytes', weight(task))
    count(task.queue, 'enqueued', 1)
    event(task.id, 'unblocked', task)
  end

  local function write_due()
    if #due == 0 then return end
    redis.call('ZADD', KEYS[1] .. 'due', unpack(due))
    -- somebody must learn that the next due moment is now earlier; nobody serves a timer by its name
    local head = redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0)[1]
    if delayed_in[head] then leave_marks(delayed_in[head], '*', 1) end
  end

  function kin.write_released()
    if #records > 0 then redis.call('MSET', unpack(records)) end
    write_due()
    for where, entries in pairs(stood) do
      local queue, line = string.match(where, '^([^ ]+) (.*)$')
      stand_in_line(queue, line, entries)
    end
    records, stood, due, delayed_in = {}, {}, {}, {}
  end

  local function end_unmet(task, parent)
    add_flag(task, 'u')
    leave_backlog(task)
    local outcome = cjson.encode({ type = 'parent-failed', reason = 'parent-failed', parent = parent,
      message = 'task ' .. parent .. ', which it waited for, failed or was cancelled' })
    settle(task, 'c', outcome, 'parent-failed')
  end

  function kin.leave_out(task, message)
    add_flag(task, 'o')
    leave_backlog(task)
    settle(task, 'c', reason_json('skipped', message), 'skipped')
  end

  -- What has been decided about a child happens. parent: the last one that counted.
  local function carry_out(decision, task, parent, ignored)
    if task.state ~= 'w' then
      return
    elseif decision == 'go' then
      kin.release(task)
    elseif decision == 'unmet' then
      end_unmet(task, parent)
    elseif decision == 'skipped' then
      -- failures that it had taken on are nobody's now
      if ignored > 0 then tally(option(task, 'f') or '', 'unhandled', 1) end
      kin.leave_out(task, 'the ends of the tasks before it left it out')
    end
  end

  -- Whether a failure is dealt with by this child ("taken"), or passed on to it: it fails as well, or
  -- takes the failure on until it is decided. A child that somebody cancelled does neither.
  local function note_failure(parent, child, effect, policy, on)
    if effect == 'neutral' or effect == 'skip' then return end
    if child.state == 'c' and not string.find(child.flags, '[ou]') then return end
    if effect ~= 'met' then
      parent.passed = true
    elseif on == 's' or policy ~= 'i' then
      parent.taken = true
    end
  end

  -- edge: {child, effect, parent, on, policy}. Edges that are counted are summed up by child first.
  local function sum_up(counted)
    local sums, order = {}, {}
    for _, edge in ipairs(counted) do
      local sum = sums[edge.child]
      if not sum then
        sum = { child = edge.child, left = 0, judges = {} }
        sums[edge.child], order[#order + 1] = sum, sum
      end
      sum.left = sum.left + 1
      if edge.effect ~= 'met' then
        sum[edge.effect] = (sum[edge.effect] or 0) + 1
        sum.odd = true
      end
      if edge.effect == 'lost' or not sum.parent then sum.parent = edge.parent.id end
      sum.early = sum.early or edge.early
      if edge.parent.failed then sum.judges[#sum.judges + 1] = edge end
    end
    return order
  end

  -- A task starts without some of those before it: their results would be for nobody.
  local function call_off_rivals(child)
    due_at(now, 'c' .. child.id)
    leave_marks(child.queue, '*', 1)
  end

  local function count_edges(counted)
    for _, sum in ipairs(sum_up(counted)) do
      local key = KEYS[1] .. 'need:' .. sum.child
      local left = redis.call('HINCRBY', key, 'left', -sum.left)
      if sum.odd then
        for _, effect in ipairs({ 'neutral', 'lost', 'skip', 'ignored' }) do
          if sum[effect] then redis.call('HINCRBY', key, effect, sum[effect]) end
        end
      end
      -- a plain join is looked at once, when its last parent has ended
      local need = (left == 0 or sum.odd or sum.early) and read_need(sum.child)
      local child = (need or #sum.judges > 0) and record_of(sum.child)
      local decision = need and child and decision_of(need)
      if decision == 'go' and need.early == '2' and need.left > 0 and child.state == 'w' then call_off_rivals(child) end
      if need and child then carry_out(decision, child, sum.parent, need.ignored) end
      for _, edge in ipairs(child and sum.judges or {}) do
        note_failure(edge.parent, child, edge.effect, edge.policy, edge.on)
      end
      if not need and left < 0 and redis.call('HEXISTS', key, 'of') == 0 then redis.call('DEL', key) end
    end
  end

  local function fire_singles(singles, counted)
    local keys = {}
    for i, edge in ipairs(singles) do keys[i] = KEYS[1] .. 't:' .. edge.child end
    for i, text in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or {}) do
      local edge, task = singles[i], text and read_record(text)
      if task then task.id = edge.child end
      if task and edge.policy == 'w' then
        the_waits().one_less(task)
        edge.parent.taken = true
      elseif task and string.find(task.flags, 'n', 1, true) then
        counted[#counted + 1] = edge -- it was given more edges later
      elseif task then
        local need = { of = 1, want = 0, left = 0, neutral = 0, lost = 0, skip = 0, ignored = 0 }
        if edge.effect ~= 'met' then need[edge.effect] = 1 end
        carry_out(decision_of(need), task, edge.parent.id, need.ignored)
        if edge.parent.failed then note_failure(edge.parent, task, edge.effect, edge.policy, edge.on) end
      end
    end
  end

  function kin.fire_edges(edges)
    local singles, counted = {}, {}
    for _, edge in ipairs(edges) do
      local list = edge.n == '' and singles or counted
      local asks = edge.effect == 'met' and edge.n ~= '' and edge.n ~= '0'
      if asks and (edge.on ~= 's' or edge.parent.ended == 's') then
        local tree = redis.call('HGET', KEYS[1] .. 'need:' .. edge.child, 'c' .. edge.n)
        if tree and not holds(tree, edge.parent.outcome) then edge.effect = 'neutral' end
      end
      list[#list + 1] = edge
    end
    fire_singles(singles, counted)
    count_edges(counted)
  end

  return kin
end
