--[[
lib/ready: one task becomes ready again, after a delay, a retry, a release or a revival.

Its entry carries the moment, so that its age counts from now and not from its birth; not so when it
goes to the head of its line: it had stood there before, and keeps its age.
]]
local function stamp(ms)
  local DIGITS, text = '0123456789abcdefghijklmnopqrstuv', ''
  for _ = 1, 9 do
    local digit = ms % 32
    text = string.sub(DIGITS, digit + 1, digit + 1) .. text
    ms = (ms - digit) / 32
  end
  return text
end

-- Which line of its queue a ready task stands in: its priority, who may take it, and its tenant.
local function line_of(task)
  if task.options == '' then return '2' .. task.name end
  local requirement, tenant = option(task, 'r'), option(task, 'T')
  return (option(task, 'p') or '2') .. task.name .. (requirement and '@' .. requirement or '')
    .. (tenant and '~' .. tenant or '')
end

-- What a waiting task weighs against its queue's byte limit.
local function weight(task)
  local stop = args_end(task)
  local size = stop - task.cut
  if stop == task.body and string.sub(task.text, stop, stop) == '@' then
    size = size - 1 + redis.call('STRLEN', KEYS[1] .. 'p:' .. task.id)
  end
  return size
end

-- One task becomes ready again, now. at_head: its claim came to nothing.
local function make_ready(task, at_head)
  local line = line_of(task)
  stand_in_line(task.queue, line, { at_head and task.id or task.id .. stamp(now) }, at_head)
  if at_head and option(task, 'T') then the_fair().give_turn_back(task.queue, line) end
  count(task.queue, 'ready', 1)
  count(task.queue, 'bytes', weight(task))
end
