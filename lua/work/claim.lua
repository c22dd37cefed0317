--[[
work/claim: the best ready tasks for one claimant, which holds them for a lease.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  claimant  <worker>/<child>:<line>; the part before ':' becomes the record's worker
ARGV[2]  nonce     new for every call, the same when a call is repeated after a lost reply
ARGV[3]  want      how many at most, 1 to 1000
ARGV[4]  lease_ms  how long they are held unless a beat extends it
ARGV[5]  queues    "queue queue ...", in order of preference
ARGV[6]  served    " route route ... ": what the claimant can do, with a space at both ends

Returns  {{id, record, ...}, next_due_ms, more, routes}
         next_due_ms  from now until something is due, -1 when nothing is scheduled
         more         1 when there may be more for this claimant right now
         routes       size of the set of routes with requirements: when it changes, read it again
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
-- In a function of its own, as lua/README says of what a call costs.
local function claim()
--- @include lib/settle
--- @include lib/promote
--- @include lib/grant
  local reply, more = granted_before(ARGV[1], ARGV[2]), 0
  local next_due
  -- fails here when a stranger's key is in the way, and not when tasks have left their lines
  redis.call('ZCARD', KEYS[1] .. 'lease')
  if not reply then
    next_due = promote()
    local tasks
    tasks, more = choose(ARGV[5], ARGV[6], tonumber(ARGV[3]))
    reply = grant(tasks, ARGV[1], ARGV[2], tonumber(ARGV[4]))
    if more == 1 then pass_on(ARGV[5], ARGV[6]) end
    close_books()
  end
  if made_slots then next_due = made_slots.next_due(next_due, #reply > 0) end
  local wait_ms = next_due and math.max(0, math.floor(next_due - now)) or -1
  return { reply, wait_ms, more, redis.call('SCARD', KEYS[1] .. 'routes') }
end
return claim()
