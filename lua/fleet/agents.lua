--[[
fleet/agents: what the registry knows of agents, all of it or what moved since; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  since     the revision of the view that the caller has; 0: it has none
ARGV[2]  live      1: with what workers say of themselves | 0: without

Returns  {now_ms, revision, all, {name, record, ...}, {name, text, ...}, {name, text, ...},
         {name, since_ms, ...}, {info, ...}}
         all       1: these are all agents that are known | 0: only those that moved
         record    see lib/agents; false when it was forgotten
         the next three are the HASHes stand-ins, outside and away, the latter two false when nothing
                   moved and `live` is 0: then they are as they were, but for time
         info      of each worker that is known, as work/beat has it; false unless asked for
]]
--- @include lib/clock
local since, moved_key = tonumber(ARGV[1]), KEYS[1] .. 'agents:moved'
local revision = tonumber(redis.call('GET', KEYS[1] .. 'agents:revision') or '0') or 0
local oldest = tonumber(redis.call('ZRANGE', moved_key, 0, 0, 'WITHSCORES')[2] or '0')
local all = since == 0 or since > revision or since < oldest
local records = {}
if all then
  records = redis.call('HGETALL', KEYS[1] .. 'agents')
elseif since < revision then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', moved_key, '(' .. ARGV[1], '+inf')) do
    records[#records + 1] = name
    records[#records + 1] = redis.call('HGET', KEYS[1] .. 'agents', name)
  end
end
local outside, away, infos = false, false, false
if ARGV[2] == '1' or all or since < revision then
  outside, away = redis.call('HGETALL', KEYS[1] .. 'outside'), redis.call('HGETALL', KEYS[1] .. 'away')
end
if ARGV[2] == '1' then
  infos = {}
  for _, worker in ipairs(redis.call('ZRANGE', KEYS[1] .. 'workers', 0, -1)) do
    infos[#infos + 1] = redis.call('GET', KEYS[1] .. 'worker:' .. worker) or nil
  end
end
return {
  now, string.format('%.0f', revision), all and 1 or 0, records, redis.call('HGETALL', KEYS[1] .. 'stand-ins'),
  outside, away, infos,
}
