--[[
lib/wait: a task waits for tasks, a person, a signal or a moment, and holds no slot meanwhile.

A handler's wait is JSON in saved:<id>, field wait: {"kind":"tasks|approval|signal|time","key":<text>,
"ids":[...],"name":<signal>}; what comes of it goes to the field w:<key>, and the handler is run again from
its start. A node that only waits has no handler: it is told by its option w (a, or s:<signal>,
percent-encoded), and what comes ends it; if nothing comes within its option y, it fails. What wakes a
suspended task:

  tasks     an edge "<id>aw" in kids:<task> of each that has not ended; the field open says how many
  approval  work/answer
  signal    work/signal, which finds it in ZSET listening:<signal>; STRING signal:<signal> is one that
            came before, and is kept for a while
  time      due member z<id>, also the timeout of any other wait; the field until says when

Nearly every script carries this and few calls need it: it is made on first use.
]]
--- @include lib/saved

local function make_waits()
--- @include lib/cycle
  local WAITS_MAX = 1000
  local NO_EDGE = string.rep('0', 22) .. 'ai'
  local NOTHING_CAME = '{"value":null}'
  local waits = { way_to = way_to }

  -- A wait as it was written, or nil when it makes no sense.
  local function read_wait(text)
    local fine, wait = pcall(cjson.decode, text)
    if not fine or type(wait) ~= 'table' or type(wait.key) ~= 'string' then return nil end
    if wait.kind == 'approval' or wait.kind == 'time' then return wait end
    if wait.kind == 'signal' then return type(wait.name) == 'string' and wait or nil end
    if wait.kind ~= 'tasks' or type(wait.ids) ~= 'table' then return nil end
    for _, id in ipairs(wait.ids) do
      if type(id) ~= 'string' or #id ~= 22 then return nil end
    end
    return wait
  end

  -- What a suspended task waits for, with `node` when it is one; nil when that is not known.
  function waits.wait_of(task)
    local node = option(task, 'w')
    if node == 'a' then return { kind = 'approval', key = '', node = true } end
    if node and string.sub(node, 1, 2) == 's:' then
      local name = string.gsub(string.sub(node, 3), '%%(%x%x)', function(code)
        return string.char(tonumber(code, 16))
      end)
      return { kind = 'signal', key = '', name = name, node = true }
    end
    return read_wait(redis.call('HGET', KEYS[1] .. 'saved:' .. task.id, 'wait') or '')
  end

  -- Nothing wakes it any more.
  function waits.leave(task)
    local wait = waits.wait_of(task)
    redis.call('ZREM', KEYS[1] .. 'due', 'z' .. task.id)
    if not option(task, 'f') then redis.call('ZREM', KEYS[1] .. 'waiting', task.id) end
    if wait and wait.kind == 'signal' then redis.call('ZREM', KEYS[1] .. 'listening:' .. wait.name, task.id) end
    if wait and wait.kind == 'tasks' and redis.call('HDEL', KEYS[1] .. 'saved:' .. task.id, 'open') == 1 then
      for _, id in ipairs(wait.ids) do
        -- struck out, not removed: lib/flow may be on its way through the list
        local at = redis.call('LPOS', KEYS[1] .. 'kids:' .. id, task.id .. 'aw', 'RANK', -1)
        if at then redis.call('LSET', KEYS[1] .. 'kids:' .. id, at, NO_EDGE) end
      end
    end
    if keeps(task) then redis.call('HDEL', KEYS[1] .. 'saved:' .. task.id, 'wait', 'until') end
  end

  -- It goes on at the head of its line, and finds `came` under the key of its wait.
  function waits.come(task, wait, came)
    waits.leave(task)
    if wait then keep(task, 'w:' .. wait.key, came) end
    task.state, task.version, task.since, task.worker = 'q', task.version + 1, now, '-'
    redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
    make_ready(task, true)
    event(task.id, 'resumed', task, wait and wait.kind or '')
  end

  local function stand_still(task, wait)
    task.state, task.version, task.since, task.worker = 'p', task.version + 1, now, '-'
    redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
    if not option(task, 'f') then redis.call('ZADD', KEYS[1] .. 'waiting', now, task.id) end
    local what = string.gsub(wait.kind == 'signal' and wait.name or wait.key, '%c', ' ')
    event(task.id, 'suspended', task, wait.kind .. ' ' .. string.sub(what, 1, 100))
  end

  local function living(ids)
    local tasks, seen = {}, {}
    for at, text in ipairs(records_at(ids)) do
      local task = not seen[ids[at]] and text and read_record(text)
      seen[ids[at]] = true
      if task and not string.find('sfc', task.state, 1, true) then
        task.id = ids[at]
        tasks[#tasks + 1] = task
      end
    end
    return tasks
  end

  -- Whoever ends looks for children if it has the flag m: see lib/flow.
  function waits.add_kid(parent, edge)
    redis.call('RPUSH', KEYS[1] .. 'kids:' .. parent.id, edge)
    if string.find(parent.flags, 'm', 1, true) then return end
    add_flag(parent, 'm')
    redis.call('SET', KEYS[1] .. 't:' .. parent.id, write_record(parent))
  end

  -- Returns "came", "waits", or "would-cycle" and the path.
  local function wait_for_tasks(task, wait)
    local open, waiting, targets = living(wait.ids), false, {}
    if #open == 0 then return 'came' end
    for _, other in ipairs(open) do
      targets[other.id] = true
      waiting = waiting or string.find('wp', other.state, 1, true) or other.id == task.id
    end
    local path = waiting and (targets[task.id] and { task.id, task.id } or way_to(task.id, targets))
    if path then return 'would-cycle', path end
    for _, other in ipairs(open) do waits.add_kid(other, task.id .. 'aw') end
    keep(task, 'open', #open)
    return 'waits'
  end

  -- Returns the value of a signal that came before and was kept, as JSON; else it is listened for.
  local function listen(task, wait)
    local value = redis.call('GET', KEYS[1] .. 'signal:' .. wait.name)
    if value then return value end
    redis.call('ZADD', KEYS[1] .. 'listening:' .. wait.name, string.format('%.0f', now_us), task.id)
  end

  -- A task whose claim has been given up waits. timeout_ms: 0 for none; of kind time how long it waits.
  -- Returns "ok", or why it cannot wait: "would-cycle" and the path, "senseless-wait".
  function waits.suspend(task, timeout_ms, body)
    local wait = read_wait(body)
    if not wait or redis.call('HLEN', KEYS[1] .. 'saved:' .. task.id) > WAITS_MAX then return 'senseless-wait' end
    local came = nil
    if wait.kind == 'tasks' then
      local verdict, path = wait_for_tasks(task, wait)
      if path then return verdict, path end
      came = verdict == 'came' and NOTHING_CAME
    elseif wait.kind == 'signal' then
      local value = listen(task, wait)
      came = value and '{"value":' .. value .. '}'
    elseif wait.kind == 'time' and timeout_ms == 0 then
      came = NOTHING_CAME
    end
    if came then
      waits.come(task, wait, came)
      return 'ok'
    end
    keep(task, 'wait', body)
    if timeout_ms > 0 then
      local over = string.format('%.0f', now + timeout_ms)
      redis.call('ZADD', KEYS[1] .. 'due', over, 'z' .. task.id)
      keep(task, 'until', over)
    end
    stand_still(task, wait)
    return 'ok'
  end

  -- A node that only waits begins to. Returns instead what it ends with, as JSON, if that has come already.
  function waits.begin_node(task)
    local wait = waits.wait_of(task)
    local value = wait.kind == 'signal' and listen(task, wait)
    if value then return value end
    local timeout_ms = tonumber(option(task, 'y') or 0)
    if timeout_ms > 0 then
      redis.call('ZADD', KEYS[1] .. 'due', string.format('%.0f', now + timeout_ms), 'z' .. task.id)
    end
    stand_still(task, wait)
    return nil
  end

  -- One of the tasks that it waits for has ended.
  function waits.one_less(task)
    local key = KEYS[1] .. 'saved:' .. task.id
    if task.state ~= 'p' or redis.call('HEXISTS', key, 'open') == 0 then return end
    if redis.call('HINCRBY', key, 'open', -1) > 0 then return end
    redis.call('HDEL', key, 'open')
    waits.come(task, waits.wait_of(task), NOTHING_CAME)
  end

  -- Its time is up.
  function waits.time_is_up(task)
    if task.state ~= 'p' then return end
    local wait = waits.wait_of(task)
    waits.come(task, wait, wait and wait.kind == 'time' and NOTHING_CAME or '{"error":"timeout"}')
  end

  return waits
end

local made_waits = nil
local function the_waits()
  made_waits = made_waits or make_waits()
  return made_waits
end
