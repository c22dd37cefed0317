--[[
work/bury: every claim of a worker goes back at once, because it is known to be dead.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead, such as a fleet spawner or an operator
ARGV[2]  worker    its name
ARGV[3]  cursor    0 to begin, then what the last call returned
ARGV[4]  reason    crash (each costs a strike) | shutdown (costs nothing)

Returns  {cursor, given_back}
         cursor    0 when all claims have been seen, else call again with it

Silence is no proof of death: what a worker that lives is robbed of runs twice. The proof is that all
its processes have ended. What it claims after a page was read is for the next page, or its lease.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/giveback
local PAGE = 500
local refused = deposed(ARGV[1])
if refused then return refused end
local crash = ARGV[4] == 'crash'
local page = redis.call('ZSCAN', KEYS[1] .. 'lease', ARGV[3], 'COUNT', PAGE)
local given_back = 0
for i = 1, #page[2], 2 do
  local member = page[2][i]
  local task = record_of(string.sub(member, 1, 22))
  local held = task and task.state == 'r' and task.fence == string.sub(member, 24)
  -- not deny-oom, so first: a full Redis must be able to shrink
  if held and string.match(task.worker, '^[^/]+') == ARGV[2]
    and redis.call('ZREM', KEYS[1] .. 'lease', member) == 1 then
    give_back(task, crash and 'crashed' or 'released', crash)
    given_back = given_back + 1
  end
end
close_books()
return { page[1], given_back }
