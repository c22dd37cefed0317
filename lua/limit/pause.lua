--[[
limit/pause: nothing that counts against a limit, or one key of it, starts for a while.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  slot      "<limit>" or "<limit>:<key>"; there need not be such a limit
ARGV[2]  ms        from now; 0 ends the pause; -1 until it is ended

Returns  how long it is paused now, in milliseconds; -1 until it is ended

What runs goes on. A longer pause is not made shorter, unless by 0. Parked tasks come back when it is
over; when it was ended, those of further keys with limit/wake.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
local slot, ms = ARGV[1], tonumber(ARGV[2])
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', KEYS[1] .. 'pauses')
if ms == 0 then
  the_slots().resume(slot)
else
  the_slots().pause(slot, ms < 0 and the_slots().FOR_EVER or now + ms)
end
write_counts()
write_events()
local until_ms = tonumber(redis.call('ZSCORE', KEYS[1] .. 'pauses', slot) or 0)
if until_ms >= the_slots().FOR_EVER then return -1 end
return math.max(0, until_ms - now)
