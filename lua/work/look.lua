--[[
work/look: everything there is to know about one task.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  id        the task

Returns  {record, args, progress, lease_left_ms, due_in_ms, position, queue_fields, expires_in_ms,
          total_left_ms, now_ms, turn, parked, kept_ms}
         each may be false; position is how many entries stand before it in its line, -1 when it is
         further back than 1,000; lease_left_ms, due_in_ms ... are false when there is none
         turn, of a ready task of a tenant, where they take turns: {weight, weights, before, tenants}: its weight and that of all
         tenants that wait at its line, by the first thousand; how many of them come before it, and how
         many there are; else false
         parked, of a ready task that a limit holds up: {position, ...}: how many parked ones come before
         it, then the limit as limit/look gives it; else false
         kept_ms, of a ready task that still holds the slots of its last run: for how long; else false
         {} when there is no such task
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/slot
local id = ARGV[1]
local text = redis.call('GET', KEYS[1] .. 't:' .. id)
if not text then return {} end
local task = read_record(text)
if not task then return { text } end

local function left(key, member)
  local score = redis.call('ZSCORE', KEYS[1] .. key, member)
  return score and math.floor(tonumber(score) - now)
end

local position = false
if task.state == 'q' then
  local key = KEYS[1] .. 'line:' .. task.queue .. ':' .. line_of(task)
  position = -1
  local entries = redis.call('LRANGE', key, 0, 999)
  for i, entry in ipairs(entries) do
    if string.sub(entry, 1, 22) == id then position = i - 1 break end
  end
end
-- How the tenant of a ready task stands among the others.
local function turn_of(fair, tenant)
  if settings_of(task.queue).unfair then return false end
  local key, shares = KEYS[1] .. 'fair:' .. task.queue .. ':' .. fair, the_fair()
  local before, tenants = redis.call('ZRANK', key, tenant), redis.call('ZRANGE', key, 0, 999)
  if not before then return false end
  local known, total = shares.weights_in(task.queue, { tenant, unpack(tenants) }), 0
  for i = 2, #known do total = total + 1 / shares.stride_by(known[i]) end
  local amount = redis.call('ZCARD', key)
  return {
    shares.pass_text(1 / shares.stride_by(known[1])), shares.pass_text(total * amount / #tenants), before, amount,
  }
end

-- What limit a ready task waits for, and how it stands there.
local function parked_at()
  if task.state ~= 'q' or not the_slots().exist() then return false end
  local slot, at = the_slots().where(task)
  return slot and { at, unpack(the_slots().view(slot)) } or false
end

task.id = id
local fair, tenant = string.match(line_of(task), '^([^~]*~)(.+)$')
return {
  text,
  redis.call('GET', KEYS[1] .. 'p:' .. id),
  redis.call('GET', KEYS[1] .. 'progress:' .. id),
  task.state == 'r' and left('lease', id .. '|' .. task.fence),
  task.state == 'd' and left('due', id),
  position,
  redis.call('HGETALL', KEYS[1] .. 'queue:' .. task.queue),
  left('due', 'x' .. id),
  left('due', 'y' .. id),
  now,
  task.state == 'q' and tenant and turn_of(fair, tenant) or false,
  parked_at(),
  task.state == 'q' and left('due', 'h' .. id) or false,
}
