--[[
work/claim_one: one browsed task, if it is still as it was seen.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  claimant  as in work/claim
ARGV[2]  nonce     as in work/claim
ARGV[3]  lease_ms  as in work/claim
ARGV[4]  id        the task
ARGV[5]  version   as it was seen; -1 for any

Returns  {"ok", id, record}
         {"conflict", state, version, worker}  it has moved on
         {"limited", slot}  that limit does not let it start now, see lib/slot; nothing was changed
         {"missing"}
         {"foreign"}  its record was not written by coordq
         an error STOPPED <who and why>: the fleet is read-only, nothing was changed
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
--- @include lib/grant
--- @include lib/readonly
local before = granted_before(ARGV[1], ARGV[2])
if before and before[1] then return { 'ok', before[1], before[2] } end
local refused = stopped()
if refused then return refused end
local task = record_of(ARGV[4])
if not task then
  return { redis.call('EXISTS', KEYS[1] .. 't:' .. ARGV[4]) == 1 and 'foreign' or 'missing' }
end
local version = tonumber(ARGV[5])
if task.state ~= 'q' or version >= 0 and version ~= task.version then
  return { 'conflict', task.state, task.version, task.worker }
end
-- not deny-oom, so first: work that was accepted goes on when Redis is full
redis.call('ZCARD', KEYS[1] .. 'lease')
redis.call('PERSIST', KEYS[1] .. 'lease')
if the_slots().exist() then
  local slot = the_gate().refused(task)
  if slot then return { 'limited', slot } end
  the_slots().unpark(task)
  the_gate().charge(task)
end
local reply = grant({ task }, ARGV[1], ARGV[2], tonumber(ARGV[3]))
write_counts()
write_events()
return { 'ok', reply[1], reply[2] }
