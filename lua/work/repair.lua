--[[
work/repair: look again at what an audit suspects, and put right what is wrong indeed.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  mode      repair | look: say what is wrong and change nothing
ARGV[3...]         suspects, at most 1000, each: kind, subject
         task      an id: all that is kept about a task beside its record, but its place in line
         standing  an id: whether a ready task stands in its line; slow when the line is long
         line      <queue>:<line>: whether its queue knows of it
         lease     id|fence: whether such a claim exists
         due       a member: whether it has a task that still waits for it
         dead      an id: whether it is a dead letter
         cancel    an id: whether it runs
         payload, saved, need, kids  an id: whether its task exists
         flow      an id: whether its account is right, unless it has more than 20,000 tasks, and in which
                   books it stands
         left      <id> <token> <open>: whether so many tasks of a flow are left, see flow/tally
         ripple    an id: whether the rest of its edges is fired soon
         orphan    <id> <edges into it> <id>,...: whether any of those before it goes on
         waiting   an id: whether it waits
         listening <id> <signal>: whether it waits for that
         unique    a digest: whether its holder lives, unless it is held for a time
         queue     a name: whether it is listed
         slot      of a limit: whether those that hold it run
         park      a slot: whether its parked tasks are ready, and will be brought back

Returns  {subject, wrong, ...}  what was found, in words that say in mode repair what was done about
         it; an event "repaired" says the same. What is right is not in the list

A suspicion may be wrong, because an audit reads page by page while work goes on. Here each is judged
in one step, by the record of its task.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/heads
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
--- @include lib/giveback
--- @include lib/mend
--- @include lib/mend_limits
--- @include lib/mend_wait
--- @include lib/mend_flow
--- @include lib/mend_task
--- @include lib/mend_books
local refused = deposed(ARGV[1])
if refused then return refused end
-- not deny-oom, so first: what is wrong when Redis is full can be put right as well
redis.call('PERSIST', KEYS[1] .. 'lease')
local menders = {
  task = mend_task, standing = mend_standing, line = mend_line, lease = mend_lease, due = mend_due,
  dead = mend_dead, cancel = mend_cancel, payload = mend_payload, unique = mend_unique, queue = mend_queue,
  slot = mend_slot, park = mend_park, orphan = mend_orphan, listening = mend_listening,
  ripple = mend_ripple, waiting = mend_listed, flow = mend_flow,
  left = mend_flow_left,
  saved = mend_leftover('saved:', 'what was kept by a task that there is not'),
  need = mend_leftover('need:', 'what a task needed that there is not'),
  kids = mend_leftover('kids:', 'edges from a task that there is not'),
}
for at = 3, #ARGV, 2 do menders[ARGV[at]](ARGV[at + 1]) end
close_books()
return findings
