--[[
work/enqueue: put up to 500 new tasks where they belong, all of one shard.

KEYS[1]  root      prefix of every key of the shard; the script touches nothing outside it

ARGV[1]  on_full   refuse (all or nothing) | wait (as many as fit) | force; a "!" behind it: also
                   while the fleet is read-only, see lib/readonly
ARGV[2...]         groups of tasks that differ only in id and arguments, each:
         spec        the record's spec line
         queue       its queue
         line        <priority><route>, and ~<tenant> if it has one
         delay       milliseconds from now, 0 = ready now; or @<milliseconds since 1970>
         expires_ms  queue timeout, 0 = none
         total_ms    total timeout, 0 = none
         unique      "" or the digest of the unique key; behind it what becomes of a task that waits
                     for its start when another comes: "" nothing, the other is held back; r it gets the
                     other's arguments; d so, and waits anew, at most until its key is free; k so, and
                     one that runs does not hold the other back: it waits for the end of that run
         unique_ms   0 = unique while the task lives, else for so long
         mailbox     "" or who shall hear of the end, see work/watch
         amount      how many tasks follow, each: id, args (a JSON object)

Returns  {"ok", s1, s2, ...}     one status per task in order: "+" accepted (also when it was accepted
                                 by an earlier call with the same id), "=<id>" held back: <id> holds its
                                 unique key, "-" no room
         {"full", queue, depth, high, bytes, max_bytes}  nothing was changed
         an error STOPPED <who and why>: the fleet is read-only, nothing was changed

Enqueueing an id twice has one effect, so a call whose reply was lost may simply be made again.
]]
local orders_at, make_room = 1, nil
--- @include lib/clock
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/readonly
--- @include lib/place
return insists == '' and stopped() or place_groups()
