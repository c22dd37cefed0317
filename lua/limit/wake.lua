--[[
limit/wake: a limit has changed: parked tasks that it lets go now stand in their lines, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      the limit
ARGV[2]  cursor    0 to begin, then what the last call returned

Returns  the next cursor; "0" when all have been looked at
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
local name = ARGV[1]
-- not deny-oom, so first: a full Redis must be able to drain
redis.call('PERSIST', KEYS[1] .. 'lease')
local page = redis.call('SSCAN', KEYS[1] .. 'parks', ARGV[2], 'COUNT', 100)
for _, slot in ipairs(page[2]) do
  if slot == name or string.sub(slot, 1, #name + 1) == name .. ':' then the_slots().wake(slot) end
end
write_counts()
write_events()
return page[1]
