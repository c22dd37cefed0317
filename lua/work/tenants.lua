--[[
work/tenants: tenants, their weights, how often they were served and what they have waiting.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  cursor    "0", then what the page before gave
ARGV[2]  tenant    only this one; "" for all, a page a call

Returns  {cursor, tenant, weight, served, backlog, ...}
         cursor   of the next page, "0" after the last; a tenant may be on two pages
         served   tasks started since it was first seen
         backlog  entries in its lines: ready tasks, and those that have moved on but stand there yet
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

local cursor, flat = '0', { ARGV[2], redis.call('HGET', KEYS[1] .. 'tenants', ARGV[2]) }
if ARGV[2] == '' then
  local page = redis.call('HSCAN', KEYS[1] .. 'tenants', ARGV[1], 'COUNT', PAGE)
  cursor, flat = page[1], page[2]
end
local reply, lines, fair = { cursor }, fair_lines(), the_fair()
for i = 1, #flat, 2 do
  if flat[i + 1] then
    local backlog = 0
    for _, line in ipairs(lines) do backlog = backlog + redis.call('LLEN', line .. flat[i]) end
    local at = #reply
    reply[at + 1], reply[at + 2] = flat[i], fair.pass_text(1 / fair.stride_by(flat[i + 1]))
    reply[at + 3] = redis.call('HGET', KEYS[1] .. 'served', flat[i]) or '0'
    reply[at + 4] = backlog
  end
end
return reply
