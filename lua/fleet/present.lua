--[[
fleet/present: an agent outside workers is still there; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the agent
ARGV[2]  load      0 idle to 1 busy, as text; "" when it does not say

Returns  for how long it counts as there from now on, ms; 0: no such agent is known, register it; -1:
         workers have it, and speak for it
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
local name = ARGV[1]
-- not deny-oom, so first: who is there must be known when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local agent = read_agent(name)
if not agent then return 0 end
if agent.kind == 'w' then return -1 end
local known = redis.call('HGET', KEYS[1] .. 'outside', name)
local ttl_ms = tonumber(known and string.match(known, '^%d+ (%d+)') or cjson.decode(agent.base).ttl_ms or 30000)
local there = is_outside(name)
redis.call('HSET', KEYS[1] .. 'outside', name,
  string.format('%.0f', now + ttl_ms) .. ' ' .. string.format('%.0f', ttl_ms) .. ' ' .. ARGV[2])
if not there then came(name, 'again, outside workers') end
return ttl_ms
