"""What everybody recorded, put together: the one thing that the checker looks at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Final

from coordq.ids import shard_of
from coordq.interfaces.chaos.bus_told import BusRest, BusTold
from coordq.interfaces.chaos.journal import all_lines, lines
from coordq.work.events import Event

MEMBER: Final = "member"
"""What a task of a flow is acknowledged as, whatever it does."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Redis has taken a task, says its producer."""

    name: str
    asked_ms: int
    """When the producer asked, on the machine's monotonic clock."""
    ms: int
    """When it knew; in between it may have repeated what brought no answer."""


@dataclass(slots=True)
class Run:
    """One execution of a handler."""

    id: str
    fence: int
    began_ms: int = 0
    how: str = ""
    """done, or how else it ended; empty when it never did."""
    ended_ms: int = 0


@dataclass(slots=True)
class FlowTold:
    """A flow that a producer wanted to start."""

    ids: Mapping[str, str]
    """Of its tasks, by key."""
    asked_ms: int
    """When it first asked, on the machine's monotonic clock."""
    acked: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """What Redis held when everything was over."""

    open: Mapping[str, str] = field(default_factory=dict)
    """Tasks whose record is in a state that is no end: id to state."""
    leases: Sequence[str] = ()
    due: Sequence[str] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    """Unique keys that are held: digest to the id of the holder."""
    dead: Mapping[str, str] = field(default_factory=dict)
    """Dead letters: id to reason."""
    flows: Sequence[str] = ()
    """Flows that have not ended."""
    seats: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Who holds a slot of a limit: slot name to ids."""
    parked: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Who is held up by a limit: slot name to entries."""
    counters: Mapping[int, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """Shard, queue, field."""
    bus: BusRest = field(default_factory=BusRest)


@dataclass(slots=True)
class History:
    """Everything there is to judge."""

    wished: dict[str, str] = field(default_factory=dict)
    """Ids that producers tried to enqueue, with their unique key or "-"."""
    limits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What tasks count against, by id: names of slots, such as `seats:1`."""
    acked: dict[str, Ack] = field(default_factory=dict)
    flows: dict[str, FlowTold] = field(default_factory=dict)
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    """What a run got of its parents, as JSON, by id and fence."""
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    """By id and fence."""
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    """What the resource said: id, fence, answer."""
    bus: BusTold = field(default_factory=BusTold)
    """What was said of messages and turns."""
    events: dict[int, list[Event]] = field(default_factory=dict)
    """By shard, in the order of its stream, as far as they outlived failovers."""
    undone: dict[int, list[list[Event]]] = field(default_factory=dict)
    """What failovers took back, by shard and failover."""
    rewound: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Between which moments (Redis's clock, ms) the writes of a shard were lost by failovers."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Errors that nobody had foreseen: in whose log, and the last line of the traceback."""
    gaps: list[str] = field(default_factory=list)
    """Where the stream had forgotten what nobody had read: then nothing can be concluded."""
    rest: Rest = field(default_factory=Rest)
    durable: bool = False
    """Whether each acknowledged task was on a replica as well: then a failover excuses nothing."""
    alive: frozenset[int] = frozenset()
    """Processes of workers that were there to the end."""
    offset_ms: int = 0
    """Redis's clock less the monotonic clock of the machine."""

    def lost_by_failover(self, task_id: str) -> bool:
        """Whether a task was acknowledged while the newest writes of its shard were being lost."""
        ack = self.acked.get(task_id)
        if ack is None or self.durable:
            return False
        return self.taken_back(shard_of(task_id), ack.asked_ms, ack.ms)

    def taken_back(self, shard: int, since_ms: float, until_ms: float) -> bool:
        """As `rolled_back`, of moments by the machine's monotonic clock."""
        return self.rolled_back(shard, since_ms + self.offset_ms, until_ms + self.offset_ms)

    def rolled_back(self, shard: int, since_ms: float, until_ms: float) -> bool:
        """Whether a failover took back writes of that time, by Redis's clock, or nearly of it."""
        return any(
            since_ms <= until + MARGIN_MS and until_ms >= since - MARGIN_MS
            for since, until in self.rewound.get(shard, ())
        )


MARGIN_MS = 1000
"""Between a write in Redis and its line in the producer's journal, generously."""


def read_history(folder: Path) -> History:
    """What the journals in a folder say. The rest is for the caller to fill in."""
    history = History()
    _read_producers(history, all_lines(folder, "producer-*.journal"))
    _read_runs(history, all_lines(folder, "run-*.journal"))
    for path in sorted([*folder.glob("worker-*.log"), *folder.glob("supervisor-*.log")]):
        history.failures += [(path.stem, told) for told in _tracebacks(path)]
    for path in sorted(folder.glob("tail-*.journal")):
        _read_events(history, int(path.stem.split("-")[1]), lines(path))
    return history


def _tracebacks(log: Path) -> Iterator[str]:
    """The last line of each traceback in a log: what was raised."""
    inside = False
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("Traceback "):
            inside = True
        elif inside and not line.startswith(" "):
            yield line
            inside = False


def _read_producers(history: History, told: Iterable[list[str]]) -> None:
    for line in told:
        match line:
            case ["try", task_id, key, limits]:
                history.wished[task_id] = key
                if limits != "-":
                    history.limits[task_id] = tuple(map(intern, limits.split(",")))
            case ["flw", flow_id, ids, asked_ms]:
                flow = history.flows.setdefault(flow_id, FlowTold(json.loads(ids), int(asked_ms)))
                flow.asked_ms = min(flow.asked_ms, int(asked_ms))
                history.wished |= dict.fromkeys(flow.ids.values(), "-")
            case ["fak", flow_id, asked_ms, ms]:
                flow = history.flows[flow_id]
                flow.acked, ack = True, Ack(MEMBER, int(asked_ms), int(ms))
                history.acked |= dict.fromkeys(flow.ids.values(), ack)
            case ["ack", task_id, name, _, asked_ms, ms]:
                history.acked.setdefault(task_id, Ack(intern(name), int(asked_ms), int(ms)))
            case _:
                history.bus.read(line)


def _read_runs(history: History, told: Iterable[list[str]]) -> None:
    for line in told:
        match line:
            case ["beg", task_id, fence, _, ms]:
                _run_of(history, task_id, int(fence)).began_ms = int(ms)
            case ["end", task_id, fence, how, ms]:
                run = _run_of(history, task_id, int(fence))
                run.how, run.ended_ms = intern(how), int(ms)
            case ["kid", task_id]:
                history.wished[task_id] = "-"
            case ["saw", task_id, fence, seen]:
                history.seen[task_id, int(fence)] = intern(seen)
            case ["res", task_id, fence, answer]:
                history.answers.append((task_id, int(fence), intern(answer)))
            case _:
                history.bus.read(line)


def _run_of(history: History, task_id: str, fence: int) -> Run:
    return history.runs.setdefault((task_id, fence), Run(task_id, fence))


def _read_events(history: History, shard: int, told: Iterable[list[str]]) -> None:
    events = history.events.setdefault(shard, [])
    for line in told:
        match line:
            case ["evt", at, kind, subject, version, fence, queue, name, detail]:
                head = intern(kind), int(version), int(fence), intern(queue), intern(name)
                events.append(Event(at, shard, intern(subject), *head, intern(detail)))
            case ["rew", since]:
                _rewind(history, shard, since)
            case ["gap", after, at]:
                history.gaps.append(f"shard {shard}: from {after} to {at}")
    _find_undone(history, shard)


def _rewind(history: History, shard: int, since: str) -> None:
    """A failover changed the stream: it is read again from the entry `since`."""
    events = history.events[shard]
    kept = len(events)
    while kept and position(events[kept - 1].at) >= position(since):
        kept -= 1
    history.undone.setdefault(shard, []).append(events[kept:])
    del events[kept:]


def _find_undone(history: History, shard: int) -> None:
    """Of what was read before a failover, that which did not come again is what it lost."""
    if not history.undone.get(shard):
        return
    survived = set(history.events[shard])
    for number, read in enumerate(history.undone[shard]):
        lost = [event for event in read if event not in survived]
        history.undone[shard][number] = lost
        since_ms = lost[0].ms if lost else read[-1].ms if read else 0
        until_ms = read[-1].ms if read else 0
        history.rewound.setdefault(shard, []).append((since_ms, until_ms))


def position(at: str) -> tuple[int, int]:
    """An entry's place in its stream, comparable."""
    ms, _, number = at.partition("-")
    return int(ms), int(number)
