--[[
fleet/tend: the leader notices which agents are gone, and who stands in for them; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's
ARGV[2]  after_ms  an agent that names stand-ins and is away for so long gets the first that is there

Returns  {left, stand_ins}: how many agents were found gone, and how many got a stand-in
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
-- not deny-oom, so first: who is gone must be known when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
local left, stood = 0, 0

-- from one worker to the next, without looking at all their agents
local function next_worker(after)
  local from = after and '(' .. after .. '!' or '-'
  local pair = redis.call('ZRANGEBYLEX', KEYS[1] .. 'hosted', from, '+', 'LIMIT', 0, 1)[1]
  return pair and string.match(pair, '^[^ ]+')
end

local worker = next_worker()
while worker do
  if not lives(worker) then
    for _, name in ipairs(with_prefix(KEYS[1] .. 'hosted', worker)) do
      if unhost(worker, name) then left = left + 1 end
    end
  end
  worker = next_worker(worker)
end

local outside = redis.call('HGETALL', KEYS[1] .. 'outside')
for i = 1, #outside, 2 do
  if not is_outside(outside[i]) then
    redis.call('HDEL', KEYS[1] .. 'outside', outside[i])
    went(outside[i], 'it was not heard any more')
    left = left + 1
  end
end

local function choices(name)
  local agent = read_agent(name)
  if not agent then return {} end
  for _, text in ipairs({ agent.said, agent.base }) do
    if string.find(text, '"stand_ins"', 1, true) then return cjson.decode(text).stand_ins end
  end
  return {}
end

local away = redis.call('HGETALL', KEYS[1] .. 'away')
for i = 1, #away, 2 do
  local name = away[i]
  if now - tonumber(away[i + 1]) >= tonumber(ARGV[2]) and not stood_in_by(name) then
    for _, by in ipairs(choices(name)) do
      if is_here(by) and stand_in(name, by, 'policy') == 'ok' then
        stood = stood + 1
        break
      end
    end
  end
end
return { left, stood }
