"""Bugs planted on purpose, to see that the checker finds them.

The product has no switch that makes it wrong. A planted bug is a copy of the Lua in which one piece
of text is replaced, and the processes are pointed to the copy by COORDQ_LUA.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from coordq.engine.scripts import lua_root


@dataclass(frozen=True, slots=True)
class Bug:
    """One way to be wrong."""

    file: str
    right: str
    wrong: str
    rules: frozenset[str]
    """What the checker says of it: at least one of these."""


BUGS: Final = {
    "no-fence": Bug(
        "work/finish.lua",
        "elseif leased[i] and task then",
        "elseif task then",
        frozenset({"stale", "twice"}),
    ),
    "early-ack": Bug(
        "lib/grant.lua",
        "    'PX', lease_ms * 2)\n  return reply\nend",
        "    'PX', lease_ms * 2)\n"
        "  for i, task in ipairs(tasks) do\n"
        "    redis.call('ZREM', KEYS[1] .. 'lease', members[i])\n"
        "    count(task.queue, 'running', -1)\n"
        "    settle(task, 's', 'null', '')\n"
        "  end\n"
        "  return reply\nend",
        frozenset({"hollow"}),
    ),
    "early-enqueue": Bug(
        "lib/place.lua",
        "  put(group, id, args, size)\n  return '+'",
        "  if now % 10 > 0 then put(group, id, args, size) end\n  return '+'",
        frozenset({"lost"}),
    ),
    "early-join": Bug(
        "lib/kin.lua",
        "'left', -sum.left)",
        "'left', 0 - (tonumber(redis.call('HGET', key, 'left')) or sum.left))",
        frozenset({"flow"}),
    ),
    "early-seat": Bug(
        "lib/slot.lua",
        "return ask('ZCARD', key('slots:', slot)) or 0",
        "return ask('ZCOUNT', key('slots:', slot), now - 200, '+inf') or 0",
        frozenset({"limit"}),
    ),
    "lost-seat": Bug(
        "lib/slot.lua",
        "    if not held then return end\n",
        "    if not held or not keep_paid and task.strikes > 0 then return end\n",
        frozenset({"limit", "repaired"}),
    ),
    "early-receipt": Bug(
        "bus/take.lua",
        "    give(group, place, 1, fresh)\n",
        "    give(group, place, 1, fresh)\n"
        "    for _, entry in ipairs(fresh) do\n"
        "      redis.call('XACK', key, group, entry[1])\n"
        "      release(group, place, { entry[1] }, '0')\n"
        "    end\n",
        frozenset({"message", "session"}),
    ),
    "one-for-all": Bug(
        "lib/channel.lua",
        "local rest = (tonumber(left or 1) or 1) - 1",
        "local rest = 0",
        frozenset({"message"}),
    ),
    "lost-receipt": Bug(
        "bus/take.lua",
        "  local acked = redis.pcall('XACK'",
        "  if now % 5 == 0 then return end\n  local acked = redis.pcall('XACK'",
        frozenset({"again"}),
    ),
    "twice-said": Bug(
        "session/say.lua",
        "redis.call('HSET', said_key, ARGV[2], session.turn .. ' ' .. ARGV[6])\n",
        "",
        frozenset({"session"}),
    ),
    "two-turns": Bug(
        "bus/take.lua",
        "    if pending.err or pending[1] > 0 then\n",
        "    if pending.err or pending[1] > 0 and not talk then\n",
        frozenset({"session"}),
    ),
    "brief-hold": Bug(
        "bus/take.lua",
        "place .. ' ', string.format('%.0f', now + settings.visibility)",
        "place .. ' ', "
        "string.format('%.0f', now + (is_session(place) and 1 or settings.visibility))",
        frozenset({"shared"}),
    ),
    "counting-hold": Bug(
        "bus/hold.lua",
        "  redis.call('ZADD', KEYS[1] .. 'bus:held:' .. group, 'XX', moment,",
        "  redis.call('XCLAIM', key_of(place), group, reader, 0, id)\n"
        "  redis.call('ZADD', KEYS[1] .. 'bus:held:' .. group, 'XX', moment,",
        frozenset({"receipts"}),
    ),
    "hasty-sweep": Bug(
        "bus/sweep.lua",
        "  if not seen or has_reader(group) or not (settings.ephemeral or waits_for(group)) then\n",
        "  if waits_for(group) then\n"
        "    end_group(group, 'abandoned')\n"
        "  elseif not seen or has_reader(group) or not settings.ephemeral then\n",
        frozenset({"message"}),
    ),
    "no-overtaking": Bug(
        "lib/group.lua",
        "LANE_RANK = { c = 0, n = 2251799813685248,",
        "LANE_RANK = { c = 9007199254740992, n = 2251799813685248,",
        frozenset({"lane"}),
    ),
    "no-bound": Bug(
        "lib/channel.lua",
        "return lane == 'c' and 1.1 or lane == 'l' and 0.8 or 1\n",
        "return lane == 'c' and 1.1 or 9\n",
        frozenset({"bound"}),
    ),
    "no-epoch": Bug(
        "lib/epoch.lua",
        "  if epoch == '' then return nil end",
        "  if epoch then return nil end",
        frozenset({"leader"}),
    ),
}


def plant(name: str, folder: Path) -> Path:
    """A copy of the Lua under `folder` with one of BUGS in it, for COORDQ_LUA.

    Raises AssertionError when the text that it changes is not there exactly once: then the product
    has moved on, and the bug must follow.
    """
    bug = BUGS[name]
    for path, text in _files(lua_root()):
        if path == bug.file:
            assert text.count(bug.right) == 1, f"{bug.file} has changed: {bug.right!r}"
            changed = text.replace(bug.right, bug.wrong)
        else:
            changed = text
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(changed, encoding="utf-8")
    return folder


def _files(root: Traversable, path: str = "") -> Iterator[tuple[str, str]]:
    for entry in root.iterdir():
        where = f"{path}{entry.name}"
        if entry.is_dir():
            yield from _files(entry, f"{where}/")
        elif entry.name.endswith(".lua"):
            yield where, entry.read_text(encoding="utf-8")
