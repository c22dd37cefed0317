--[[
lib/member: tasks are written as members of a flow, and learn what they wait for.

Shared by flow/submit, flow/grow and work/depend, whose headers point here for how nodes and edges come:

  amount, then nodes, each: id, flags ("-" or letters of lib/flow), spec, args (a JSON object)
  amount, then needs, each: child, edges in all, want, early, how many conditions, condition, ...
    early: 1 or 0; or the ids, in a row, of those that are cancelled when the child starts without them
  amount, then lists, each: parent, how many edges, edge, ...   for LIST kids:<parent>, see lib/edges

A child with one plain edge has no need. A parent of these nodes that is one of them has its edges in its
spec (option e) when they are at most eight, else here and the flag m.
]]
local MEMBER_ARGS_MAX = 2048

local function learn_requirement(spec)
  local queue, name = string.match(spec, '^([^ ]+) ([^ ]+)')
  local requirement = string.match(spec, ' r=([^ ]+)')
  if not requirement then return end
  local route = name .. '@' .. requirement
  if redis.call('SADD', KEYS[1] .. 'routes', queue .. ' ' .. route) == 0 then return end
  local workers = redis.call('ZCOUNT', KEYS[1] .. 'workers', now - 60000, '+inf')
  if workers > 0 then leave_marks(queue, '*', math.min(400, 8 * workers)) end
end

-- Reads nodes from ARGV[at]; returns them and where what follows stands.
local function read_nodes(at)
  local nodes, amount = {}, tonumber(ARGV[at])
  for i = 1, amount do
    local first = at + 4 * (i - 1)
    nodes[i] = { id = ARGV[first + 1], flags = ARGV[first + 2], spec = ARGV[first + 3], args = ARGV[first + 4] }
  end
  return nodes, at + 1 + 4 * amount
end

-- Returns false, and writes nothing, when one of their ids is a task's already.
local function write_nodes(nodes)
  if #nodes == 0 then return true end
  local records, due, queues = {}, {}, {}
  for _, node in ipairs(nodes) do
    local body = node.args
    if #body > MEMBER_ARGS_MAX then
      records[#records + 1], records[#records + 2] = KEYS[1] .. 'p:' .. node.id, body
      body = '@'
    end
    local bare = node.flags == '-' and not node.mailbox
    local life = bare and 'w1' or 'w1 0 0 0 0 - ' .. (node.mailbox or '-') .. ' ' .. node.flags
    records[#records + 1] = KEYS[1] .. 't:' .. node.id
    records[#records + 1] = life .. '\n' .. node.spec .. '\n' .. body
    local total_ms = string.match(node.spec, ' d=(%d+)')
    if total_ms then
      due[#due + 1] = string.format('%.0f', now + total_ms)
      due[#due + 1] = 'y' .. node.id
    end
  end
  if redis.call('MSETNX', unpack(records)) == 0 then return false end
  if #due > 0 then redis.call('ZADD', KEYS[1] .. 'due', unpack(due)) end
  for _, node in ipairs(nodes) do
    local queue, name = string.match(node.spec, '^([^ ]+) ([^ ]+)')
    learn_requirement(node.spec)
    queues[queue] = true
    event(node.id, 'waiting', { version = 1, fence = '0', queue = queue, name = name })
  end
  for queue in pairs(queues) do redis.pcall('SADD', KEYS[1] .. 'queues', queue) end
  return true
end

-- Reads needs from ARGV[at]; returns them and where what follows stands.
local function read_needs(at)
  local needs, amount = {}, tonumber(ARGV[at])
  at = at + 1
  for i = 1, amount do
    local conditions = tonumber(ARGV[at + 4])
    needs[i] = { child = ARGV[at], of = ARGV[at + 1], want = ARGV[at + 2], early = ARGV[at + 3], first = at + 5,
      conditions = conditions }
    at = at + 5 + conditions
  end
  return needs, at
end

local function write_need(need)
  local fields = { 'of', need.of, 'left', need.of }
  if need.want ~= '0' then fields[#fields + 1], fields[#fields + 2] = 'want', need.want end
  if need.early == '1' then
    fields[#fields + 1], fields[#fields + 2] = 'early', '1'
  elseif need.early ~= '0' then
    for _, word in ipairs({ 'early', '2', 'rivals', need.early }) do fields[#fields + 1] = word end
  end
  redis.call('HSET', KEYS[1] .. 'need:' .. need.child, unpack(fields))
  for i = 1, need.conditions do
    redis.call('HSET', KEYS[1] .. 'need:' .. need.child, 'c' .. i, ARGV[need.first + i - 1])
  end
end

-- Reads lists of edges from ARGV[at].
local function read_lists(at)
  local lists, amount = {}, tonumber(ARGV[at])
  at = at + 1
  for i = 1, amount do
    local size = tonumber(ARGV[at + 1])
    lists[i] = { parent = ARGV[at], first = at + 2, last = at + 1 + size }
    at = at + 2 + size
  end
  return lists
end

-- Edges into tasks that exist already, "<...>?", learn whether these wait for all of theirs.
local function finish_edges(list)
  local early = {}
  for at = list.first, list.last do
    local text, child = string.match(ARGV[at], '^((.*)..0)%?$')
    if text and early[child] == nil then
      early[child] = redis.call('HEXISTS', KEYS[1] .. 'need:' .. child, 'early') == 1 and '!' or ''
    end
    if text then ARGV[at] = text .. early[child] end
  end
end

local function write_list(list)
  for first = list.first, list.last, 2000 do
    redis.call('RPUSH', KEYS[1] .. 'kids:' .. list.parent, unpack(ARGV, first, math.min(first + 1999, list.last)))
  end
end
