--[[
work/tenants: tenants, their weights, how often they were served and what they have waiting.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  cursor    "0", then what the page before gave
ARGV[2]  tenant    only this one; "" for all, a page a call

Returns  {cursor, tenant, weight, served, backlog, own, ...}
         cursor   of the next page, "0" after the last; a tenant may be on two pages
         served   tasks started since it was first seen
         backlog  entries in its lines: ready tasks, and those that have moved on but stand there yet
         own      {queue, weight, ...} where another weight counts
]]
--- @include lib/clock
--- @include lib/queue
--- @include lib/line
local PAGE = 200

local function fair_lines()
  local keys = {}
  for _, queue in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'queues')) do
    for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. queue, 0, -1)) do
      if string.sub(line, -1) == '~' then keys[#keys + 1] = KEYS[1] .. 'line:' .. queue .. ':' .. line end
    end
  end
  return keys
end

-- Queues at which some tenant has a weight of its own.
local function weighed_queues()
  local found = {}
  for _, queue in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'queues')) do
    if redis.call('EXISTS', KEYS[1] .. 'weights:' .. queue) == 1 then found[#found + 1] = queue end
  end
  return found
end

local weighed, fair = weighed_queues(), the_fair()

local function own_weights(tenant)
  local own = {}
  for _, queue in ipairs(weighed) do
    local weight = redis.call('HGET', KEYS[1] .. 'weights:' .. queue, tenant)
    if weight then own[#own + 1], own[#own + 2] = queue, fair.pass_text(1 / fair.stride_by(weight)) end
  end
  return own
end

local cursor, flat = '0', { ARGV[2], redis.call('HGET', KEYS[1] .. 'tenants', ARGV[2]) }
if ARGV[2] == '' then
  local page = redis.call('HSCAN', KEYS[1] .. 'tenants', ARGV[1], 'COUNT', PAGE)
  cursor, flat = page[1], page[2]
end
local reply, lines = { cursor }, fair_lines()
for i = 1, #flat, 2 do
  if flat[i + 1] then
    local backlog = 0
    for _, line in ipairs(lines) do backlog = backlog + redis.call('LLEN', line .. flat[i]) end
    local at = #reply
    reply[at + 1], reply[at + 2] = flat[i], fair.pass_text(1 / fair.stride_by(flat[i + 1]))
    reply[at + 3] = redis.call('HGET', KEYS[1] .. 'served', flat[i]) or '0'
    reply[at + 4] = backlog
    reply[at + 5] = own_weights(flat[i])
  end
end
return reply
