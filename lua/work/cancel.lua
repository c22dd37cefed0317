--[[
work/cancel: a task shall not run, or not go on.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  id        the task
ARGV[2]  reason    why, for its record

Returns  {"cancelled"}          it was not running: it has ended
         {"requested", worker}  it runs: its worker was told, and is reminded with each work/beat
         {"ended", state}       it had ended already: nothing was changed
         {"missing"}
         {"foreign"}            its record was not written by coordq
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
--- @include lib/cancel
local id = ARGV[1]
-- not deny-oom, so first: a full Redis must be able to shrink
redis.call('PERSIST', KEYS[1] .. 'lease')
local task = record_of(id)
if not task then return { redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 1 and 'foreign' or 'missing' } end
if string.find('sfc', task.state, 1, true) then return { 'ended', task.state } end
local answer = cancel_task(task, ARGV[2])
close_books()
return answer
