--[[
lib/turns: the tenants of a fair line take turns, by stride scheduling: see lib/line.

Who has the lowest pass is next, and each turn adds its stride. A call that takes n tasks reads the n
tenants that come first, once, and takes what each of them has coming in one command: the order is
that of n calls for one task. A turn that brings nothing, because the entry was stale or the task may
not start yet, counts while the call lasts, so that others get theirs; then it is given back, and a
tenant that finds nothing for long may be up to OWED_MAX turns behind the others, and no more.
]]
local OWED_MAX = 16
local wasted = {}

local function sooner(one, other)
  return one.pass < other.pass or one.pass == other.pass and one.tenant < other.tenant
end

-- The first of a heap has changed its pass, or is another: everyone to their place.
local function sift(heap)
  local moved, at = heap[1], 1
  while true do
    local child = 2 * at
    if child < #heap and sooner(heap[child + 1], heap[child]) then child = child + 1 end
    if child > #heap or sooner(moved, heap[child]) then break end
    heap[at], at = heap[child], child
  end
  heap[at] = moved
end

-- The tenants that come first, as a heap: what is sorted is one already.
local function coming(queue, fair, amount)
  local ranked = redis.call('ZRANGE', KEYS[1] .. 'fair:' .. queue .. ':' .. fair, 0, amount - 1, 'WITHSCORES')
  local heap = {}
  for i = 1, #ranked, 2 do
    heap[#heap + 1] = { queue = queue, fair = fair, tenant = ranked[i], pass = tonumber(ranked[i + 1]), turns = 0 }
  end
  return heap
end

local function line_key(one)
  return KEYS[1] .. 'line:' .. one.queue .. ':' .. one.fair .. one.tenant
end

-- Deals out `amount` turns; returns whose they are, in order, and who had a turn or has gone.
local function deal(heap, amount)
  local turns, seen = {}, {}
  while #turns < amount and heap[1] do
    local first = heap[1]
    if not first.standing then
      first.standing, first.stride = redis.call('LLEN', line_key(first)), stride_of(first.tenant)
      seen[#seen + 1] = first
    end
    if first.turns < first.standing then
      turns[#turns + 1] = first
      first.turns, first.pass = first.turns + 1, first.pass + first.stride
    end
    if first.turns == first.standing then
      heap[1] = heap[#heap]
      heap[#heap] = nil
    end
    if heap[1] then sift(heap) end
  end
  return turns, seen
end

-- Takes from each what its turns come to, and writes how far each is now.
local function collect(queue, fair, seen)
  local key, stay, go = KEYS[1] .. 'fair:' .. queue .. ':' .. fair, {}, {}
  for _, one in ipairs(seen) do
    if one.turns > 0 then one.taken, one.next = redis.call('LPOP', line_key(one), one.turns), 0 end
    if one.turns == one.standing then
      go[#go + 1] = one.tenant
    else
      stay[#stay + 1], stay[#stay + 2] = pass_text(one.pass), one.tenant
    end
  end
  if #go > 0 then redis.call('ZREM', key, unpack(go)) end
  if #stay > 0 then redis.call('ZADD', key, unpack(stay)) end
end

-- Returns up to `amount` entries of a fair line, and whose turn brought each; fewer when there are no more.
local function take_turns(queue, fair, amount)
  local entries, owners = {}, {}
  while #entries < amount do
    local heap = coming(queue, fair, amount - #entries)
    if #heap == 0 then break end
    local turns, seen = deal(heap, amount - #entries)
    collect(queue, fair, seen)
    for _, one in ipairs(turns) do
      one.next = one.next + 1
      entries[#entries + 1], owners[#owners + 1] = one.taken[one.next], one
    end
  end
  rank_fair(queue, fair)
  return entries, owners
end

local function waste_turn(owner)
  owner.wasted = (owner.wasted or 0) + 1
  if owner.wasted == 1 then wasted[#wasted + 1] = owner end
end

-- At the end of a call: nobody pays for a turn that brought nothing, and nobody saves many up.
local function give_turns_back()
  for _, one in ipairs(wasted) do
    local key = KEYS[1] .. 'fair:' .. one.queue .. ':' .. one.fair
    local pass = tonumber(redis.call('ZSCORE', key, one.tenant) or nil)
    if pass then
      local first = redis.call('ZRANGE', key, 0, 1, 'WITHSCORES')
      local others = tonumber(first[1] ~= one.tenant and first[2] or first[4] or first[2])
      local back = math.max(pass - one.wasted * one.stride, math.min(pass, others - OWED_MAX * one.stride))
      redis.call('ZADD', key, pass_text(back), one.tenant)
      rank_fair(one.queue, one.fair)
    end
  end
  wasted = {}
end
