--[[
work/checkpoint: a running task says how far its next attempt need not go back.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  member    "id|fence": the claim; a checkpoint by any other is refused
ARGV[2]  state     JSON, at most 1 MiB

Returns  1 kept, 0 the claim is no longer held: nothing was changed

The last one wins. It is there for every later attempt, also of a dead letter that is revived, and goes
when the task has succeeded, or with its record.
]]
--- @include lib/record
--- @include lib/saved
if not redis.call('ZSCORE', KEYS[1] .. 'lease', ARGV[1]) then return 0 end
local task = record_of(string.sub(ARGV[1], 1, 22))
if not task or task.state ~= 'r' or task.fence ~= string.sub(ARGV[1], 24) then return 0 end
local kept = keeps(task)
keep(task, 'state', ARGV[2])
if not kept then redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task)) end
return 1
