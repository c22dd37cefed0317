"""Operations on schedules, written once for both clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from coordq.amounts import whole
from coordq.client.plan import Plan
from coordq.errors import Conflict, ForeignData, InvalidSchedule, ScheduleNotFound
from coordq.names import check_name
from coordq.work import agenda, slots
from coordq.work import schedule as scheduling
from coordq.work.agenda import Agenda, Fired, ScheduleView
from coordq.work.enqueue import Receipt
from coordq.work.schedule import Schedule

TIMING: Final = ("every_ms", "start_ms")
SHOWN_MAX: Final = 10_000


def make(name: str, task: str, args: Mapping[str, Any] | None, given: dict[str, Any]) -> Schedule:
    """A schedule from what a caller says: its own keywords, and those of coordq.Options.

    Raises InvalidSchedule, InvalidName, InvalidOption, InvalidArguments, PayloadTooLarge.
    """
    own = ("every", "cron", "tz", "overlap", "missed", "start", "end", "jitter")
    timing = {key: given.pop(key) for key in own if key in given}
    return scheduling.make(name, task, args, options=given, **timing)


def _look(shards: int, name: str) -> Plan[tuple[Agenda, ScheduleView | None]]:
    shard = agenda.shard_of_schedule(check_name("schedule", name), shards)
    seen: Agenda = yield agenda.one(shard, name)
    return seen, seen.found[0] if seen.found else None


def get(shards: int, name: str) -> Plan[ScheduleView]:
    """One schedule. Raises ScheduleNotFound, ForeignData."""
    _, view = yield from _known(shards, name)
    return view


def _known(shards: int, name: str) -> Plan[tuple[Agenda, ScheduleView]]:
    seen, view = yield from _look(shards, name)
    if view is None:
        listed = yield from ls(shards)
        names = ", ".join(one.name for one in listed[:20]) or "none yet"
        raise ScheduleNotFound(f"There is no schedule {name!r}; there are: {names}.", name=name)
    if view.trouble:
        raise ForeignData(
            f"Schedule {name!r} holds something coordq did not write ({view.trouble}). "
            f"Remove it with `coordq schedule rm {name}`.",
            name=name,
        )
    return seen, view


def ls(shards: int) -> Plan[list[ScheduleView]]:
    """All schedules, by name."""
    found: list[ScheduleView] = []
    for shard in range(shards):
        offset = 0
        while True:
            page: Agenda = yield agenda.page(shard, offset=offset)
            found += page.found
            offset += len(page.found)
            if len(page.found) < agenda.PAGE:
                break
    return sorted(found, key=lambda view: view.name)


def add(shards: int, made: Schedule, *, paused: bool, may_replace: bool) -> Plan[ScheduleView]:
    """Set a schedule down. The same again changes nothing; another one needs `may_replace`.

    Raises Conflict, InvalidSchedule.
    """
    shard = agenda.shard_of_schedule(made.name, shards)
    while True:
        seen, old = yield from _look(shards, made.name)
        readable = None if old is None or old.trouble else old
        if readable is not None and readable.schedule.to_text() == made.to_text():
            return replace(readable, change="unchanged")
        if old is not None and not may_replace:
            raise _taken(made, old)
        if old is not None and readable is None:
            yield agenda.take_off(shard, made.name)
        anchor = _anchor(made, readable, seen.now_ms)
        coming = slots.next_slot(made, anchor_ms=anchor, after_ms=seen.now_ms)
        if coming is None:
            raise InvalidSchedule(
                f"Schedule {made.name!r} would never run: no slot lies between now and its end.",
                field="end",
            )
        halted = paused or (readable is not None and readable.paused)
        done: int | None = yield agenda.put(
            shard,
            made,
            seen=0 if readable is None else readable.version,
            anchor_ms=anchor,
            next_ms=None if halted else coming,
            paused=halted,
        )
        if done is not None:
            view = yield from get(shards, made.name)
            return replace(view, change="added" if old is None else "replaced")


def _anchor(made: Schedule, old: ScheduleView | None, now_ms: int) -> int:
    """What intervals count from: as before, when neither interval nor start has changed."""
    if made.start_ms is not None:
        return made.start_ms
    if old is not None and all(getattr(made, at) == getattr(old.schedule, at) for at in TIMING):
        return old.anchor_ms
    return now_ms - now_ms % 1000  # whole seconds, for those who read slots


def _taken(made: Schedule, old: ScheduleView) -> Conflict:
    new, before = made.to_json(), old.schedule.to_json()
    differs = old.trouble or "it differs in " + ", ".join(
        key.removesuffix("_ms") for key in new if new[key] != before[key]
    )
    return Conflict(
        f"There is a schedule {made.name!r} already, and {differs}. Replace it (replace=True, "
        "--replace), or choose another name. Nothing was changed.",
        name=made.name,
        state=old.state,
        version=old.version,
    )


def pause(shards: int, name: str, *, paused: bool) -> Plan[ScheduleView]:
    """Pause or resume; slots that pass meanwhile are not missed. Raises ScheduleNotFound."""
    shard = agenda.shard_of_schedule(check_name("schedule", name), shards)
    while True:
        seen, view = yield from _known(shards, name)
        if view.paused == paused:
            return view
        coming = slots.next_slot(view.schedule, anchor_ms=view.anchor_ms, after_ms=seen.now_ms)
        done: int | None = yield agenda.put(
            shard,
            view.schedule,
            seen=view.version,
            anchor_ms=view.anchor_ms,
            next_ms=None if paused else coming,
            paused=paused,
        )
        if done is not None:
            return (yield from get(shards, name))


def trigger(shards: int, name: str) -> Plan[Receipt]:
    """Run a schedule now, also a paused one. Raises ScheduleNotFound, QueueFull, ReadOnly."""
    shard = agenda.shard_of_schedule(check_name("schedule", name), shards)
    while True:
        _, view = yield from _known(shards, name)
        done: Fired = yield agenda.run_by_hand(view, shard=shard)
        if done.outcome == "fired":
            return Receipt(done.detail)


def rm(shards: int, name: str) -> Plan[None]:
    """Take a schedule off, also one that cannot be read. Raises ScheduleNotFound."""
    _, view = yield from _look(shards, name)
    if view is None:
        yield from _known(shards, name)
    yield agenda.take_off(agenda.shard_of_schedule(name, shards), name)


def next_runs(shards: int, name: str, amount: int) -> Plan[list[datetime]]:
    """The next slots; of a paused schedule, those that a resume would bring."""
    whole("n", amount)
    seen, view = yield from _known(shards, name)
    return upcoming(view, now_ms=seen.now_ms, amount=amount)


def upcoming(view: ScheduleView, *, now_ms: int, amount: int) -> list[datetime]:
    """The next slots of a schedule, in its zone."""
    due = [] if view.next_ms is None or view.next_ms > now_ms else [view.next_ms]
    rest = slots.slots_after(view.schedule, anchor_ms=view.anchor_ms, after_ms=now_ms)
    wanted = min(amount, SHOWN_MAX)
    found = [*due, *islice(rest, wanted)][:wanted]
    return [view.schedule.moment(slot) for slot in found]
