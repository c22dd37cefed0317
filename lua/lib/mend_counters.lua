--[[
lib/mend_counters: a queue's counters are what was counted.
]]
-- actual: what was counted, by counter; those that could not be counted are missing.
local function correct(queue, actual)
  local _, booked = token_of(queue)
  for i, field in ipairs({ 'ready', 'scheduled', 'running', 'bytes' }) do
    local counted_now = actual[field]
    if counted_now and tonumber(booked[i]) ~= counted_now then
      local what = string.format('%s was booked as %s, and is %.0f', field, booked[i], counted_now)
      wrong(queue, { queue = queue, name = '-' }, what, 'corrected', function()
        redis.call('HSET', KEYS[1] .. 'queue:' .. queue, field, string.format('%.0f', counted_now))
      end)
    end
  end
end
