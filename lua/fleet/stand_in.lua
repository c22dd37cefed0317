--[[
fleet/stand_in: an agent acts in the place of another, until that is back, or no more; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the agent that is stood in for
ARGV[2]  by        the agent that stands in; "" ends it
ARGV[3]  who       says so: one word

Returns  ok         so it is, now or already
         unknown    the first is not known
         nobody     the second is not known
         circle     the second is itself stood in for by the first, perhaps through others

HASH stand-ins is what others go by: name -> `<by> <who> <since_ms>`.
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
local name, by, who = ARGV[1], ARGV[2], ARGV[3]
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
if redis.call('HEXISTS', KEYS[1] .. 'agents', name) == 0 then return 'unknown' end
if by == '' then
  end_stand_in(name, who .. ' ended it')
  return 'ok'
end
if redis.call('HEXISTS', KEYS[1] .. 'agents', by) == 0 then return 'nobody' end
return stand_in(name, by, who)
