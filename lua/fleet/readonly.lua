--[[
fleet/readonly: no new work is taken or started on a shard, or it is again.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for an operator
ARGV[2]  ttl_ms    on: it ends by itself after so long, 0 for never | off: "off"
ARGV[3]  who       who says so: one word
ARGV[4]  reason    words on one line

Returns  1 something was changed; 0 it was like that, or an operator has decided otherwise

STRING readonly is `operator <since_ms> <who> <reason>` or `leader <since_ms> <who> <reason>`. A leader
neither ends nor replaces what an operator has begun; what it has begun itself ends unless it says so
again, because a leader that is gone must not stop a queue for ever. See lib/readonly for who obeys.
At the end every line that holds tasks gets its marks back: they were spent on claims that got nothing.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/queue
--- @include lib/line
-- not deny-oom, so first: work is stopped, and goes on, when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
local key = KEYS[1] .. 'readonly'
local operator = ARGV[1] == ''
local current = redis.call('GET', key)
if current and not operator and string.sub(current, 1, 9) == 'operator ' then return 0 end

local function wake()
  for _, name in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'queues')) do
    for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. name, 0, -1)) do
      local length = redis.call('LLEN', KEYS[1] .. 'line:' .. name .. ':' .. line)
        + redis.call('ZCARD', KEYS[1] .. 'fair:' .. name .. ':' .. line)
      if length > 0 then mark(name, line, length) end
    end
  end
end

if ARGV[2] == 'off' then
  if redis.call('DEL', key) == 0 then return 0 end
  wake()
  return 1
end
local since = current and string.match(current, '^[^ ]+ (%d+) ') or string.format('%.0f', now)
local text = (operator and 'operator ' or 'leader ') .. since .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
redis.call('SET', key, text)
if ARGV[2] ~= '0' then redis.call('PEXPIRE', key, ARGV[2]) end
return current == text and 0 or 1
