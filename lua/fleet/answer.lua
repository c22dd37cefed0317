--[[
fleet/answer: a spawner says what becomes of an order, to who gave it and waits.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  order     its id
ARGV[2]  answer    JSON
ARGV[3]  ttl_ms    nobody waits any more when it has not been fetched by then

Returns  how many answers stand there, unfetched
]]
local key = KEYS[1] .. 'inbox:order.' .. ARGV[1]
redis.call('PERSIST', key) -- not deny-oom, so first: a fleet is told things also when Redis is full
local length = redis.call('RPUSH', key, ARGV[2])
redis.call('PEXPIRE', key, ARGV[3])
return length
