--[[
work/list: tasks of one state, oldest or most urgent first, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  state     q ready | r running | d scheduled | f failed (newest first) | s, c recently ended |
                   w waiting, p suspended: those of flows, then the others
ARGV[2]  queue     "" for all
ARGV[3]  offset    entries to pass over
ARGV[4]  limit     entries to look at, 1 to 1000

Returns  {looked_at, id, record, id, record, ...}  a page may hold fewer than limit: some entries are
         hints that no longer hold; looked_at 0 means the end
]]
--- @include lib/record
--- @include lib/lines
local state, queue = ARGV[1], ARGV[2]
local first = tonumber(ARGV[3])
local last = first + tonumber(ARGV[4]) - 1

local function ready_entries(name, entries, passed)
  for _, line in ipairs(lines_of(name)) do
    local key = KEYS[1] .. 'line:' .. name .. ':' .. line
    local length = redis.call('LLEN', key)
    local from, to = first - passed, last - passed
    if to >= 0 and from < length then
      for _, entry in ipairs(redis.call('LRANGE', key, math.max(0, from), to)) do
        entries[#entries + 1] = string.sub(entry, 1, 22)
      end
    end
    passed = passed + length
  end
  return passed
end

-- Those that limits hold up come last.
local function parked_entries(entries, passed)
  local slots = redis.call('SMEMBERS', KEYS[1] .. 'parks')
  table.sort(slots)
  for _, slot in ipairs(slots) do
    local length = redis.call('ZCARD', KEYS[1] .. 'park:' .. slot)
    local from, to = first - passed, last - passed
    if to >= 0 and from < length then
      for _, entry in ipairs(redis.call('ZRANGE', KEYS[1] .. 'park:' .. slot, math.max(0, from), to)) do
        entries[#entries + 1] = string.sub(entry, 1, 22)
      end
    end
    passed = passed + length
  end
end

-- Those of flows that have not ended, and those of none.
local function waiting_entries(entries)
  local passed = 0
  for _, flow in ipairs(redis.call('ZRANGE', KEYS[1] .. 'flows:open', 0, -1)) do
    local key = KEYS[1] .. 'flow:' .. flow .. ':ids'
    local length = redis.call('LLEN', key)
    local from, to = first - passed, last - passed
    if to >= 0 and from < length then
      for _, id in ipairs(redis.call('LRANGE', key, math.max(0, from), to)) do entries[#entries + 1] = id end
    end
    passed = passed + length
  end
  if last >= passed then
    local others = redis.call('ZRANGE', KEYS[1] .. 'waiting', math.max(0, first - passed), last - passed)
    for _, id in ipairs(others) do entries[#entries + 1] = id end
  end
end

local entries = {}
if state == 'w' or state == 'p' then
  waiting_entries(entries)
elseif state == 'q' then
  local names = queue ~= '' and { queue } or redis.call('SMEMBERS', KEYS[1] .. 'queues')
  table.sort(names)
  local passed = 0
  for _, name in ipairs(names) do passed = ready_entries(name, entries, passed) end
  parked_entries(entries, passed)
elseif state == 'r' then
  entries = redis.call('ZRANGE', KEYS[1] .. 'lease', first, last)
elseif state == 'd' then
  entries = redis.call('ZRANGE', KEYS[1] .. 'due', first, last)
elseif state == 'f' then
  entries = redis.call('ZREVRANGE', KEYS[1] .. 'dead', first, last)
else
  entries = redis.call('LRANGE', KEYS[1] .. 'done', first, last)
end
local reply = { #entries }
if #entries == 0 then return reply end
local keys, ids = {}, {}
for i, entry in ipairs(entries) do
  ids[i] = state == 'd' and string.sub(entry, -22) or string.sub(entry, 1, 22)
  if state == 'd' and #entry > 22 then ids[i] = '' end
  keys[i] = KEYS[1] .. 't:' .. ids[i]
end
local seen = {}
for i, text in ipairs(redis.call('MGET', unpack(keys))) do
  local task = text and read_record(text)
  local wanted = task and task.state == state and (queue == '' or task.queue == queue)
  if text and not task and state == 'f' and queue == '' then wanted = true end
  if wanted and not seen[ids[i]] then
    seen[ids[i]] = true
    reply[#reply + 1] = ids[i]
    reply[#reply + 1] = text
  end
end
return reply
