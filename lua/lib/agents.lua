--[[
lib/agents: the registry of agents, on shard 0.

HASH agents holds a record for each agent that is known:

  <version> <revision> <born_ms> <changed_ms> <kind>
  <what it says of itself: JSON>
  <what an operator says of it: JSON, stronger than the line above>

version counts the changes of these two lines, from 1; kind is w when workers host it, o when it is
outside of them. Each change, and each coming and going, takes the next revision of the whole registry, a number that only
grows, in microseconds, also when a failover rolled the last one back. ZSET agents:moved ranks names by
it, those included that were forgotten: who holds an older view asks for what moved since.

Who hosts what stands in two ZSETs of pairs, read by prefix: `hosts` (<agent> <worker>) and `hosted`
(<worker> <agent>). A pair counts while its worker is known; nobody has to be told of a crash for that.
HASH outside holds `<until_ms> <ttl_ms> <load>` of agents outside workers, HASH away since when agents are
away, HASH stand-ins `<agent> <who> <since_ms>` by the agent that is stood in for.
]]
local AGENTS_MAX = 10000
local the_revision = nil

local function next_revision()
  local key = KEYS[1] .. 'agents:revision'
  if not the_revision then
    local last = tonumber(redis.call('GET', key) or '0') or 0
    the_revision = string.format('%.0f', math.max(last + 1, now_us))
    redis.call('SET', key, the_revision)
  end
  return the_revision
end

local function moved(name)
  local key = KEYS[1] .. 'agents:moved'
  redis.call('ZADD', key, next_revision(), name)
  if redis.call('ZCARD', key) > AGENTS_MAX * 1.2 then
    redis.call('ZREMRANGEBYRANK', key, 0, AGENTS_MAX * 0.1)
  end
end

local function read_agent(name)
  local text = redis.call('HGET', KEYS[1] .. 'agents', name)
  if not text then return nil end
  local version, revision, born, changed, kind, base, said =
    string.match(text, '^(%d+) (%d+) (%d+) (%d+) ([wo])\n([^\n]*)\n([^\n]*)$')
  if not version then return nil end
  return { version = tonumber(version), born = born, kind = kind, base = base, said = said }
end

local function write_agent(name, agent)
  local at = string.format('%.0f', now)
  local head = agent.version .. ' ' .. next_revision() .. ' ' .. (agent.born or at) .. ' ' .. at
  redis.call('HSET', KEYS[1] .. 'agents', name,
    head .. ' ' .. agent.kind .. '\n' .. agent.base .. '\n' .. agent.said)
  moved(name)
end

-- whether a change leaves room for so many agents that are not known yet
local function room_for(names)
  local new = 0
  for _, name in ipairs(names) do new = new + 1 - redis.call('HEXISTS', KEYS[1] .. 'agents', name) end
  return new == 0 or redis.call('HLEN', KEYS[1] .. 'agents') + new <= AGENTS_MAX
end

-- the second words of the pairs that begin with the first
local function with_prefix(key, first)
  local from, to, seconds = '[' .. first .. ' ', '(' .. first .. '!', {}
  for _, pair in ipairs(redis.call('ZRANGEBYLEX', key, from, to)) do
    seconds[#seconds + 1] = string.sub(pair, #first + 2)
  end
  return seconds
end

local function pair_off(worker, name)
  redis.call('ZREM', KEYS[1] .. 'hosted', worker .. ' ' .. name)
  return redis.call('ZREM', KEYS[1] .. 'hosts', name .. ' ' .. worker)
end

local function lives(worker) return redis.call('EXISTS', KEYS[1] .. 'worker:' .. worker) == 1 end

-- on how many live workers it is
local function hosts_of(name)
  local alive = 0
  for _, worker in ipairs(with_prefix(KEYS[1] .. 'hosts', name)) do
    if lives(worker) then alive = alive + 1 end
  end
  return alive
end

local function is_outside(name)
  local text = redis.call('HGET', KEYS[1] .. 'outside', name)
  return text and tonumber(string.match(text, '^%d+')) > now
end

local function is_here(name) return is_outside(name) or hosts_of(name) > 0 end

local function end_stand_in(name, why)
  local text = redis.call('HGET', KEYS[1] .. 'stand-ins', name)
  if not text then return end
  redis.call('HDEL', KEYS[1] .. 'stand-ins', name)
  moved(name)
  tell('0', 'stand-in-ended', name, string.match(text, '^[^ ]*') .. ' stood in for it; ' .. why)
end

local function came(name, how)
  redis.call('HDEL', KEYS[1] .. 'away', name)
  moved(name)
  tell('0', 'agent-registered', name, how)
  end_stand_in(name, 'it is back')
end

local function went(name, how)
  redis.call('HSET', KEYS[1] .. 'away', name, string.format('%.0f', now))
  moved(name)
  tell('0', 'agent-left', name, how)
end

-- a worker has it no more
local function unhost(worker, name)
  if pair_off(worker, name) == 1 and not is_here(name) then
    went(name, 'worker ' .. worker .. ' was the last that had it')
    return true
  end
  return false
end

-- who stands in for it
local function stood_in_by(name)
  return string.match(redis.call('HGET', KEYS[1] .. 'stand-ins', name) or '', '^[^ ]+')
end

-- `ok`, or `circle` when `by` would be stood in for by `name`
local function stand_in(name, by, who)
  if stood_in_by(name) == by then return 'ok' end
  local next_one = by
  while next_one do
    if next_one == name then return 'circle' end
    next_one = stood_in_by(next_one)
  end
  redis.call('HSET', KEYS[1] .. 'stand-ins', name, by .. ' ' .. who .. ' ' .. string.format('%.0f', now))
  moved(name)
  tell('0', 'stand-in', name, by .. ' stands in for it, says ' .. who)
  return 'ok'
end
