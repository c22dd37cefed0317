--[[
lib/line: where ready tasks stand.

A queue has one LIST per priority and route: line:<queue>:<priority><route>. Its entry is the task
id, or id and the moment it became ready (9 characters of base32hex) when that was not its birth.
The ZSET heads:<queue> ranks the lines by their first entry, so a claim finds the best task without
looking at the others. Rank, unless the queue is strict, is the moment minus a head start: a low task
is overtaken for a while, never for ever. A line may hold entries whose task has moved on (cancelled,
claimed by id): the state in the record decides, the entry is only a hint.

A tenant's tasks stand in a line of its own, <priority><route>~<tenant>. All tenants of a priority and
route are one entry of heads, the fair line <priority><route>~: it ranks like the line of the tenant
whose turn it is. ZSET fair:<queue>:<priority><route>~ has the tenants that have tasks there, by pass:
the lowest is next, and a turn costs it a stride, 1 / weight. Who comes (back) starts a stride behind
the first: no credit for absence, no debts from before, and nothing to be remembered of who is away.

marker:<queue>:<route> is what idle workers block on; a burst leaves up to eight marks, one a worker.
]]
local HEAD_START_MS = { ['0'] = 3600000, ['1'] = 600000, ['2'] = 0, ['3'] = -600000 }
local MARKS_MAX = 8
local WEIGHT_MIN, WEIGHT_MAX = 0.001, 1000
local strides = {}

local function rank(entry, line, strict)
  local moment = tonumber(#entry > 22 and string.sub(entry, 23, 31) or string.sub(entry, 1, 9), 32) or 0
  local priority = string.sub(line, 1, 1)
  if strict then return string.format('%.0f', tonumber(priority) * 35184372088832 + moment) end
  return string.format('%.0f', moment - (HEAD_START_MS[priority] or 0))
end

-- Who may take what stands in a line: the tenant is no part of that.
local function route_in(line)
  local cut = string.find(line, '~', 1, true)
  return string.sub(line, 2, cut and cut - 1)
end

local function leave_marks(queue, route, amount)
  local marks = {}
  for i = 1, amount do
    marks[2 * i - 1], marks[2 * i] = '0', i
  end
  redis.call('ZADD', KEYS[1] .. 'marker:' .. queue .. ':' .. route, unpack(marks))
end

local function mark(queue, line, entries)
  leave_marks(queue, route_in(line), math.min(entries, MARKS_MAX))
end

-- What a turn costs. weight: what the books say, which may be nothing, or nonsense.
local function stride_by(weight)
  local number = tonumber(weight or 1)
  if not number or not (number >= WEIGHT_MIN and number <= WEIGHT_MAX) then return 1 end
  return 1 / number
end

-- HASH tenants: every tenant that ever came, and its weight.
local function stride_of(tenant)
  if not strides[tenant] then
    local weight = redis.call('HGET', KEYS[1] .. 'tenants', tenant)
    if not weight then redis.call('HSET', KEYS[1] .. 'tenants', tenant, '1') end
    strides[tenant] = stride_by(weight)
  end
  return strides[tenant]
end

local function pass_text(pass)
  return string.format('%.17g', pass)
end

-- A fair line ranks by the first task of the tenant whose turn it is.
local function rank_fair(queue, fair)
  local key = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
  while true do
    local tenant = redis.call('ZRANGE', key, 0, 0)[1]
    if not tenant then return redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, fair) end
    local head = redis.call('LINDEX', KEYS[1] .. 'line:' .. queue .. ':' .. fair .. tenant, 0)
    if head then
      return redis.call('ZADD', KEYS[1] .. 'heads:' .. queue, rank(head, fair, settings_of(queue).strict), fair)
    end
    redis.call('ZREM', key, tenant)
  end
end

-- What heads say of a line is made true; whether it holds tasks.
local function rank_again(queue, line)
  if string.sub(line, -1) == '~' then
    rank_fair(queue, line)
    return redis.call('EXISTS', KEYS[1] .. 'fair:' .. queue .. ':' .. line) == 1
  end
  local head = redis.call('LINDEX', KEYS[1] .. 'line:' .. queue .. ':' .. line, 0)
  if head then
    redis.call('ZADD', KEYS[1] .. 'heads:' .. queue, rank(head, line, settings_of(queue).strict), line)
  else
    redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, line)
  end
  return head
end

-- A line is empty: heads know it no more, nor the fair line that it was part of.
local function leave_heads(queue, line)
  local cut = string.find(line, '~', 1, true)
  if not cut then return redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, line) end
  local fair = string.sub(line, 1, cut)
  redis.call('ZREM', KEYS[1] .. 'fair:' .. queue .. ':' .. fair, string.sub(line, cut + 1))
  return rank_fair(queue, fair)
end

-- turn_back: its last turn came to nothing, so that it is next.
local function join(queue, fair, tenant, turn_back)
  local key = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local pass = (tonumber(first[2]) or 0) + (turn_back and 0 or stride_of(tenant))
  redis.call('ZADD', key, pass_text(pass), tenant)
  if turn_back or not first[1] or first[1] == tenant then rank_fair(queue, fair) end
end

local function stand_in_line(queue, line, entries, at_head)
  local key = KEYS[1] .. 'line:' .. queue .. ':' .. line
  local length = redis.call(at_head and 'LPUSH' or 'RPUSH', key, unpack(entries))
  if at_head or length == #entries then
    local cut = string.find(line, '~', 1, true)
    if not cut then
      local head = at_head and entries[#entries] or entries[1]
      redis.call('ZADD', KEYS[1] .. 'heads:' .. queue, rank(head, line, settings_of(queue).strict), line)
    elseif length == #entries then
      join(queue, string.sub(line, 1, cut), string.sub(line, cut + 1))
    else
      rank_fair(queue, string.sub(line, 1, cut))
    end
  end
  -- a line that held tasks has its mark, or a worker that took it and is about to claim
  if at_head or length == #entries or #entries > 1 then mark(queue, line, #entries) end
end

-- A task that was granted stands in line again: its tenant has its turn back, and is among the next.
local function give_turn_back(queue, line)
  local cut = string.find(line, '~', 1, true)
  if cut then join(queue, string.sub(line, 1, cut), string.sub(line, cut + 1), true) end
end
