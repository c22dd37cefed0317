--[[
flow/submit: a page of a flow that is being built, up to 500 nodes; flow/launch starts it.

Likewise a page of what shall be added to a flow that runs, when that is more than a page: it is staged under an
id of its own, as if it were a flow, and becomes part of the other all at once, by flow/grow.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  passed    how many nodes the pages before this one had
ARGV[3]  force     "!" also while the fleet is read-only, else ""
ARGV[4]  into      "" or the flow that it shall be added to; the specs of its nodes name that one
ARGV[5]  graph     JSON for whoever looks at the flow later: {"nodes":[[id,key,name,queue,kind],...],
                   "edges":[[from,to,on,policy,condition text or null],...]}
ARGV[6...]         nodes, needs and lists of edges, see lib/member; whose parent is the flow, waits for
                   nothing else; each comes in the same page as the first of them that it concerns, or later;
                   an edge into a task of the flow that it is added to ends with "?"

Returns  "ok"      also when the page, or the whole flow, was there already
         "gap"     an earlier page is missing; it may have been swept away, because nobody launched the
                   flow within an hour
         "taken"   a task has the id of one of the nodes: nothing was changed
         an error STOPPED <who and why>: the fleet is read-only, nothing was changed

Marks of queues do not count here: a flow is taken whole, or not at all.
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/readonly
--- @include lib/member
local UNLAUNCHED_MS = 3600000
local flow, passed = ARGV[1], tonumber(ARGV[2])
local into, built = ARGV[4], ARGV[4] == '' and 'building' or 'staged'
local key = KEYS[1] .. 'flow:' .. flow
local state = redis.call('HGET', key, 'state')
if state == 'swept' then return 'gap' end
if state and state ~= built then return 'ok' end
if into ~= '' and redis.call('HEXISTS', KEYS[1] .. 'flow:' .. into, 'g:' .. flow) == 1 then return 'ok' end
local refused = ARGV[3] == '' and stopped()
if refused then return refused end
local there = redis.call('LLEN', key .. ':ids')
if there > passed then return 'ok' end
if there < passed then return 'gap' end
local nodes, at = read_nodes(6)
if not write_nodes(nodes) then return 'taken' end
local ids = {}
for i, node in ipairs(nodes) do ids[i] = node.id end
if #ids > 0 then redis.call('RPUSH', key .. ':ids', unpack(ids)) end
local needs
needs, at = read_needs(at)
for _, need in ipairs(needs) do write_need(need) end
for _, list in ipairs(read_lists(at)) do
  if into ~= '' then finish_edges(list) end
  write_list(list)
end
redis.call('RPUSH', key .. ':graph', ARGV[5])
if not state then
  redis.call('HSET', key, 'state', built, 'created', now)
  if into == '' then
    redis.call('ZADD', KEYS[1] .. 'flows', now, flow)
    redis.call('ZADD', KEYS[1] .. 'flows:open', now, flow)
  end
  redis.call('ZADD', KEYS[1] .. 'flows:ended', now + UNLAUNCHED_MS, flow)
end
redis.call('HINCRBY', key, 'total', #ids)
redis.call('HINCRBY', key, 'left', #ids)
write_events()
return 'ok'
