--[[
fleet/resign: a supervisor ends in good order, and hands over if it leads; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the supervisor

Returns  1 it led, and does no more; 0 it did not

A token in LIST handover wakes one supervisor that waits: the office is free at once, not when the
lease ends. Nobody else's leadership is touched.
]]
--- @include lib/event
--- @include lib/tell
--- @include lib/leader
local TOKEN_MS = 10000
local name = ARGV[1]
redis.call('ZREM', KEYS[1] .. 'supervisors', name)
redis.call('DEL', KEYS[1] .. 'supervisor:' .. name)
local leader = leader_now()
if not leader or leader.name ~= name then return 0 end
redis.call('DEL', KEYS[1] .. 'leader', KEYS[1] .. 'handover')
redis.call('SET', KEYS[1] .. 'led', name .. ' resigned')
redis.call('RPUSH', KEYS[1] .. 'handover', name)
redis.call('PEXPIRE', KEYS[1] .. 'handover', TOKEN_MS)
tell(leader.epoch, 'resigned', name, 'leads no more; its epoch was ' .. leader.epoch)
return 1
