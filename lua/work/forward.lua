--[[
work/forward: what is due becomes ready, also when nobody claims.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead

Returns  {done, next_due_ms}
         done         how many due moments were dealt with, at most 100
         next_due_ms  from now until something is due, 0 when something is, -1 when nothing is scheduled
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
local refused = deposed(ARGV[1])
if refused then return refused end
-- fails here when a stranger's key is in the way, and not when tasks have left the due moments
redis.call('ZCARD', KEYS[1] .. 'lease')
local next_due, done = promote()
close_books()
return { done, next_due and math.max(0, math.ceil(next_due - now)) or -1 }
