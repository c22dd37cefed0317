--[[
session/tend: sessions whose time is over are closed, and go when they were closed for long enough.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  limit     how many to look at, 1 to 500

Returns  {closed, gone, more}: how many of each, and 1 when there may be more
]]
-- not deny-oom, so first: above all a full Redis must be tended
redis.call('PERSIST', KEYS[1] .. 'bus:sessions')
--- @include lib/clock
--- @include lib/epoch
--- @include lib/group
--- @include lib/session
local refused = deposed(ARGV[1])
if refused then return refused end
local due_key, closed, gone = KEYS[1] .. 'bus:sessions:due', 0, 0

local function let_go(id)
  for _, group in ipairs(redis.call('HKEYS', KEYS[1] .. 'bus:on:~' .. id)) do unbind(id, string.sub(group, 2)) end
  redis.call('UNLINK', KEYS[1] .. 'bus:session:' .. id, KEYS[1] .. 'bus:who:' .. id, KEYS[1] .. 'bus:said:' .. id,
    KEYS[1] .. 'bus:on:~' .. id, KEYS[1] .. 'bus:s:n~' .. id)
  redis.call('ZREM', KEYS[1] .. 'bus:sessions', id)
  redis.call('ZREM', due_key, id)
  gone = gone + 1
end

local due = redis.call('ZRANGEBYSCORE', due_key, '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do
  local session = session_of(id)
  if not session or session.state ~= 'open' then
    let_go(id)
  else
    close_session(session, session['until'] > 0 and now >= session['until'] and 'deadline' or 'idle')
    closed = closed + 1
  end
end
return { closed, gone, #due == tonumber(ARGV[2]) and 1 or 0 }
