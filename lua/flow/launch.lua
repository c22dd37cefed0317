--[[
flow/launch: a flow whose pages are all there starts: what waits for nothing is ready.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  name      for people
ARGV[3]  total     how many nodes it has
ARGV[4]  ttl_s     how long it can be looked at after its end
ARGV[5]  mailbox   "" or who shall hear of its end: a letter "<id>\n<JSON: id, name, state>"
ARGV[6]  about     JSON: description, labels, milestones
ARGV[7]  force     "!" also while the fleet is read-only, else ""

Returns  "ok"      also when an earlier call did it
         "missing" there is no such flow; it may have been swept away
         "gap"     it has not that many nodes
         an error STOPPED <who and why>: the fleet is read-only, nothing was changed
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/readonly
local flow, total = ARGV[1], tonumber(ARGV[3])
local key = KEYS[1] .. 'flow:' .. flow
local state = redis.call('HGET', key, 'state')
if not state or state == 'swept' then return 'missing' end
if state ~= 'building' then return 'ok' end
local refused = ARGV[7] == '' and stopped()
if refused then return refused end
if redis.call('LLEN', key .. ':ids') ~= total then return 'gap' end
redis.call('HSET', key, 'state', 'running', 'started', now, 'name', ARGV[2], 'ttl_s', ARGV[4],
  'mailbox', ARGV[5], 'about', ARGV[6])
redis.call('ZADD', KEYS[1] .. 'flows:open', now, flow)
redis.call('ZREM', KEYS[1] .. 'flows:ended', flow)
event(flow, 'flow-started', { version = 1, fence = '0', queue = '-', name = ARGV[2] }, ARGV[3])
the_flows().launch(flow)
close_books()
return 'ok'
