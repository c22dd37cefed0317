"""When a schedule comes due. Its moments are called slots, and each is fired once at most.

cronsim knows what a cron line means on a clock that never changes; where its minutes fall in a zone
whose clocks do change is decided here, by two rules:

- A line of fixed times (neither minute nor hour begins with `*`, as in `30 2 * * *`) happens once
  for each minute it names. A minute that the clocks leave out comes at the end of the gap; one that
  they show twice comes the first time.
- Any other line (`*/15 * * * *`) goes by what the clock shows: what it never shows does not happen,
  and what it shows twice happens twice, so the distance between runs stays.

Times are milliseconds since 1970 unless the name says seconds.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from coordq.errors import InvalidSchedule

if TYPE_CHECKING:
    from coordq.work.schedule import Schedule

MISSED_MAX: Final = 1000
"""How many slots of a time without a leader are looked at, the latest ones."""
PUNCTUAL_MS: Final = 60_000
"""A slot that is later than this counts as missed: longer than any change of leaders takes."""
CRON_MAX: Final = 200
DAY_S: Final = 86_400
ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
FIELDS: Final = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (the last) or LW (the last weekday)",
    "month": "1-12 or jan-dec",
    "day-of-week": "0-7 or sun-sat (0 and 7 are sun), 5#2 (the 2nd fri) or 5L (the last)",
}
_LATE_DAYS: Final = (30, 31)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock shows, wherever it hangs


def check_cron(text: object) -> str:
    """A cron line of five fields, or an alias written out. Raises InvalidSchedule."""
    if not isinstance(text, str) or not text.strip() or len(text) > CRON_MAX:
        raise _bad_cron(
            text, f'give five fields, such as "0 9 * * mon-fri", {CRON_MAX} characters at most'
        )
    line = " ".join(text.split())
    if line.startswith("@"):
        if line.lower() not in ALIASES:
            raise _bad_cron(text, f"of names there are {', '.join(ALIASES)}")
        line = ALIASES[line.lower()]
    amount = len(line.split())
    if amount != len(FIELDS):
        seconds = "; for seconds use `every`" if amount == len(FIELDS) + 1 else ""
        raise _bad_cron(
            text, f"it has {amount} fields; five are needed: {' '.join(FIELDS)}{seconds}"
        )
    try:
        comes = next(CronSim(line, datetime(2000, 1, 1)), None)  # noqa: DTZ001
    except CronSimError as error:
        raise _bad_field(text, line, str(error)) from error
    if comes is None:
        raise _bad_cron(text, "no date fits it, not in fifty years")
    return line


def _bad_field(text: object, line: str, said: str) -> InvalidSchedule:
    field = said.removeprefix("Bad ")
    if field not in FIELDS:
        return _bad_cron(text, said)
    part = line.split()[list(FIELDS).index(field)]
    if field == "day-of-month" and part.isdigit() and int(part) in _LATE_DAYS:
        return _bad_cron(text, f"no month that it names has a day {part}")
    return _bad_cron(
        text,
        f"the {field} {part!r} is not possible: use {FIELDS[field]}; lists, ranges from low to "
        "high and steps are written 1,2 1-5 */2",
    )


def _bad_cron(text: object, reason: str) -> InvalidSchedule:
    return InvalidSchedule(f"cron={text!r:.80}: {reason}.", field="cron")


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises InvalidSchedule, which names the nearest one."""
    try:
        return ZoneInfo(name)
    except Exception as error:
        known = sorted(available_timezones())
        folded = {each.lower(): each for each in known}
        near = difflib.get_close_matches(name.lower().replace(" ", "_"), folded, n=1, cutoff=0.6)
        by_city = [each for each in known if each.lower().endswith("/" + name.lower())]
        best = by_city or [folded[each] for each in near]
        hint = f"did you mean {best[0]!r}?" if best else "use a name such as 'Europe/Berlin'."
        raise InvalidSchedule(f"There is no time zone {name!r:.60}: {hint}", field="tz") from error


# -- cron in a zone ------------------------------------------------------------------------------


def next_cron(line: str, where: ZoneInfo, after_ms: int) -> int | None:
    """The first slot of a cron line after a moment; None when no date fits any more."""
    minute, hour, *_ = line.split()
    fixed = not minute.startswith("*") and not hour.startswith("*")
    find = _next_fixed if fixed else _next_shown
    found = find(line, where, after_ms // 1000)
    return None if found is None else found * 1000


def _next_fixed(line: str, where: ZoneInfo, after_s: int) -> int | None:
    shown = _shown(after_s, _offset_s(after_s, where))
    for minute in CronSim(line, shown):
        found = _moment_s(minute, where)
        if found > after_s:  # what the clock shows for the second time has been
            return found
    return None


def _next_shown(line: str, where: ZoneInfo, after_s: int) -> int | None:
    since = after_s + 1
    while True:
        offset = _offset_s(since, where)
        minute = next(CronSim(line, _shown(since - 1, offset)), None)
        if minute is None:
            return None
        found = _seconds(minute) - offset
        change = _change(since, found, where)
        if change is None:
            return found
        since = change


def _moment_s(minute: datetime, where: ZoneInfo) -> int:
    """When a clock in the zone first shows `minute`, or the end of the gap that it falls into."""
    before = round(minute.replace(tzinfo=where, fold=0).timestamp())
    if _shown(before, _offset_s(before, where)) == minute:
        return before
    after = round(minute.replace(tzinfo=where, fold=1).timestamp())
    return _change(min(before, after), max(before, after), where) or before


def _change(since_s: int, until_s: int, where: ZoneInfo) -> int | None:
    """The first second until then at which the zone has another offset than in the beginning."""
    offset = _offset_s(since_s, where)
    low = since_s
    while low < until_s:
        high = min(low + DAY_S, until_s)
        if _offset_s(high, where) != offset:
            while high - low > 1:
                middle = (low + high) // 2
                if _offset_s(middle, where) == offset:
                    low = middle
                else:
                    high = middle
            return high
        low = high
    return None


def _offset_s(at_s: int, where: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at_s, where).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _shown(at_s: int, offset_s: int) -> datetime:
    """What a clock with that offset shows."""
    return _EPOCH + timedelta(seconds=at_s + offset_s)


def _seconds(shown: datetime) -> int:
    return round((shown - _EPOCH).total_seconds())


# -- slots of a schedule -------------------------------------------------------------------------


def next_slot(schedule: Schedule, *, anchor_ms: int, after_ms: int) -> int | None:
    """The first slot after a moment; None when there is none any more.

    anchor_ms: what intervals count from: the schedule's start, or when it was added.
    """
    if schedule.start_ms is not None:
        after_ms = max(after_ms, schedule.start_ms - 1)
    if schedule.every_ms:
        steps = max(0, (after_ms - anchor_ms) // schedule.every_ms + 1)
        found: int | None = anchor_ms + steps * schedule.every_ms
    else:
        found = next_cron(schedule.cron, zone(schedule.tz), after_ms)
    over = found is None or (schedule.end_ms is not None and found >= schedule.end_ms)
    return None if over else found


def slots_after(schedule: Schedule, *, anchor_ms: int, after_ms: int) -> Iterator[int]:
    """All slots after a moment."""
    found = next_slot(schedule, anchor_ms=anchor_ms, after_ms=after_ms)
    while found is not None:
        yield found
        found = next_slot(schedule, anchor_ms=anchor_ms, after_ms=found)


@dataclass(frozen=True, slots=True)
class Overdue:
    """What to do about slots that have come due."""

    slots: tuple[int, ...]
    """To be fired, oldest first."""
    passed: int
    """How many are left out, as the schedule's policy for missed runs says."""
    next_ms: int | None
    """The first slot that is still to come."""


def overdue(schedule: Schedule, *, anchor_ms: int, due_ms: int, now_ms: int) -> Overdue:
    """Which of the slots from `due_ms` until now are fired.

    skip: the latest, if it is at most a minute late. one: the latest, however late. all: each of
    the latest thousand. What was never late is fired under any policy.
    """
    coming = next_slot(schedule, anchor_ms=anchor_ms, after_ms=now_ms)
    due = [due_ms, *_latest(schedule, anchor_ms, due_ms, now_ms)][-MISSED_MAX:]
    fired = due if schedule.missed == "all" else due[-1:]
    if schedule.missed == "skip" and now_ms - due[-1] > PUNCTUAL_MS:
        fired = []
    return Overdue(tuple(fired), len(due) - len(fired), coming)


def _latest(schedule: Schedule, anchor_ms: int, after_ms: int, until_ms: int) -> list[int]:
    """The latest slots in between, a thousand at most: looked for in ever longer spans of time."""
    span_ms = MISSED_MAX * (schedule.every_ms or 60_000)
    while True:
        since = max(after_ms, until_ms - span_ms)
        found: deque[int] = deque(maxlen=MISSED_MAX)
        for slot in slots_after(schedule, anchor_ms=anchor_ms, after_ms=since):
            if slot > until_ms:
                break
            found.append(slot)
        if since == after_ms or len(found) == MISSED_MAX:
            return list(found)
        span_ms *= 4
