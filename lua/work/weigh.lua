--[[
work/weigh: how large a tenant's share is from now on, or that it is forgotten.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  tenant    its name
ARGV[2]  weight    WEIGHT_MIN to WEIGHT_MAX; "" forgets it: weight 1, never served

Returns  1 when the tenant was known, else 0

What a tenant has waited counts: the rest of its way to its next turn grows or shrinks with its stride.
Who is forgotten and has tasks in line stays known, with the weight 1.
]]
--- @include lib/clock
--- @include lib/queue
--- @include lib/line
local tenant, shares = ARGV[1], the_fair()
local key = KEYS[1] .. 'tenants'
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', key)
local known = redis.call('HGET', key, tenant)
local factor = (ARGV[2] == '' and 1 or 1 / ARGV[2]) / shares.stride_by(known)

-- Whether the tenant has tasks there; its pass is moved.
local function move(queue, fair)
  local ranks = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
  local pass = redis.call('ZSCORE', ranks, tenant)
  if not pass then return false end
  if settings_of(queue).unfair then return true end
  local first = redis.call('ZRANGE', ranks, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', ranks, shares.pass_text(first + (pass - first) * factor), tenant)
  shares.rank(queue, fair)
  return true
end

local waits = false
for _, queue in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'queues')) do
  for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. queue, 0, -1)) do
    if string.sub(line, -1) == '~' and move(queue, line) then waits = true end
  end
end
if ARGV[2] ~= '' then
  redis.call('HSET', key, tenant, ARGV[2])
elseif waits then
  redis.call('HSET', key, tenant, '1')
else
  redis.call('HDEL', key, tenant)
end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1] .. 'served', tenant) end
return known and 1 or 0
