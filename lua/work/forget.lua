--[[
work/forget: delete tasks that have ended, with all that belongs to them.

KEYS[1]  root      prefix of every key of the shard

ARGV[1...]         ids, at most 500

Returns  how many were deleted; tasks that have not ended are left alone
]]
--- @include lib/record
local deleted = 0
for i = 1, #ARGV do
  local id = ARGV[i]
  local task = record_of(id)
  local dead = redis.call('ZSCORE', KEYS[1] .. 'dead', id)
  if dead or task and string.find('sfc', task.state, 1, true) then
    redis.call('ZREM', KEYS[1] .. 'dead', id)
    redis.call('UNLINK', KEYS[1] .. 't:' .. id, KEYS[1] .. 'p:' .. id, KEYS[1] .. 'log:' .. id, KEYS[1] .. 'progress:' .. id,
      KEYS[1] .. 'saved:' .. id, KEYS[1] .. 'kids:' .. id, KEYS[1] .. 'need:' .. id)
    deleted = deleted + 1
  end
end
return deleted
