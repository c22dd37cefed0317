--[[
work/release: give claims back at once, because their holder stops or has died.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  reason    shutdown (costs nothing) | crash (costs a strike)
ARGV[2]  claimants "name name ...": what they were granted last goes back too, received or not
ARGV[3...]         members "id|fence"

Returns  {member, ...}  those that were given back; the others were not held any more
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/giveback
local crash = ARGV[1] == 'crash'
local members = { unpack(ARGV, 3) }
for claimant in string.gmatch(ARGV[2], '[^ ]+') do
  local last = redis.call('GET', KEYS[1] .. 'claimant:' .. claimant)
  if last then
    for member in string.gmatch(string.match(last, '^[^ ]+(.*)$'), '[^ ]+') do
      members[#members + 1] = member
    end
    redis.call('DEL', KEYS[1] .. 'claimant:' .. claimant)
  end
end
local released = {}
for _, member in ipairs(members) do
  if redis.call('ZREM', KEYS[1] .. 'lease', member) == 1 then
    local id = string.sub(member, 1, 22)
    local task = record_of(id)
    if task and task.state == 'r' then
      give_back(task, crash and 'crashed' or 'released', crash)
      released[#released + 1] = member
    end
  end
end
close_books()
return released
