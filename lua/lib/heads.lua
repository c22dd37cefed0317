--[[
lib/heads: heads say of a line what is true, after something else than a claim.
]]
-- Returns whether the line holds tasks.
local function rank_again(queue, line)
  if string.sub(line, -1) == '~' then
    the_fair().rank(queue, line)
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
  return the_fair().rank(queue, fair)
end
