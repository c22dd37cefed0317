--[[
lib/open: which tasks of a flow have not ended, counted where they stand.
]]
-- Among those from `first` to `last` in the order of the flow. Who has ended by now but was told of it before,
-- flag z, counts as ended.
local function open_among(flow, first, last)
  local open = 0
  for at = first, last, 1000 do
    local keys = redis.call('LRANGE', KEYS[1] .. 'flow:' .. flow .. ':ids', at, math.min(at + 999, last))
    for i, id in ipairs(keys) do keys[i] = KEYS[1] .. 't:' .. id end
    for _, text in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or {}) do
      local task = text and read_record(text)
      if task and not string.find('sfc', task.state, 1, true) and not string.find(task.flags, 'z', 1, true) then
        open = open + 1
      end
    end
  end
  return open
end

-- The same as long as no task of the flow ends or is added, and nobody retries it; "" unless it just runs.
local function open_token(flow)
  local facts = redis.call('HMGET', KEYS[1] .. 'flow:' .. flow, 'state', 'left', 'total', 'retried', 'firing')
  if facts[1] ~= 'running' or facts[5] then return '' end
  return table.concat({ facts[2] or '-', facts[3] or '-', facts[4] or '-' }, ',')
end
