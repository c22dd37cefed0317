--[[
flow/forget: a flow that has ended, or was never launched, goes with all its tasks, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  limit     how many tasks to delete, 1 to 1000

Returns  {"more"}   the call should be repeated
         {"done"}   nothing of it is left; also when there was nothing
         {"state", state}  it runs: nothing was changed
]]
--- @include lib/forget
local answer = forget_flow(ARGV[1], tonumber(ARGV[2]))
if answer == 'more' or answer == 'done' then return { answer } end
return { 'state', answer }
