--[[
fleet/enroll: the leader writes into the roster what it thinks of workers; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's
ARGV[2]  memory    JSON: what it remembers besides; "" to leave that as it is
ARGV[3...]         changes, each:
         verb      add | set | dead | drop
         worker    its name
         heard_ms  its last beat that the leader knows
         member    JSON, as HASH roster keeps it

Returns  {answer, ...}  ok
         alive     (dead) it has beaten since, and nothing was changed
         unknown   (set, dead) it does not stand in the roster: an operator has forgotten it

Who is dead is forgotten by Redis, so that its next beat, if there is one, answers known 0 or 2: it
then comes as a new incarnation. What it holds stays: claims end with their leases.
]]
--- @include lib/epoch
-- not deny-oom, so first: the fleet is kept count of when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
local roster, workers = KEYS[1] .. 'roster', KEYS[1] .. 'workers'
local answers = {}

local function is_dead(worker, heard_ms)
  local beat = redis.call('ZSCORE', workers, worker)
  if beat and tonumber(beat) > tonumber(heard_ms) then return false end
  redis.call('ZREM', workers, worker)
  redis.call('DEL', KEYS[1] .. 'worker:' .. worker)
  return true
end

local function change(verb, worker, heard_ms, member)
  if verb == 'drop' then
    redis.call('HDEL', roster, worker)
    return 'ok'
  end
  if verb ~= 'add' and redis.call('HEXISTS', roster, worker) == 0 then return 'unknown' end
  if verb == 'dead' and not is_dead(worker, heard_ms) then return 'alive' end
  redis.call('HSET', roster, worker, member)
  return 'ok'
end

for i = 3, #ARGV, 4 do
  answers[#answers + 1] = change(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
if ARGV[2] ~= '' then redis.call('HSET', roster, '*memory', ARGV[2]) end
return answers
