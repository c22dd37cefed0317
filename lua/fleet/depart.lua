--[[
fleet/depart: an agent outside workers leaves, or one that is away is forgotten; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the agent
ARGV[2]  forget    1: nothing is known of it afterwards | 0: it is away

Returns  {verdict, number}
         gone      number: 1 when something was changed, else 0
         hosted    number: so many workers have it; nothing was changed
         unknown   there is no such agent
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
local name = ARGV[1]
-- not deny-oom, so first: who is gone must be known when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
if redis.call('HEXISTS', KEYS[1] .. 'agents', name) == 0 then return { 'unknown', 0 } end
local hosts = hosts_of(name)
if hosts > 0 then return { 'hosted', hosts } end
local left = redis.call('HDEL', KEYS[1] .. 'outside', name)
if left == 1 then went(name, 'it said so') end
if ARGV[2] == '0' then return { 'gone', left } end
for _, worker in ipairs(with_prefix(KEYS[1] .. 'hosts', name)) do pair_off(worker, name) end
redis.call('HDEL', KEYS[1] .. 'agents', name)
redis.call('HDEL', KEYS[1] .. 'away', name)
end_stand_in(name, 'it is forgotten')
local pairs_of = redis.call('HGETALL', KEYS[1] .. 'stand-ins')
for i = 1, #pairs_of, 2 do
  if string.match(pairs_of[i + 1], '^[^ ]*') == name then
    end_stand_in(pairs_of[i], 'that agent is forgotten')
  end
end
moved(name)
tell('0', 'agent-left', name, 'it is forgotten')
return { 'gone', 1 }
