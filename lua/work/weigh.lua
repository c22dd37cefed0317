--[[
work/weigh: how large a tenant's share is from now on, at one queue or all, or that this is forgotten.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  tenant    its name
ARGV[2]  weight    WEIGHT_MIN to WEIGHT_MAX; "" forgets it: the general weight counts at the queue; without
                   a queue everything, weight 1 and never served
ARGV[3]  queue     where it counts, in place of the general weight; "" for the general one

Returns  1 when the tenant had a weight there, else 0

What a tenant has waited counts: the rest of its way to its next turn grows or shrinks with its stride.
Who is forgotten and has tasks in line stays known, with the weight 1.
]]
--- @include lib/clock
--- @include lib/queue
--- @include lib/line
local tenant, weight, where, shares = ARGV[1], ARGV[2], ARGV[3], the_fair()
local queues = where == '' and redis.call('SMEMBERS', KEYS[1] .. 'queues') or { where }
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', KEYS[1] .. 'tenants')

local function strides_now()
  local strides = {}
  for i, queue in ipairs(queues) do strides[i] = shares.stride_by(shares.weights_in(queue, { tenant })[1]) end
  return strides
end

-- Returns whether the tenant had a weight there.
local function write()
  local book = KEYS[1] .. (where == '' and 'tenants' or 'weights:' .. where)
  if weight ~= '' then return redis.call('HSET', book, tenant, weight) == 0 end
  if where == '' then
    redis.call('HDEL', KEYS[1] .. 'served', tenant)
    for _, queue in ipairs(queues) do redis.call('HDEL', KEYS[1] .. 'weights:' .. queue, tenant) end
  end
  return redis.call('HDEL', book, tenant) == 1
end

-- Whether the tenant has tasks there; its pass is moved.
local function move(queue, fair, factor)
  local ranks = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
  local pass = redis.call('ZSCORE', ranks, tenant)
  if not pass then return false end
  if factor == 1 or settings_of(queue).unfair then return true end
  local first = redis.call('ZRANGE', ranks, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', ranks, shares.pass_text(first + (pass - first) * factor), tenant)
  shares.rank(queue, fair)
  return true
end

local before, known, waits = strides_now(), write(), false
shares.forget_weights()
local after = strides_now()
for i, queue in ipairs(queues) do
  for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. queue, 0, -1)) do
    if string.sub(line, -1) == '~' and move(queue, line, after[i] / before[i]) then waits = true end
  end
end
if waits or weight ~= '' then redis.call('HSETNX', KEYS[1] .. 'tenants', tenant, '1') end
if where ~= '' and weight ~= '' then redis.call('SADD', KEYS[1] .. 'queues', where) end
return known and 1 or 0
