--[[
limit/look: limits as they are set and as they stand.

KEYS[1]  root      prefix of every key of the shard

ARGV[1...]         slots to look at, "<limit>" or "<limit>:<key>"; none: all that are set, paused, or
                   have tasks parked, up to 1,000

Returns  {now_ms, {slot, own, text, paused_ms, held, spent, parked, tokens, wake_ms}, ...}
         own       1 when a limit of just that name is set, else 0
         text      of the limit that counts, see lib/slot; false when there is none
         paused_ms how long it is paused yet; 0 when it is not, -1 when until somebody ends it
         held      how many slots are taken
         spent     units of the period that goes on, as text
         parked    how many tasks wait for it
         tokens    how many may start now by its rate, up to 1,000; -1 when it has none
         wake_ms   from now until the next one may start; 0 at once, -1 when a task must end first
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
local MOST = 1000
local slots = the_slots()

local function all_slots()
  local names, seen = {}, {}
  for _, some in ipairs({
    redis.call('HKEYS', KEYS[1] .. 'limits'), redis.call('ZRANGE', KEYS[1] .. 'pauses', 0, MOST - 1),
    redis.call('SSCAN', KEYS[1] .. 'parks', 0, 'COUNT', MOST)[2],
  }) do
    for _, slot in ipairs(some) do
      if not seen[slot] and #names < MOST then
        seen[slot] = true
        names[#names + 1] = slot
      end
    end
  end
  table.sort(names)
  return names
end

local reply = { now }
for _, slot in ipairs(#ARGV > 0 and ARGV or all_slots()) do reply[#reply + 1] = slots.view(slot) end
return reply
