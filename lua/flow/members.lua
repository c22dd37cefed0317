--[[
flow/members: a page of a flow's graph, and how its tasks stand.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  page      number of the page, from 0

Returns  {pages, graph, life, spec, outcome, ...}
         pages     how many there are; {0} when there is no such flow, {pages} behind the last
         graph     JSON, as flow/submit was given it
         life, spec, outcome   of each of its nodes, in order: the first two lines of the record, and the
                   last one where it is no result; all "" when the record is gone
]]
--- @include lib/record
local key = KEYS[1] .. 'flow:' .. ARGV[1] .. ':graph'
local reply = { redis.call('LLEN', key) }
local graph = redis.call('LINDEX', key, ARGV[2])
if not graph then return reply end
reply[2] = graph
local keys = {}
for i, node in ipairs(cjson.decode(graph).nodes) do keys[i] = KEYS[1] .. 't:' .. node[1] end
for _, text in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or {}) do
  local life, spec, outcome = '', '', ''
  if text then
    life, spec = string.match(text, '^([^\n]*)\n?([^\n]*)')
    local task = read_record(text)
    if task and task.state ~= 's' then outcome = string.sub(text, args_end(task) + 2) end
  end
  reply[#reply + 1] = life
  reply[#reply + 1] = spec
  reply[#reply + 1] = outcome
end
return reply
