"""The schedules of a shard: look at them, set them down, take them off, fire them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from zlib import crc32

from coordq.engine.call import Argument, Call
from coordq.errors import CoordqError
from coordq.work.enqueue import Order, queue_full
from coordq.work.schedule import Schedule, from_text
from coordq.work.task import BY_LETTER, State

PAGE: Final = 100


def shard_of_schedule(name: str, shards: int) -> int:
    """Where a schedule of that name lives, with all its runs."""
    return crc32(name.encode()) % shards


@dataclass(frozen=True, slots=True)
class Run:
    """A task that a schedule has enqueued."""

    id: str
    slot_ms: int
    """For which slot; 0: by hand."""
    state: State | None
    """How it ended; of one schedule that is looked at: how it is. None: it has not ended."""
    at_ms: int
    """When it was enqueued."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        state = None if self.state is None else self.state.value
        return {"id": self.id, "slot_ms": self.slot_ms, "state": state, "at_ms": self.at_ms}


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule, and what became of it."""

    schedule: Schedule
    version: int
    """Another one whenever it is changed."""
    next_ms: int | None
    """The next slot; None: it is paused or over."""
    anchor_ms: int
    """What intervals count from."""
    paused: bool
    added_ms: int
    fired: int
    """How often a task was enqueued."""
    skipped: int
    """How often it was not, because an earlier run lived or the queue was full."""
    missed_slots: int
    """How many were left out because nobody led."""
    last_ms: int | None
    """The slot that was fired last."""
    note: str
    """Why a slot was left out last, and which."""
    runs: tuple[Run, ...]
    """The last twenty, latest first."""
    trouble: str = ""
    """Why it cannot be followed: its keys hold something that coordq did not write."""
    change: str = ""
    """What was done about it: added, replaced or unchanged; "" when it was only looked at."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.schedule.name

    @property
    def state(self) -> str:
        """active, paused, over or unreadable."""
        if self.trouble:
            return "unreadable"
        if self.paused:
            return "paused"
        return "over" if self.next_ms is None else "active"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **self.schedule.to_json(),
            "state": self.state,
            "next_ms": self.next_ms,
            "last_ms": self.last_ms,
            "fired": self.fired,
            "skipped": self.skipped,
            "missed_slots": self.missed_slots,
            "added_ms": self.added_ms,
            "note": self.note,
            "runs": [run.to_json() for run in self.runs],
            "trouble": self.trouble,
        }


class Agenda(NamedTuple):
    """Some schedules of a shard."""

    now_ms: int
    """What time it is, by Redis."""
    next_ms: int | None
    """When the next one comes that is not due yet."""
    found: tuple[ScheduleView, ...]


def due(shard: int, *, offset: int = 0) -> Call[Agenda]:
    """Schedules that are due, a page."""
    return Call("work/schedules", shard, ("due", "", offset, PAGE), _read_agenda)


def page(shard: int, *, offset: int = 0) -> Call[Agenda]:
    """All schedules, soonest first, a page."""
    return Call("work/schedules", shard, ("all", "", offset, PAGE), _read_agenda)


def one(shard: int, name: str) -> Call[Agenda]:
    """One schedule, with its runs as they are now; found is empty when there is none."""
    return Call("work/schedules", shard, ("one", name, 0, 1), _read_agenda)


def put(
    shard: int, made: Schedule, *, seen: int, anchor_ms: int, next_ms: int | None, paused: bool
) -> Call[int | None]:
    """Set a schedule down if its version is still `seen` (0: there is none).

    Gives its new version; None when somebody else was faster.
    """
    args: tuple[Argument, ...] = (
        made.name,
        seen,
        made.to_text(),
        anchor_ms,
        _or_never(next_ms),
        int(paused),
    )
    return Call("work/schedule", shard, args, lambda reply: reply[1] if reply[0] == b"ok" else None)


def take_off(shard: int, name: str) -> Call[bool]:
    """A schedule is no more; whether it was there. Its tasks stay."""
    return Call("work/unschedule", shard, (name,), lambda reply: reply == 1)


class Fired(NamedTuple):
    """What came of a slot."""

    outcome: str
    """fired, skipped, full (it stays due) or changed (since it was read: nothing was done)."""
    detail: str = ""
    """The task's id, or why not."""


def fire(
    view: ScheduleView,
    *,
    shard: int,
    epoch: int,
    slot_ms: int | None,
    next_ms: int | None,
    passed: int,
) -> Call[Fired]:
    """Let a slot of a schedule that is due come to pass; None: leave out all that are.

    passed: how many missed ones are left out with it. next_ms: the slot after it. Raises Deposed,
    ReadOnly.
    """
    told = view.next_ms or 0 if slot_ms is None else slot_ms
    words = view.schedule.words(told)
    order = None if slot_ms is None else view.schedule.order(slot_ms, shard=shard)
    head = (epoch, view.name, view.version, view.next_ms or 0)
    return _fire(shard, (*head, told, _or_never(next_ms), words, passed), view.schedule, order)


def run_by_hand(view: ScheduleView, *, shard: int) -> Call[Fired]:
    """Enqueue a schedule's task now. The reply raises QueueFull, ReadOnly."""
    order = view.schedule.order(0, shard=shard)
    head = ("", view.name, view.version, "", 0, "", "by hand", 0)
    call = _fire(shard, head, view.schedule, order)

    def read(reply: Any) -> Fired:
        if reply[0] == b"full":
            raise queue_full(reply)
        return call.read(reply)

    return Call(call.script, shard, call.args, read)


def _fire(
    shard: int, head: tuple[Argument, ...], made: Schedule, order: Order | None
) -> Call[Fired]:
    args = (*head, made.overlap, made.options.get("on_full", "wait"))
    if order is not None:
        args = (*args, *order.template.head, order.mailbox, 1, order.id, order.args)
    return Call("work/fire", shard, args, _read_fired)


def _read_fired(reply: Any) -> Fired:
    detail = reply[1].decode(errors="replace") if len(reply) > 1 else ""
    return Fired(reply[0].decode(), detail)


def _or_never(ms: int | None) -> int | str:
    return "inf" if ms is None else ms


# -- reading -------------------------------------------------------------------------------------


def _read_agenda(reply: Any) -> Agenda:
    now, coming, *found = reply
    return Agenda(int(now), _ms(coming), tuple(_read_view(*one) for one in found))


def _ms(score: bytes) -> int | None:
    value = float(score)
    return int(value) if math.isfinite(value) else None


def _read_view(raw_name: bytes, score: bytes, flat: list[bytes], states: bytes) -> ScheduleView:
    name = raw_name.decode(errors="replace")
    try:
        fields = {flat[at].decode(): flat[at + 1] for at in range(0, len(flat), 2)}
        last = int(fields.get("last", 0))
        return ScheduleView(
            schedule=from_text(name, fields["what"]),
            version=int(fields["version"]),
            next_ms=_ms(score),
            anchor_ms=int(fields["anchor"]),
            paused=fields["paused"] == b"1",
            added_ms=int(fields["added"]),
            fired=int(fields.get("fired", 0)),
            skipped=int(fields.get("skipped", 0)),
            missed_slots=int(fields.get("missed", 0)),
            last_ms=last or None,
            note=fields.get("note", b"").partition(b" ")[2].decode(),
            runs=tuple(_read_runs(fields.get("runs", b"").decode(), states.decode())),
        )
    except (ValueError, TypeError, LookupError, ArithmeticError, CoordqError) as error:
        return _unreadable(name, error)


def _read_runs(text: str, states: str) -> Iterator[Run]:
    for at, line in enumerate(text.splitlines()):
        slot, task_id, ended, ms = line.split(" ")
        letter = states[at] if states and states[at] != "-" else ended
        yield Run(task_id, int(slot), BY_LETTER.get(letter), int(ms))


def _unreadable(name: str, error: Exception) -> ScheduleView:
    return ScheduleView(
        schedule=Schedule(name=name, task="?", args={}, options={}),
        version=0,
        next_ms=None,
        anchor_ms=0,
        paused=False,
        added_ms=0,
        fired=0,
        skipped=0,
        missed_slots=0,
        last_ms=None,
        note="",
        runs=(),
        trouble=f"{type(error).__name__}: {error}",
    )
