--[[
fleet/register: an agent outside workers is made known, or describes itself anew; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the agent
ARGV[2]  profile   JSON on one line: what it says of itself
ARGV[3]  ttl_ms    how long it counts as there unless it is heard again, see fleet/present
ARGV[4]  load      0 idle to 1 busy, as text; "" when it does not say
ARGV[5]  expected  the version it must have, 0: none yet; "" any

Returns  {verdict, number}
         ok        it is known; number: its version
         conflict  number: its version, which is not the expected one, 0 for none; nothing was changed
         hosted    number: so many workers have it, and describe it; nothing was changed
         full      there is no room; nothing was changed

Called again with the same profile it answers ok, whatever is expected: that may be its own first call.
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
local name, profile, expected = ARGV[1], ARGV[2], ARGV[5]
redis.call('SET', KEYS[1] .. 'agents:revision', '0', 'NX') -- refused when Redis is full, so first
local hosts = hosts_of(name)
if hosts > 0 then return { 'hosted', hosts } end
local agent = read_agent(name)
local same = agent and agent.base == profile and agent.kind == 'o'
if expected ~= '' and not same and tonumber(expected) ~= (agent and agent.version or 0) then
  return { 'conflict', agent and agent.version or 0 }
end
if not room_for({ name }) then return { 'full', 0 } end
local there, known = is_outside(name), agent ~= nil
redis.call('HSET', KEYS[1] .. 'outside', name,
  string.format('%.0f', now + tonumber(ARGV[3])) .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
if not same then
  agent = agent or { version = 0, said = '{}' }
  agent.version, agent.base, agent.kind = agent.version + 1, profile, 'o'
  write_agent(name, agent)
  if known then tell('0', 'agent-updated', name, 'version ' .. agent.version .. ', by itself') end
end
if not there then came(name, (known and 'again, ' or '') .. 'outside workers') end
return { 'ok', agent.version }
