--[[
lib/breaker: a circuit breaker, as HASH breaker:<subject> on shard 0 holds it.

  state     closed (missing means that), open or half-open
  forced    open or closed: an operator has said so, and nothing else counts
  since     when it came into its state, ms
  until     of an open one: when the first call may be tried, ms
  opened    how often it has opened
  good      of a half-open one: how many calls went well
  @<token>  of a half-open one: a call that is tried, and until when it may take, ms
  b0 .. b9  the window, "<number of the tenth> <calls> <failures> <slow>"
  calls, failures, slow, refused   since the HASH was made
  set       thresholds, if it has its own, as THRESHOLDS below
  who, why  who forced it, and the reason of the last change

THRESHOLDS: failures, share of calls that must be failures, least calls in the window, slow_ms (0 none),
share of calls that must be slow, window_ms, recovery_ms, calls that are tried when it is half-open.
`coordq/fleet/breaker/thresholds.py` has the same. ZSET breakers holds all subjects, by when they were
written last. A breaker that nobody has written for a day is forgotten, unless it is forced or was set.
]]
local THRESHOLDS = '5 0.5 5 0 0.8 60000 30000 3'
local TENTHS, KEPT_MS = 10, 86400000

-- The breaker of a subject, to be asked and written. looks: nothing will be written but what is over.
local function breaker(subject, looks)
  local key = KEYS[1] .. 'breaker:' .. subject
  -- not deny-oom, so first: calls are protected, and an operator is heard, when Redis is full
  if not looks then redis.call('PERSIST', key) end
  local it, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do it[flat[i]] = flat[i + 1] end
  it.known = #flat > 0
  if it.state ~= 'open' and it.state ~= 'half-open' then it.state = 'closed' end
  local said = {}
  for word in string.gmatch(it.set or THRESHOLDS, '%S+') do said[#said + 1] = tonumber(word) or 0 end
  it.need_failures, it.share, it.least, it.slow_ms = said[1], said[2], said[3], said[4]
  it.slow_share, it.window_ms, it.recovery_ms, it.probes = said[5], said[6], said[7], said[8]
  local tenth = math.floor(now / (it.window_ms / TENTHS))

  function it.put(...) redis.call('HSET', key, ...) end

  -- Calls, failures and slow calls of the window.
  function it.sums()
    local sums = { 0, 0, 0 }
    for i = 0, TENTHS - 1 do
      local number, calls, failures, slow =
        string.match(it['b' .. i] or '', '^(%d+) (%d+) (%d+) (%d+)$')
      if number and tonumber(number) > tenth - TENTHS and tonumber(number) <= tenth then
        sums[1], sums[2], sums[3] = sums[1] + calls, sums[2] + failures, sums[3] + slow
      end
    end
    return sums
  end

  function it.count(calls, failures, slow)
    local field = 'b' .. tenth % TENTHS
    local number, a, b, c = string.match(it[field] or '', '^(%d+) (%d+) (%d+) (%d+)$')
    if tonumber(number or -1) ~= tenth then a, b, c = 0, 0, 0 end
    it[field] = string.format('%d %d %d %d', tenth, a + calls, b + failures, c + slow)
    it.put(field, it[field])
  end

  -- Calls that are tried and have not ended; those that took too long are given up.
  function it.tried()
    local live = 0
    for field, till in pairs(it) do
      if string.sub(field, 1, 1) == '@' then
        if (tonumber(till) or 0) > now then
          live = live + 1
        else
          redis.call('HDEL', key, field)
        end
      end
    end
    return live
  end

  -- It comes into another state: what it knew of the one before is forgotten.
  function it.become(state, why)
    local gone = { 'good', 'until' }
    for field in pairs(it) do
      if string.match(field, '^b%d$') or string.sub(field, 1, 1) == '@' then gone[#gone + 1] = field end
    end
    redis.call('HDEL', key, unpack(gone))
    for _, field in ipairs(gone) do it[field] = nil end
    it.state, it.why = state, why
    it.put('state', state, 'since', string.format('%.0f', now), 'why', why)
    if state == 'open' then
      it['until'] = string.format('%.0f', now + it.recovery_ms)
      it.put('until', it['until'])
      redis.call('HINCRBY', key, 'opened', 1)
    end
    local kinds = { open = 'breaker-opened', closed = 'breaker-closed' }
    tell('0', kinds[state] or 'breaker-probing', subject, why)
  end

  -- How long until a call may be worth a try, ms; 0 now.
  function it.wait_ms()
    if it.forced == 'open' then return it.recovery_ms end
    if it.state ~= 'open' then return 0 end
    return math.max(0, math.ceil((tonumber(it['until'] or '') or 0) - now))
  end

  function it.keep()
    redis.call('ZADD', KEYS[1] .. 'breakers', string.format('%.0f', now), subject)
    if not it.forced and not it.set then redis.call('PEXPIRE', key, KEPT_MS) end
  end

  function it.key() return key end
  return it
end
