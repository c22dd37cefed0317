--[[
lib/record: a task's record, from text and back.

A record is one string of three or four lines:

  life     <state><version> <fence> <attempt> <strikes> <since_ms> <worker> <mailbox> <flags>
           a new record may have the first only; state is w waiting, d scheduled, q ready, r running,
           p suspended, s succeeded, f failed, c cancelled; '-' means none
  spec     <queue> <name>[ <k>=<value>]...   never changes
  args     a JSON object, or '@' when it is kept apart at p:<id>
  outcome  JSON: the result, or the last error; missing until there is one

One string instead of a hash, because MGET and MSET read and write a whole batch in two commands,
and because it costs half the memory. Flags: x cancel requested, k total timeout passed,
s something is kept at saved:<id>; m n o u v z: see lib/flow.
]]
local function read_record(text)
  -- every repetition ends at a separator that it cannot match: no text, however strange, takes long
  local state, version, cut = string.match(text, '^(%l)(%d+)()\n')
  local fence, attempt, strikes, since, worker, mailbox, flags = '0', 0, 0, '0', '-', '-', '-'
  if not state then
    state, version, fence, attempt, strikes, since, worker, mailbox, flags, cut = string.match(text,
      '^(%l)(%d+) (%d+) (%d+) (%d+) (%d+) ([^ \n]+) ([^ \n]+) ([^ \n]+)()\n')
    if not state then return nil end
  end
  local queue, name, options, body = string.match(text, '^\n([^ \n]+) ([^ \n]+)([^\n]*)\n()', cut)
  if not queue then return nil end
  return {
    text = text, cut = cut, body = body, state = state, version = tonumber(version), fence = fence,
    attempt = tonumber(attempt), strikes = tonumber(strikes), since = since, worker = worker,
    mailbox = mailbox, flags = flags, queue = queue, name = name, options = options,
  }
end

-- The record of `id`; nil when there is none, or a key that is no record stands in its place: GET
-- would stop the script half-way at a key of another type, MGET does not.
local function record_of(id)
  local text = redis.call('MGET', KEYS[1] .. 't:' .. id)[1]
  local task = text and read_record(text)
  if task then task.id = id end
  return task
end

local function args_end(task)
  local newline = string.find(task.text, '\n', task.body, true)
  return newline and newline - 1 or #task.text
end

-- The record with its life line rewritten; with `outcome`, also with a new last line.
local function write_record(task, outcome)
  local life = task.state .. task.version .. ' ' .. task.fence .. ' ' .. task.attempt .. ' '
    .. task.strikes .. ' ' .. task.since .. ' ' .. task.worker .. ' ' .. task.mailbox .. ' '
    .. task.flags
  if outcome and outcome ~= '' then
    return life .. string.sub(task.text, task.cut, args_end(task)) .. '\n' .. outcome
  end
  return life .. string.sub(task.text, task.cut)
end

-- Its last line, JSON, or nil.
local function outcome_of(task)
  local stop = args_end(task)
  return stop < #task.text and string.sub(task.text, stop + 2) or nil
end

local function add_flag(task, letter)
  if task.flags == '-' then
    task.flags = letter
  elseif not string.find(task.flags, letter, 1, true) then
    task.flags = task.flags .. letter
  end
end

local function option(task, letter)
  if task.options == '' then return nil end
  local _, stop = string.find(task.options, ' ' .. letter .. '=', 1, true)
  return stop and string.match(task.options, '^[^ ]+', stop + 1)
end
