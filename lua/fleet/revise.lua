--[[
fleet/revise: what an operator says of an agent, stronger than what it says itself; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the agent
ARGV[2]  expected  the version it must have
ARGV[3]  said      JSON on one line: all that is said from now on; {} for nothing
ARGV[4]  who       says so: one word

Returns  {verdict, number}
         ok        number: its version now; unchanged when that was said already
         conflict  number: its version, which is not the expected one; nothing was changed
         unknown   there is no such agent
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
redis.call('SET', KEYS[1] .. 'agents:revision', '0', 'NX') -- refused when Redis is full, so first
local agent = read_agent(ARGV[1])
if not agent then return { 'unknown', 0 } end
if agent.said == ARGV[3] then return { 'ok', agent.version } end
if agent.version ~= tonumber(ARGV[2]) then return { 'conflict', agent.version } end
agent.version, agent.said = agent.version + 1, ARGV[3]
write_agent(ARGV[1], agent)
tell('0', 'agent-updated', ARGV[1], 'version ' .. agent.version .. ', by ' .. ARGV[4])
return { 'ok', agent.version }
