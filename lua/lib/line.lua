--[[
lib/line: where ready tasks stand.

A queue has one LIST per priority and route: line:<queue>:<priority><route>. Its entry is the task
id, or id and the moment it became ready (9 characters of base32hex) when that was not its birth.
The ZSET heads:<queue> ranks the lines by their first entry, so a claim finds the best task without
looking at the others. Rank, unless the queue is strict, is the moment minus a head start: a low task
is overtaken for a while, never for ever. A line may hold entries whose task has moved on (cancelled,
claimed by id): the state in the record decides, the entry is only a hint.

A tenant's tasks stand in a line of its own, <priority><route>~<tenant>. All tenants of a priority and
route are one entry of heads, the fair line <priority><route>~: see lib/fair.

marker:<queue>:<route> is what idle workers block on; a burst leaves up to eight marks, one a worker.
]]
local HEAD_START_MS = { ['0'] = 3600000, ['1'] = 600000, ['2'] = 0, ['3'] = -600000 }

local function moment_of(entry)
  return tonumber(#entry > 22 and string.sub(entry, 23, 31) or string.sub(entry, 1, 9), 32) or 0
end

local function rank(entry, line, strict)
  local moment = moment_of(entry)
  local priority = string.sub(line, 1, 1)
  if strict then return string.format('%.0f', tonumber(priority) * 35184372088832 + moment) end
  return string.format('%.0f', moment - (HEAD_START_MS[priority] or 0))
end

--- @include lib/fair
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
  local MARKS_MAX = 8
  leave_marks(queue, route_in(line), math.min(entries, MARKS_MAX))
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
      the_fair().join(queue, string.sub(line, 1, cut), string.sub(line, cut + 1))
    else
      the_fair().renew(queue, string.sub(line, 1, cut), string.sub(line, cut + 1))
    end
  end
  -- a line that held tasks has its mark, or a worker that took it and is about to claim
  if at_head or length == #entries or #entries > 1 then mark(queue, line, #entries) end
end
