--[[
lib/cycle: whether tasks would wait for each other for ever.

Edges lead from who must end first to who waits for that: those of a record's option e, those of LIST
kids:<id>, and the one to its alternative (option k). Only tasks that wait can be part of a circle, so the
search goes from one to the next through waiting and suspended tasks only, all of one distance at a time.

Made with lib/wait on its first use; others find way_to there.
]]
local CYCLE_LOOKS_MAX = 50000

-- each(child): for the ids that have to wait until the task of that record has ended.
local function each_child(id, text, each)
  local task = text and read_record(text)
  for child in string.gmatch(task and option(task, 'e') or '', '([^,]+)') do each(string.sub(child, 1, 22)) end
  local alternative = task and option(task, 'k')
  if alternative then each(alternative) end
  for _, edge in ipairs(redis.call('LRANGE', KEYS[1] .. 'kids:' .. id, 0, -1)) do each(string.sub(edge, 1, 22)) end
end

local function records_at(ids)
  local texts = {}
  for first = 1, #ids, 1000 do
    local keys = {}
    for at = first, math.min(first + 999, #ids) do keys[#keys + 1] = KEYS[1] .. 't:' .. ids[at] end
    for at, text in ipairs(redis.call('MGET', unpack(keys))) do texts[first + at - 1] = text end
  end
  return texts
end

-- From one of `targets` (a set), each waiting for the next, to `from`: the ids, both ends named; nil when
-- none of them waits for it.
-- Gives up, with nil, after CYCLE_LOOKS_MAX tasks: what that lets pass the stuck detector will name.
-- extra: id -> ids of children by edges that are not written yet, if any.
local function way_to(from, targets, extra)
  local came_from, level, looked, found = { [from] = '' }, { from }, 0, nil
  while #level > 0 and looked < CYCLE_LOOKS_MAX do
    local following = {}
    looked = looked + #level
    for at, text in ipairs(records_at(level)) do
      local function go_to(child)
        if targets[child] and not found then found = { child, level[at] } end
        if came_from[child] then return end
        came_from[child] = level[at]
        following[#following + 1] = child
      end
      if level[at] == from or text and string.find(text, '^[wp]') then each_child(level[at], text, go_to) end
      for _, child in ipairs(extra and extra[level[at]] or {}) do go_to(child) end
    end
    if found then break end
    level = following
  end
  if not found then return nil end
  local path, at = { found[1] }, found[2]
  while at ~= '' do
    path[#path + 1] = at
    at = came_from[at]
  end
  return path
end
