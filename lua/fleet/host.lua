--[[
fleet/host: a worker says which agents it has; shard 0 only. Those it has no more are taken off.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  worker    its name; it has beaten before
ARGV[2...]         its agents, each:
         name      of the agent
         profile   JSON on one line: what it says of itself

Returns  how many of them are new or have changed; -1 when the registry has no room for them: nothing
         was changed

An agent that another worker describes otherwise becomes what was said last: so it is while a new version
of it is rolled out.
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
local worker, names, mine = ARGV[1], {}, {}
-- not deny-oom, so first: who is there must be known when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
for i = 2, #ARGV, 2 do
  names[#names + 1] = ARGV[i]
  mine[ARGV[i]] = true
end
if not room_for(names) then return -1 end
local changed = 0

local function describe(name, profile)
  local agent = read_agent(name)
  if agent and agent.base == profile and agent.kind == 'w' then return end
  local known = agent ~= nil
  agent = agent or { version = 0, said = '{}' }
  agent.version, agent.base, agent.kind = agent.version + 1, profile, 'w'
  write_agent(name, agent)
  changed = changed + 1
  if known then tell('0', 'agent-updated', name, 'version ' .. agent.version .. ', by worker ' .. worker) end
end

for i = 2, #ARGV, 2 do
  local name = ARGV[i]
  local known, there = redis.call('HEXISTS', KEYS[1] .. 'agents', name), is_here(name)
  describe(name, ARGV[i + 1])
  redis.call('HDEL', KEYS[1] .. 'outside', name)
  redis.call('ZADD', KEYS[1] .. 'hosts', 0, name .. ' ' .. worker)
  redis.call('ZADD', KEYS[1] .. 'hosted', 0, worker .. ' ' .. name)
  if not there then came(name, (known == 1 and 'again, ' or '') .. 'by worker ' .. worker) end
end
for _, name in ipairs(with_prefix(KEYS[1] .. 'hosted', worker)) do
  if not mine[name] then unhost(worker, name) end
end
return changed
