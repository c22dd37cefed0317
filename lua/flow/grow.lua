--[[
flow/grow: tasks and edges are added to a flow that runs, by one of its tasks or from outside.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id; "" for tasks without a flow that wait for others
ARGV[2]  member    "id|fence": the claim of the task that adds them; "" from outside
ARGV[3]  force     "!" also while the fleet is read-only, else ""; who runs already is not asked
ARGV[4]  mailbox   "" or who shall hear of the end of each of these tasks, see work/watch
ARGV[5]  staged    "" or the id under which flow/submit has staged the nodes, all of them
ARGV[6]  graph     JSON as in flow/submit, or ""
ARGV[7...]         nodes and needs, see lib/member; their specs hold no edges, and a node with any edge
                   into it has a need or is counted as the child of a single one
                   then amount, and edges, each: parent, child, <on><policy>, n (see lib/edges; "?" when the
                   child exists already), condition ("" for none; of an existing child only)
                   then, when nodes are staged, amount, and pairs: a child that exists already, and how many
                   of the edges that were staged lead into it; there are no nodes and needs then, and the
                   edges are those that were not staged, as each has an end that existed already

Returns  {"ok"}    also for what an earlier call did: nodes that exist are passed over, with the edges into
                   them, and so are edges that exist
         {"missing"}  there is no such flow
         {"ended", state}  it has ended, is being cancelled, or was not launched: nothing was changed
         {"gap"}      nothing is staged under that id, or no more: nothing was changed
         {"stale"}    the claim is no longer held: nothing was changed
         {"unknown", id}  there is no such parent, or child: nothing was changed
         {"late", id, state}  that child waits no more, or stands in for a task: nothing was changed
         {"cycle", id, id, ...}  tasks would wait for each other for ever, each for the next: nothing was
                   changed
         an error STOPPED <who and why>: the fleet is read-only, nothing was changed

A parent that has ended counts at once. Only tasks that wait can be given a parent, or be on a cycle.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/readonly
--- @include lib/member
local ENDED = 'sfc'
local flow, mailbox, staged = ARGV[1], ARGV[4], ARGV[5]
local account = KEYS[1] .. 'flow:' .. flow
local known, fresh = {}, {} -- records of tasks that exist, by id; nodes that do not

local function refused()
  if flow ~= '' then
    local facts = redis.call('HMGET', account, 'state', 'cancel')
    if not facts[1] then return { 'missing' } end
    if facts[1] ~= 'running' or facts[2] then return { 'ended', facts[2] and 'cancelled' or facts[1] } end
  end
  if ARGV[2] == '' then return ARGV[3] == '' and stopped() or nil end
  if not redis.call('ZSCORE', KEYS[1] .. 'lease', ARGV[2]) then return { 'stale' } end
  return nil
end

local function read_edges(at)
  local edges, amount = {}, tonumber(ARGV[at])
  for i = 1, amount do
    local first = at + 5 * (i - 1)
    edges[i] = { parent = ARGV[first + 1], child = ARGV[first + 2], kind = ARGV[first + 3], n = ARGV[first + 4],
      condition = ARGV[first + 5] }
  end
  return edges, at + 1 + 5 * amount
end

-- {child, amount}: edges that are staged; or what is wrong with one of these children.
local function read_joins(at)
  local joins = {}
  for i = 1, staged ~= '' and tonumber(ARGV[at]) or 0 do
    local id = ARGV[at + 2 * i - 1]
    local child = record_of(id)
    if not child then return nil, { 'unknown', id } end
    if child.state ~= 'w' or option(child, 'a') then return nil, { 'late', id, child.state } end
    known[id] = child
    joins[i] = { child = id, amount = tonumber(ARGV[at + 2 * i]) }
  end
  return joins, nil
end

local function look_at(id)
  if known[id] == nil and not fresh[id] then known[id] = record_of(id) or false end
  return known[id]
end

-- Edges that are not there yet, or what is wrong with one.
local function new_edges(edges)
  local found = {}
  for _, edge in ipairs(edges) do
    local parent, child = look_at(edge.parent), look_at(edge.child)
    local made = edge.n ~= '?' and child -- with its child, by an earlier call
    if not parent and not fresh[edge.parent] then return nil, { 'unknown', edge.parent } end
    if not child and not fresh[edge.child] then return nil, { 'unknown', edge.child } end
    if not made and child and not fresh[edge.parent] then
      for _, text in ipairs(redis.call('LRANGE', KEYS[1] .. 'kids:' .. edge.parent, 0, -1)) do
        made = made or string.sub(text, 1, 24) == edge.child .. edge.kind
      end
    end
    if not made then
      if child and (child.state ~= 'w' or option(child, 'a')) then return nil, { 'late', edge.child, child.state } end
      found[#found + 1] = edge
    end
  end
  return found, nil
end

-- The path of a cycle that the edges would close, or nil. Whoever has no parent closes none. Those of joins
-- stand in their lists already.
local function cycle_of(edges, joins)
  local children, has_parent, targets, suspects = {}, {}, {}, {}
  for _, edge in ipairs(edges) do
    children[edge.parent] = children[edge.parent] or {}
    table.insert(children[edge.parent], edge.child)
    has_parent[edge.child] = true
  end
  for _, edge in ipairs(edges) do
    if not fresh[edge.child] and (not fresh[edge.parent] or has_parent[edge.parent]) then
      if not targets[edge.child] then
        targets[edge.child] = {}
        suspects[#suspects + 1] = edge.child
      end
      targets[edge.child][edge.parent] = true
    end
  end
  for _, join in ipairs(joins) do
    if not targets[join.child] then suspects[#suspects + 1] = join.child end
    targets[join.child] = targets[join.child] or {}
  end
  for _, child in ipairs(suspects) do
    if targets[child][child] then return { child, child } end
    targets[child][child] = #joins > 0 or nil
    local path = the_waits().way_to(child, targets[child], children)
    if path then
      if path[1] ~= path[#path] then path[#path + 1] = path[1] end
      return path
    end
  end
  return nil
end

-- A task that exists counts so many edges more.
local function count_more(id, amount)
  local child, key = known[id], KEYS[1] .. 'need:' .. id
  if not string.find(child.flags, 'n', 1, true) then
    redis.call('HSET', key, 'of', 1, 'left', 1) -- for the edge that it was made with
    add_flag(child, 'n')
    redis.call('SET', KEYS[1] .. 't:' .. child.id, write_record(child))
  end
  redis.call('HINCRBY', key, 'of', amount)
  redis.call('HINCRBY', key, 'left', amount)
end

-- Who is cancelled when that task starts without it. Returns whether it may start without any.
local function add_rivals(id, ids)
  local key = KEYS[1] .. 'need:' .. id
  local early = redis.call('HGET', key, 'early')
  if early == '2' then redis.call('HSET', key, 'rivals', (redis.call('HGET', key, 'rivals') or '') .. ids()) end
  return early
end

-- A task that exists counts one edge more; returns what the edge says of itself.
local function counted_edge(edge)
  local key = KEYS[1] .. 'need:' .. edge.child
  count_more(edge.child, 1)
  local early = add_rivals(edge.child, function() return edge.parent end) and '!' or ''
  if edge.condition == '' then return '0' .. early end
  local n = 'x' .. redis.call('HINCRBY', key, 'more', 1)
  redis.call('HSET', key, 'c' .. n, edge.condition)
  return n .. early
end

-- Who counts for a parent: itself, or the last of those who took its place.
local function last_of(task)
  for _ = 1, 100 do
    local id = task.state == 'f' and option(task, 'k')
    local other = id and record_of(id)
    if not other or not string.find(other.flags, 'v', 1, true) then break end
    task = other
  end
  return task
end

-- The edges of one parent: it keeps them, and those of one that has ended count at once.
local function hang_on(parent, texts, at_once)
  local task = known[parent]
  local over = task and string.find(ENDED, task.state, 1, true)
  if not over or option(task, 'f') then
    for first = 1, #texts, 2000 do
      redis.call('RPUSH', KEYS[1] .. 'kids:' .. parent, unpack(texts, first, math.min(first + 1999, #texts)))
    end
  end
  if not task then return end
  if not string.find(task.flags, 'm', 1, true) and (not over or option(task, 'f')) then
    add_flag(task, 'm')
    redis.call('SET', KEYS[1] .. 't:' .. parent, write_record(task), 'KEEPTTL')
  end
  if not over or redis.call('HEXISTS', KEYS[1] .. 'rippling', parent) == 1 then return end
  if string.find(task.flags, 'y', 1, true) then return end
  local last = last_of(task)
  if not string.find(ENDED, last.state, 1, true) then return end
  for _, text in ipairs(texts) do at_once[#at_once + 1] = { task = last, text = text } end
end

local function write_edges(edges)
  local by_parent, order, at_once = {}, {}, {}
  for _, edge in ipairs(edges) do
    local n = edge.n
    if n == '?' then n = counted_edge(edge) end
    if not by_parent[edge.parent] then
      by_parent[edge.parent] = {}
      order[#order + 1] = edge.parent
    end
    table.insert(by_parent[edge.parent], edge.child .. edge.kind .. n)
  end
  for _, parent in ipairs(order) do hang_on(parent, by_parent[parent], at_once) end
  return at_once
end

-- Nodes that do not exist, with the flag m when edges lead from them.
local function write_fresh(nodes, edges)
  local leads, ids, roots = {}, {}, {}
  for _, edge in ipairs(edges) do
    leads[edge.parent] = true
    roots[edge.child] = false
  end
  for i, node in ipairs(nodes) do
    if leads[node.id] then add_flag(node, 'm') end
    node.mailbox = mailbox ~= '' and mailbox or nil
    ids[i] = node.id
    if flow == '' then redis.call('ZADD', KEYS[1] .. 'waiting', now, node.id) end
  end
  if not write_nodes(nodes) then return nil end
  if flow ~= '' and #ids > 0 then
    redis.call('RPUSH', account .. ':ids', unpack(ids))
    redis.call('HINCRBY', account, 'total', #ids)
    redis.call('HINCRBY', account, 'left', #ids)
  end
  local free = {}
  for _, node in ipairs(nodes) do
    -- an alternative waits for a failure
    if roots[node.id] == nil and not string.find(node.spec, ' a=', 1, true) then free[#free + 1] = node.id end
  end
  -- roots of the flow from now on: a retry starts them with the others
  if flow ~= '' then
    for _, id in ipairs(free) do redis.call('RPUSH', KEYS[1] .. 'kids:' .. flow, id .. 'af') end
  end
  return free
end

-- The rest of a list goes behind another one.
local function move_list(from, to)
  for first = 0, redis.call('LLEN', from) - 1, 2000 do
    redis.call('RPUSH', to, unpack(redis.call('LRANGE', from, first, first + 1999)))
  end
end

-- The ids, in a row, of what is staged and has an edge to a task.
local function staged_before(child)
  local found = {}
  for _, id in ipairs(redis.call('LRANGE', KEYS[1] .. 'flow:' .. staged .. ':ids', 0, -1)) do
    for _, edge in ipairs(redis.call('LRANGE', KEYS[1] .. 'kids:' .. id, 0, -1)) do
      if string.sub(edge, 1, 22) == child then found[#found + 1] = id end
    end
  end
  return table.concat(found)
end

-- What is staged becomes part of the flow. Returns who has roots to release: the flow, from its old ones on.
local function take_over(joins)
  local key, roots = KEYS[1] .. 'flow:' .. staged, KEYS[1] .. 'kids:' .. flow
  local amount, passed = redis.call('LLEN', key .. ':ids'), redis.call('LLEN', roots)
  for _, join in ipairs(joins) do
    count_more(join.child, join.amount)
    add_rivals(join.child, function() return staged_before(join.child) end)
  end
  move_list(key .. ':ids', account .. ':ids')
  move_list(key .. ':graph', account .. ':graph')
  move_list(KEYS[1] .. 'kids:' .. staged, roots)
  redis.call('HINCRBY', account, 'total', amount)
  redis.call('HINCRBY', account, 'left', amount)
  redis.call('HSET', account, 'g:' .. staged, amount)
  redis.call('UNLINK', key, key .. ':ids', key .. ':graph', KEYS[1] .. 'kids:' .. staged)
  redis.call('ZREM', KEYS[1] .. 'flows:ended', staged)
  -- it is on its way through them just now, and comes to these as well
  if redis.call('HEXISTS', KEYS[1] .. 'rippling', flow) == 1 then return {}, amount end
  return { { id = flow, ended = 's', flow = flow, passed_over = passed } }, amount
end

local function grow()
  if staged ~= '' and redis.call('HEXISTS', account, 'g:' .. staged) == 1 then return { 'ok' } end
  local no = refused()
  if no then return no end
  if staged ~= '' and redis.call('HGET', KEYS[1] .. 'flow:' .. staged, 'state') ~= 'staged' then return { 'gap' } end
  local nodes, needs_at = read_nodes(7)
  local new = {}
  for _, node in ipairs(nodes) do
    if not look_at(node.id) then
      new[#new + 1], fresh[node.id] = node, true
      known[node.id] = nil
    end
  end
  local needs, edges_at = read_needs(needs_at)
  local asked, joins_at = read_edges(edges_at)
  for _, edge in ipairs(staged ~= '' and asked or {}) do
    if edge.n ~= '?' then fresh[edge.child] = true end
  end
  local joins, unfit = read_joins(joins_at)
  if unfit then return unfit end
  local edges, wrong = new_edges(asked)
  if wrong then return wrong end
  local path = cycle_of(edges, joins)
  if path then return { 'cycle', unpack(path) } end
  if #new == 0 and #edges == 0 and staged == '' then return { 'ok' } end
  local free = write_fresh(new, edges)
  if not free then return { 'unknown', new[1].id } end
  for _, need in ipairs(needs) do
    if fresh[need.child] then write_need(need) end
  end
  local roots, added = {}, #new
  if staged ~= '' then roots, added = take_over(joins) end
  if flow ~= '' and (ARGV[6] ~= '' or staged ~= '') then
    if ARGV[6] ~= '' then redis.call('RPUSH', account .. ':graph', ARGV[6]) end
    event(flow, 'flow-grown', { version = 1, fence = '0', queue = '-', name = redis.call('HGET', account, 'name') or '-' },
      tostring(added))
  end
  the_flows().join_in(flow, free, write_edges(edges))
  if #roots > 0 then the_flows().ripple(roots) end
  close_books()
  return { 'ok' }
end

return grow()
