--[[
fleet/order: tell the spawner of a fleet to do something, where it is heard at once.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  name      of the fleet
ARGV[2]  order     JSON; it carries an id, by which the spawner knows one that comes twice
ARGV[3]  ttl_ms    an order that nobody has fetched by then was for a spawner that is gone

Returns  1, or 0 when no spawner of this name runs
]]
if redis.call('EXISTS', KEYS[1] .. 'spawner:' .. ARGV[1]) == 0 then return 0 end
local key = KEYS[1] .. 'inbox:fleet.' .. ARGV[1]
redis.call('PERSIST', key) -- not deny-oom, so first: a fleet is told things also when Redis is full
redis.call('RPUSH', key, ARGV[2])
redis.call('PEXPIRE', key, ARGV[3])
return 1
