--[[
lib/fair: tenants share a line by turns, stride scheduling.

ZSET fair:<queue>:<priority><route>~ has the tenants that have tasks there, by pass: the lowest is next,
and a turn costs it a stride, 1 / weight. Who comes (back) starts a stride behind the first: no credit
for absence, no debts from before, and nothing to be remembered of who is away. HASH tenants has the
weight of every tenant that ever came, HASH weights:<queue> those that count at one queue only. heads ranks the fair line like the line of the tenant whose turn
it is.

A call that takes n tasks reads the n tenants that come first, once, and takes what each of them has
coming in one command: the order is that of n calls for one task. A turn that brings nothing, because
the entry was stale or the task may not start yet, counts while the call lasts, so that others get
theirs; then it is given back, and a tenant that finds nothing for long may be up to OWED_MAX turns
behind the others, and no more.

In a queue with the setting unfair nobody takes turns: the pass of a tenant is the moment of its first
task, so that the oldest of all comes next, and configure writes passes anew when that changes.

Nearly every script carries this and few ever meet a tenant: it is made on first use.
]]
local function make_fair()
  local WEIGHT_MIN, WEIGHT_MAX, OWED_MAX = 0.001, 1000, 16
  local shares, strides, weighed, wasted = {}, {}, {}, {}

  -- What a turn costs. weight: what the books say, which may be nothing, or nonsense.
  function shares.stride_by(weight)
    local number = tonumber(weight or 1)
    if not number or not (number >= WEIGHT_MIN and number <= WEIGHT_MAX) then return 1 end
    return 1 / number
  end

  -- Where the weights stand that count at a queue only; nil when there are none.
  local function own_weights(queue)
    local own = KEYS[1] .. 'weights:' .. queue
    if weighed[queue] == nil then weighed[queue] = redis.call('EXISTS', own) == 1 end
    return weighed[queue] and own or nil
  end

  -- What the books say of some tenants at a queue: their own weight there, else the general one.
  function shares.weights_in(queue, tenants)
    local weights, own = redis.call('HMGET', KEYS[1] .. 'tenants', unpack(tenants)), own_weights(queue)
    for i, weight in ipairs(own and redis.call('HMGET', own, unpack(tenants)) or {}) do
      weights[i] = weight or weights[i]
    end
    return weights
  end

  -- What was read of the books holds no more.
  function shares.forget_weights()
    strides, weighed = {}, {}
  end

  local function stride_of(queue, tenant)
    local known = strides[queue] or {}
    strides[queue] = known
    if not known[tenant] then
      local weight, own = redis.call('HGET', KEYS[1] .. 'tenants', tenant), own_weights(queue)
      if not weight then redis.call('HSET', KEYS[1] .. 'tenants', tenant, '1') end
      known[tenant] = shares.stride_by(own and redis.call('HGET', own, tenant) or weight)
    end
    return known[tenant]
  end

  function shares.pass_text(pass)
    return string.format('%.17g', pass)
  end

  -- A fair line ranks by the first task of the tenant whose turn it is.
  function shares.rank(queue, fair)
    local key = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
    while true do
      local tenant = redis.call('ZRANGE', key, 0, 0)[1]
      if not tenant then return redis.call('ZREM', KEYS[1] .. 'heads:' .. queue, fair) end
      local head = redis.call('LINDEX', KEYS[1] .. 'line:' .. queue .. ':' .. fair .. tenant, 0)
      if head then
        return redis.call('ZADD', KEYS[1] .. 'heads:' .. queue, rank(head, fair, settings_of(queue).strict), fair)
      end
      redis.call('ZREM', key, tenant)
    end
  end

  -- Where nobody takes turns: its pass says when its first task came.
  local function place_by_age(queue, fair, tenant)
    local key = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
    local head = redis.call('LINDEX', KEYS[1] .. 'line:' .. queue .. ':' .. fair .. tenant, 0)
    if not head then return redis.call('ZREM', key, tenant) end
    return redis.call('ZADD', key, shares.pass_text(moment_of(head)), tenant)
  end

  -- The line of a tenant that is ranked already may have another head.
  function shares.renew(queue, fair, tenant)
    if settings_of(queue).unfair then place_by_age(queue, fair, tenant) end
    return shares.rank(queue, fair)
  end

  -- From now on a queue's tenants take turns, all from the same pass, or do not any more.
  function shares.begin_anew(queue, fair)
    local key = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
    for _, tenant in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if settings_of(queue).unfair then place_by_age(queue, fair, tenant) else redis.call('ZADD', key, 0, tenant) end
    end
  end

  -- turn_back: its last turn came to nothing, so that it is next.
  function shares.join(queue, fair, tenant, turn_back)
    if settings_of(queue).unfair then return shares.renew(queue, fair, tenant) end
    local key = KEYS[1] .. 'fair:' .. queue .. ':' .. fair
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local pass = (tonumber(first[2]) or 0) + (turn_back and 0 or stride_of(queue, tenant))
    redis.call('ZADD', key, shares.pass_text(pass), tenant)
    if turn_back or not first[1] or first[1] == tenant then shares.rank(queue, fair) end
  end

  -- A task that was granted stands in line again: its tenant has its turn back, and is among the next.
  function shares.give_turn_back(queue, line)
    local cut = string.find(line, '~', 1, true)
    if cut then shares.join(queue, string.sub(line, 1, cut), string.sub(line, cut + 1), true) end
  end

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
        first.standing, first.stride = redis.call('LLEN', line_key(first)), stride_of(first.queue, first.tenant)
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
        stay[#stay + 1], stay[#stay + 2] = shares.pass_text(one.pass), one.tenant
      end
    end
    if #go > 0 then redis.call('ZREM', key, unpack(go)) end
    if #stay > 0 then redis.call('ZADD', key, unpack(stay)) end
  end

  -- Returns up to `amount` entries of a line without turns, the oldest first.
  local function take_oldest(queue, fair, amount)
    local key, entries = KEYS[1] .. 'fair:' .. queue .. ':' .. fair, {}
    while #entries < amount do
      local tenant = redis.call('ZRANGE', key, 0, 0)[1]
      if not tenant then break end
      entries[#entries + 1] = redis.call('LPOP', KEYS[1] .. 'line:' .. queue .. ':' .. fair .. tenant) or nil
      place_by_age(queue, fair, tenant)
    end
    shares.rank(queue, fair)
    return entries
  end

  -- Returns up to `amount` entries of a fair line, fewer when there are no more, and whose turn brought
  -- each; nil where nobody takes turns.
  function shares.take_turns(queue, fair, amount)
    if settings_of(queue).unfair then return take_oldest(queue, fair, amount) end
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
    shares.rank(queue, fair)
    return entries, owners
  end

  function shares.waste_turn(owner)
    owner.wasted = (owner.wasted or 0) + 1
    if owner.wasted == 1 then wasted[#wasted + 1] = owner end
  end

  -- At the end of a call: nobody pays for a turn that brought nothing, and nobody saves many up.
  function shares.give_turns_back()
    for _, one in ipairs(wasted) do
      local key = KEYS[1] .. 'fair:' .. one.queue .. ':' .. one.fair
      local pass = tonumber(redis.call('ZSCORE', key, one.tenant) or nil)
      if pass then
        local first = redis.call('ZRANGE', key, 0, 1, 'WITHSCORES')
        local others = tonumber(first[1] ~= one.tenant and first[2] or first[4] or first[2])
        local back = math.max(pass - one.wasted * one.stride, math.min(pass, others - OWED_MAX * one.stride))
        redis.call('ZADD', key, shares.pass_text(back), one.tenant)
        shares.rank(one.queue, one.fair)
      end
    end
    wasted = {}
  end

  return shares
end

local made_fair = nil
local function the_fair()
  made_fair = made_fair or make_fair()
  return made_fair
end
