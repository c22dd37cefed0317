--[[
fleet/enlist: a fleet spawner says that it runs, and what; its name is its own while it does.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  name      of the fleet
ARGV[2]  instance  of the spawner: nobody else's, and part of the info of whoever has it
ARGV[3]  former    an instance that is known to be dead, or ""
ARGV[4]  ttl_ms    until it is forgotten unless it comes again
ARGV[5]  info      JSON about its groups

Returns  "" when the name is the caller's, else the info of the spawner that has it
]]
--- @include lib/clock
local key = KEYS[1] .. 'spawner:' .. ARGV[1]
-- not deny-oom, so first: what runs must be told of also when Redis is full
redis.call('ZREMRANGEBYSCORE', KEYS[1] .. 'spawners', '-inf', now - tonumber(ARGV[4]))
local held = redis.call('GET', key)
local function by(instance)
  return instance ~= '' and string.find(held, '"' .. instance .. '"', 1, true)
end
if held and not by(ARGV[2]) and not by(ARGV[3]) then return held end
redis.call('SET', key, ARGV[5], 'PX', ARGV[4])
redis.call('ZADD', KEYS[1] .. 'spawners', now, ARGV[1])
return ''
