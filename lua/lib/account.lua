--[[
lib/account: a flow's HASH, with what is worked out instead of being counted: succeeded, and when it moved.
]]
-- {field, value, ...}; empty when there is no such flow.
local function account_of(flow)
  local flat, facts = redis.call('HGETALL', KEYS[1] .. 'flow:' .. flow), {}
  if #flat == 0 then return flat end
  for at = 1, #flat, 2 do facts[flat[at]] = flat[at + 1] end
  local succeeded = tonumber(facts.total or 0) or 0
  for _, name in ipairs({ 'left', 'failed', 'cancelled', 'skipped' }) do
    succeeded = succeeded - (tonumber(facts[name] or 0) or 0)
  end
  local function add(name, value)
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  add('succeeded', tostring(succeeded))
  add('moved', facts.ended or redis.call('ZSCORE', KEYS[1] .. 'flows:open', flow) or '0')
  if not facts.name then add('name', '-') end
  return flat
end
