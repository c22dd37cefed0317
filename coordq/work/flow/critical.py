"""When a flow will have ended, what that depends on, and what holds it up.

Durations are those that tasks of the same name took in flows before (HASH pace), or given ones. The
forecast is that of a fleet with room for everything: it says how soon the flow can be done, and a
fleet that is busy will be later. Conditions are taken to hold; alternatives and tasks that run only
after a failure are left out until they are needed.

    forecast = foresee(graph_of_view(view), pace, now_ms=now, since_ms=since)
    forecast.finish_ms, forecast.path, forecast.bottlenecks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordq.work.flow.graph import Box, Graph, Line
from coordq.work.flow.reserved import APPROVAL, SIGNAL

ENDED: Final = frozenset({"succeeded", "failed", "cancelled", "skipped", "gone"})
UNSTARTED: Final = frozenset({"", "waiting"})
TOP: Final = 5
"""Bottlenecks that are named."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a task that has not ended is expected to run."""

    key: str
    name: str
    duration_ms: float
    """How long it will still take once it runs."""
    start_ms: float
    """When that can begin at the earliest, in milliseconds since 1970."""
    finish_ms: float
    slack_ms: float
    """How much later it may end without the flow ending later."""

    @property
    def critical(self) -> bool:
        """Whether the flow ends later if this task does."""
        return self.slack_ms < 1

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "key": self.key,
            "name": self.name,
            "duration_ms": round(self.duration_ms),
            "start_ms": round(self.start_ms),
            "finish_ms": round(self.finish_ms),
            "slack_ms": round(self.slack_ms),
            "critical": self.critical,
        }


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """Tasks of one name, and how much of the way to the end is theirs."""

    name: str
    keys: tuple[str, ...]
    """Those of them on the critical path."""
    holds_ms: float
    """How long they take together, one after the other."""
    waiting: int
    """How many tasks come after the first of them and have not ended."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "keys": list(self.keys),
            "holds_ms": round(self.holds_ms),
            "waiting": self.waiting,
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of a flow."""

    finish_ms: float | None
    """When it can have ended, in milliseconds since 1970; None when nobody knows how long any of
    its tasks takes, or when it waits for somebody."""
    path: tuple[str, ...]
    """The keys of the critical path that is left, first to last."""
    timings: Mapping[str, Timing]
    """Of each task that has not ended and is expected to run, by key."""
    bottlenecks: tuple[Bottleneck, ...]
    """The longest first, at most five."""
    guessed: tuple[str, ...]
    """Names of tasks whose duration was not known: the average of the others stands in."""
    waits: tuple[str, ...]
    """Keys of approvals and signals on the way, which take as long as they take."""

    @property
    def expected(self) -> dict[str, int]:
        """When each task that goes on is expected to have ended, by key; for milestones."""
        if self.finish_ms is None:
            return {}
        return {key: round(timing.finish_ms) for key, timing in self.timings.items()}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "finish_ms": None if self.finish_ms is None else round(self.finish_ms),
            "path": list(self.path),
            "timings": [timing.to_json() for timing in self.timings.values()],
            "bottlenecks": [one.to_json() for one in self.bottlenecks],
            "guessed": list(self.guessed),
            "waits": list(self.waits),
        }


def read_pace(fields: Mapping[bytes, bytes]) -> dict[str, float]:
    """Mean durations in ms by task name, from HASH pace; what makes no sense there is left out."""
    sums: dict[str, dict[str, float]] = {}
    for field, value in fields.items():
        name, _, what = field.decode(errors="replace").rpartition(":")
        try:
            sums.setdefault(name, {})[what] = float(value)
        except ValueError:
            continue
    return {
        name: told["ms"] / told["n"]
        for name, told in sums.items()
        if told.get("n", 0) > 0 and told.get("ms", -1) >= 0
    }


def foresee(
    graph: Graph,
    pace: Mapping[str, float],
    *,
    now_ms: float = 0,
    since_ms: Mapping[str, float] | None = None,
    given_ms: Mapping[str, float] | None = None,
) -> Forecast:
    """What is to be expected of a flow. Of a plan, with now_ms=0: how long it will take.

    pace: mean durations in ms by task name. since_ms: when each task came into its state, by id.
    given_ms: durations that are known better, by key; those of timers, for example.
    """
    return _Foresight(graph, pace, now_ms, since_ms or {}, given_ms or {}).forecast()


class _Foresight:
    """One forecast, being made."""

    def __init__(
        self,
        graph: Graph,
        pace: Mapping[str, float],
        now_ms: float,
        since_ms: Mapping[str, float],
        given_ms: Mapping[str, float],
    ) -> None:
        self.graph = graph
        self.now_ms = now_ms
        self.pace = pace
        self.since_ms = since_ms
        self.given_ms = given_ms
        self.order = graph.order()
        self.boxes = {box.id: box for box in graph.boxes}
        self.lines = graph.parents()
        self.expected = self._expected()
        self.open = [one for one in self.order if one in self.expected]
        self.parents = {
            one: [line.parent for line in self.lines[one] if line.parent in self.expected]
            for one in self.open
        }
        self.average = sum(pace.values()) / len(pace) if pace else 0.0

    def _expected(self) -> set[str]:
        """The tasks that have not ended and are going to run."""
        found: set[str] = set()
        for one in self.order:
            box, lines = self.boxes[one], self.lines[one]
            started = box.state not in UNSTARTED
            leads = not lines or any(self._leads(line, found) for line in lines)
            if box.state not in ENDED and (started or leads):
                found.add(one)
        return found

    def _leads(self, line: Line, expected: set[str]) -> bool:
        """Whether a line is expected to count: failures are not expected, but may have happened."""
        state = self.boxes[line.parent].state
        if line.on in ("failure", "fallback"):
            return state == "failed"
        if state not in ENDED:
            return line.parent in expected
        return line.on == "always" or state == "succeeded" or line.policy in ("continue", "ignore")

    def _takes(self, box: Box) -> float:
        """How long a task will still take once it runs."""
        known = self.given_ms.get(box.key)
        if known is None:
            known = self.pace.get(box.name)
        if known is None:
            known = self.average if box.kind == "task" else 0.0
        ran_ms = self.now_ms - self.since_ms.get(box.id, self.now_ms)
        return max(known - ran_ms, 0.0) if box.state == "running" else known

    def forecast(self) -> Forecast:
        finish: dict[str, float] = {}
        start: dict[str, float] = {}
        takes = {one: self._takes(self.boxes[one]) for one in self.open}
        for one in self.open:
            start[one] = max((finish[p] for p in self.parents[one]), default=self.now_ms)
            finish[one] = start[one] + takes[one]
        end = max(finish.values(), default=self.now_ms)
        latest = self._latest(takes, end)
        timings = {
            box.key: Timing(
                box.key, box.name, takes[one], start[one], finish[one], latest[one] - finish[one]
            )
            for one in self.open
            for box in (self.boxes[one],)
        }
        path = self._path(finish)
        guessed = self._guessed()
        waits = tuple(
            self.boxes[one].key for one in self.open if self.boxes[one].name in (APPROVAL, SIGNAL)
        )
        unknown = bool(waits) or (bool(guessed) and not self.pace)
        return Forecast(
            finish_ms=None if unknown and self.open else end,
            path=tuple(self.boxes[one].key for one in path),
            timings=timings,
            bottlenecks=self._bottlenecks(path, takes),
            guessed=guessed,
            waits=waits,
        )

    def _latest(self, takes: Mapping[str, float], end: float) -> dict[str, float]:
        """When each task must have ended, or the flow ends later."""
        latest = dict.fromkeys(self.open, end)
        for one in reversed(self.open):
            for parent in self.parents[one]:
                latest[parent] = min(latest[parent], latest[one] - takes[one])
        return latest

    def _path(self, finish: Mapping[str, float]) -> list[str]:
        """Back from the task that ends last, always to the parent that it waited for longest."""
        path: list[str] = []
        ends: Iterable[str] = self.open
        while True:
            last = max(ends, key=lambda one: finish[one], default=None)
            if last is None:
                return path[::-1]
            path.append(last)
            ends = self.parents[last]

    def _guessed(self) -> tuple[str, ...]:
        boxes = [self.boxes[one] for one in self.open]
        return tuple(
            dict.fromkeys(
                box.name
                for box in boxes
                if box.kind == "task" and box.key not in self.given_ms and box.name not in self.pace
            )
        )

    def _bottlenecks(
        self, path: Iterable[str], takes: Mapping[str, float]
    ) -> tuple[Bottleneck, ...]:
        by_name: dict[str, list[str]] = {}
        for one in path:
            by_name.setdefault(self.boxes[one].name, []).append(one)
        longest = sorted(
            ((sum(takes[one] for one in ids), name, ids) for name, ids in by_name.items()),
            key=lambda found: (-found[0], found[1]),
        )
        return tuple(
            Bottleneck(name, tuple(self.boxes[one].key for one in ids), holds, self._behind(ids[0]))
            for holds, name, ids in longest[:TOP]
            if holds > 0
        )

    def _behind(self, first: str) -> int:
        """How many expected tasks come after one, at any distance."""
        behind = {first}
        for one in self.open:
            if not behind.isdisjoint(self.parents[one]):
                behind.add(one)
        return len(behind) - 1
