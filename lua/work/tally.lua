--[[
work/tally: count a page of what a large queue holds.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  queue     its name
ARGV[2]  where     line | park | due | lease
ARGV[3]  line      which line, or which slot of a limit; "" for due and lease
ARGV[4]  from      "0", then what the page before gave

Returns  {token, from, amount, bytes, {id, bytes, ...}}
         token   what has happened to the queue so far: pages of different tokens do not add up
         from    of the next page, "" after the last
         amount  tasks that no other page counts, and what they weigh
         {...}   tasks that another page may name as well: count each once

Lines and the parked are read from their end and due moments from the latest: claims and time take from the other
side, also what no longer counts, so while the token stays the same no entry is passed over.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/tally
local PAGE = 500
local queue, from = ARGV[1], ARGV[4]
local amount, bytes, doubtful, after = 0, 0, {}, ''

local function once(id, size, again)
  if again then
    doubtful[#doubtful + 1], doubtful[#doubtful + 2] = id, size
  else
    amount, bytes = amount + 1, bytes + size
  end
end

local function of_queue(task)
  if task.queue == queue then once(task.id, weight(task), ARGV[2] == 'lease') end
end

if ARGV[2] == 'line' then
  local last = -1 - tonumber(from)
  local entries = redis.call('LRANGE', KEYS[1] .. 'line:' .. queue .. ':' .. ARGV[3], last - PAGE + 1, last)
  tally_line(entries, once)
  if #entries == PAGE then after = string.format('%.0f', from + PAGE) end
elseif ARGV[2] == 'park' then
  local entries = redis.call('ZREVRANGE', KEYS[1] .. 'park:' .. ARGV[3], from, from + PAGE - 1)
  tally_parked(queue, entries, once)
  if #entries == PAGE then after = string.format('%.0f', from + PAGE) end
elseif ARGV[2] == 'due' then
  local members = redis.call('ZREVRANGE', KEYS[1] .. 'due', from, from + PAGE - 1)
  tally_members(members, 'd', of_queue)
  if #members == PAGE then after = string.format('%.0f', from + PAGE) end
else
  local page = redis.call('ZSCAN', KEYS[1] .. 'lease', from, 'COUNT', PAGE)
  local members = {}
  for i = 1, #page[2], 2 do members[#members + 1] = page[2][i] end
  tally_members(members, 'r', of_queue)
  if page[1] ~= '0' then after = page[1] end
end
return { token_of(queue), after, amount, bytes, doubtful }
