--[[
work/tidy: what is no longer worth keeping goes, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  dead_ms   dead letters older than this are deleted; 0 = none is
ARGV[3]  events_ms events older than this are deleted; 0 = none is
ARGV[4]  done_at   where in the list of ended tasks to go on, 0 to begin
ARGV[5]  queues_at where among the queues to go on, 0 to begin
ARGV[6]  limit     how many dead letters, ended tasks and queues to look at, 1 to 1000

Returns  {dead, events, done, heads, done_at, queues_at}
         dead      dead letters deleted; as many as the limit: there may be more
         events    stream entries deleted
         done      ended tasks off the list, whose records have expired
         heads     lines that queues still named and that are gone
         done_at, queues_at  for the next call; 0 when the end was reached
]]
--- @include lib/clock
--- @include lib/epoch
local refused = deposed(ARGV[1])
if refused then return refused end
local limit = tonumber(ARGV[6])
-- not deny-oom, so first: above all a full Redis must be tidied
redis.call('PERSIST', KEYS[1] .. 'lease')

local function old_dead_letters(age_ms)
  if age_ms == 0 then return 0 end
  local before = string.format('%.0f', now - age_ms)
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'dead', '-inf', before, 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do
    redis.call('ZREM', KEYS[1] .. 'dead', id)
    redis.call('UNLINK', KEYS[1] .. 't:' .. id, KEYS[1] .. 'p:' .. id, KEYS[1] .. 'log:' .. id, KEYS[1] .. 'progress:' .. id,
      KEYS[1] .. 'saved:' .. id, KEYS[1] .. 'kids:' .. id, KEYS[1] .. 'need:' .. id)
  end
  return #ids
end

local function old_events(age_ms)
  if age_ms == 0 then return 0 end
  return redis.call('XTRIM', KEYS[1] .. 'events', 'MINID', string.format('%.0f', now - age_ms))
end

local function expired_from_done(at)
  local key, dropped = KEYS[1] .. 'done', 0
  local ids = redis.call('LRANGE', key, at, at + limit - 1)
  for i, id in ipairs(ids) do
    if redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 0 then
      redis.call('LSET', key, at + i - 1, '')
      dropped = dropped + 1
    end
  end
  if dropped > 0 then redis.call('LREM', key, 0, '') end
  return dropped, #ids == limit and at + limit - dropped or 0
end

local function empty_heads(cursor)
  local page, dropped = redis.call('SSCAN', KEYS[1] .. 'queues', cursor, 'COUNT', limit), 0
  for _, name in ipairs(page[2]) do
    for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. name, 0, -1)) do
      if redis.call('EXISTS', KEYS[1] .. 'line:' .. name .. ':' .. line, KEYS[1] .. 'fair:' .. name .. ':' .. line) == 0 then
        dropped = dropped + redis.call('ZREM', KEYS[1] .. 'heads:' .. name, line)
      end
    end
  end
  return dropped, page[1]
end

local dead, events = old_dead_letters(tonumber(ARGV[2])), old_events(tonumber(ARGV[3]))
local done, done_at = expired_from_done(tonumber(ARGV[4]))
local heads, queues_at = empty_heads(ARGV[5])
return { dead, events, done, heads, done_at, queues_at }
