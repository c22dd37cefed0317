--[[
flow/tidy: flows whose time is over go, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  limit     how many tasks to delete, 1 to 1000

Returns  {tasks, flows, due_in_ms}
         tasks     how many were deleted
         flows     1 when that was the last page of one
         due_in_ms until there is something to delete, 0 for at once; -1 when there never is

ZSET flows:ended says when: a flow that has ended at the end of its time to live, one that was never launched
an hour after its first page came.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/forget
local refused = deposed(ARGV[1])
if refused then return refused end
-- not deny-oom, so first: above all a full Redis must be tidied
redis.call('PERSIST', KEYS[1] .. 'lease')
local tasks, flows = 0, 0
local first = redis.call('ZRANGE', KEYS[1] .. 'flows:ended', 0, 0, 'WITHSCORES')
if first[1] and tonumber(first[2]) <= now then
  local answer
  answer, tasks = forget_flow(first[1], tonumber(ARGV[2]))
  if answer == 'done' then flows = 1 end
  -- it runs: the book is wrong
  if answer ~= 'done' and answer ~= 'more' then redis.call('ZREM', KEYS[1] .. 'flows:ended', first[1]) end
  first = redis.call('ZRANGE', KEYS[1] .. 'flows:ended', 0, 0, 'WITHSCORES')
end
return { tasks, flows, first[1] and math.max(0, math.ceil(first[2] - now)) or -1 }
