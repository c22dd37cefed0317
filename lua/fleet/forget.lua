--[[
fleet/forget: an operator knows that a worker will not come back; strike it from the fleet.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  worker    its name
ARGV[2]  silence_ms  it must have been silent for so long

Returns  forgotten | alive: it beat lately, nothing was changed | unknown: nothing knows it

Call it on every shard. Its claims are given back by work/bury; should it beat again after all, it
joins as a new incarnation.
]]
--- @include lib/clock
local beat = redis.call('ZSCORE', KEYS[1] .. 'workers', ARGV[1])
if beat and now - tonumber(beat) < tonumber(ARGV[2]) then return 'alive' end
local known = redis.call('ZREM', KEYS[1] .. 'workers', ARGV[1])
  + redis.call('DEL', KEYS[1] .. 'worker:' .. ARGV[1], KEYS[1] .. 'inbox:' .. ARGV[1])
  + redis.call('HDEL', KEYS[1] .. 'roster', ARGV[1])
return known > 0 and 'forgotten' or 'unknown'
