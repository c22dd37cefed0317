--[[
lib/lines: all lines of a queue that hold tasks, those of tenants one by one.
]]
-- Best first; of a fair line the tenants that come next, at most `most`, or all.
local function lines_of(queue, most)
  local lines = {}
  for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. queue, 0, -1)) do
    if string.sub(line, -1) == '~' then
      local tenants = redis.call('ZRANGE', KEYS[1] .. 'fair:' .. queue .. ':' .. line, 0, (most or 0) - 1)
      for _, tenant in ipairs(tenants) do lines[#lines + 1] = line .. tenant end
    else
      lines[#lines + 1] = line
    end
  end
  return lines
end
