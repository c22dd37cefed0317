"""How fast the fleet is, how busy, and what it spends on anything but work.

Counters and histograms only grow; what was added since the last look is what happened meanwhile.
Sums fade, so that what is a minute old counts a third: a rate is the faded sum of what happened,
divided by the faded sum of the time that it took, which is right from the second look on.

Pure: no clock and no Redis. What each figure means: README.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.fleet import agents
from coordq.fleet.agents import whole as _whole

WINDOW_S: Final = 60.0
COUNTERS: Final = ("enqueued", "succeeded", "failed", "cancelled", "retried", "lapsed")
"""What a queue counts."""
ENDINGS: Final = ("succeeded", "failed", "cancelled")
PERCENTILES: Final = (50, 95, 99)
_TIMES: Final = ("held_ms", "worked_ms", "succeeded", "failed")
_OF_AGENTS: Final = ("succeeded", "failed", "worked_ms")
_BUCKETS_MAX: Final = 64


@dataclass(slots=True)
class Faded:
    """Sums of one thing, over the last minute or so."""

    elapsed_s: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)

    def fade(self, elapsed_s: float) -> None:
        """So much time has passed."""
        share = math.exp(-elapsed_s / WINDOW_S)
        self.elapsed_s = self.elapsed_s * share + elapsed_s
        self.sums = {name: amount * share for name, amount in self.sums.items()}
        self.waits = [amount * share for amount in self.waits]
        self.runs = [amount * share for amount in self.runs]

    def add(self, what: Growth) -> None:
        """And this has happened."""
        for name, amount in what.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + amount
        self.waits = _added(self.waits, what.waits)
        self.runs = _added(self.runs, what.runs)

    def rate(self, *names: str) -> float:
        """How often a second these have happened."""
        amount = sum(self.sums.get(name, 0.0) for name in names)
        return round(amount / self.elapsed_s, 2) if self.elapsed_s else 0.0

    def overhead(self) -> float | None:
        """Percent of the time that slots were held in which no handler was at work."""
        held_ms = self.sums.get("held_ms", 0.0)
        if held_ms < 1:
            return None
        return _percent(held_ms - self.sums.get("worked_ms", 0.0), held_ms)

    def worked(self) -> float | None:
        """Percent of the time of all slots in which a handler was at work."""
        whole_ms = self.sums.get("slots_ms", 0.0)
        return _percent(self.sums.get("worked_ms", 0.0), whole_ms) if whole_ms else None


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much counters have grown."""

    sums: dict[str, float]
    waits: Sequence[float] = ()
    runs: Sequence[float] = ()


def _added(left: Sequence[float], right: Sequence[float]) -> list[float]:
    long, short = (left, right) if len(left) >= len(right) else (right, left)
    return [*(a + b for a, b in zip(long, short, strict=False)), *long[len(short) :]]


def _percent(part: float, whole: float) -> float:
    return round(min(100.0, max(0.0, 100 * part / whole)), 1)


def percentile_ms(counts: Sequence[float], percent: float) -> float | None:
    """What so many percent of a histogram took at most, in milliseconds.

    Bucket n holds what took less than 2**n microseconds; within a bucket it is interpolated, so the
    answer is within a factor of two. None when nothing was counted.
    """
    total = sum(counts)
    if total <= 0:
        return None
    wanted, passed = total * percent / 100, 0.0
    for at, amount in enumerate(counts):
        if amount and passed + amount >= wanted:
            low, high = (1 << at) >> 1, 1 << at  # the first holds 0 only
            return round((low + (high - low) * (wanted - passed) / amount) / 1000, 3)
        passed += amount
    return round((1 << len(counts)) / 1000, 3)


def _percentiles(counts: Sequence[float]) -> dict[str, float | None]:
    return {f"p{percent}": percentile_ms(counts, percent) for percent in PERCENTILES}


class Meter:
    """From one look to the next. `look` gives the figures as plain JSON."""

    def __init__(self) -> None:
        self._fleet = Faded()
        self._queues: dict[str, Faded] = {}
        self._workers: dict[str, Faded] = {}
        self._agents: dict[str, Faded] = {}
        self._counted: dict[str, dict[str, int]] = {}
        self._told: dict[str, Mapping[str, Any]] = {}
        self._at_s: float | None = None

    def look(
        self,
        at_s: float,
        queues: Mapping[str, Mapping[str, int]],
        workers: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, Any]:
        """What is seen at a moment of a clock that never steps.

        queues: counters by name. workers: what each says of itself, by name.
        """
        before_s, self._at_s = self._at_s, at_s
        first = before_s is None
        elapsed_s = 0.0 if before_s is None else max(0.0, at_s - before_s)
        self._fleet.fade(elapsed_s)
        _keep(self._queues, queues, elapsed_s, unseen_s=elapsed_s)
        _keep(self._workers, workers, elapsed_s)
        for name, counters in queues.items():
            growth = _counted(counters, counters if first else self._counted.get(name, {}))
            self._queues[name].add(growth)
            self._fleet.add(Growth({f"queue {key}": n for key, n in growth.sums.items()}))
        for name, info in workers.items():
            growth = _told(info, self._told.get(name), elapsed_s)
            self._workers[name].add(growth)
            self._fleet.add(growth)
        self._look_at_agents(workers, elapsed_s)
        self._counted = {name: dict(counters) for name, counters in queues.items()}
        self._told = dict(workers)
        return self._facts()

    def _look_at_agents(self, workers: Mapping[str, Mapping[str, Any]], elapsed_s: float) -> None:
        """An agent that is new has been counted for as long as its worker has been looked at."""
        seen = {
            name
            for info in workers.values()
            for name in (*agents.roles(info), *agents.counts(info))
        }
        _keep(self._agents, seen, elapsed_s, unseen_s=elapsed_s)
        for worker, info in workers.items():
            for name, growth in _done(info, self._told.get(worker)).items():
                self._agents[name].add(growth)

    def _facts(self) -> dict[str, Any]:
        fleet = self._fleet
        slots = sum(slots_of(info) for info in self._told.values())
        busy = sum(_whole(info.get("running")) for info in self._told.values())
        return {
            "window_s": WINDOW_S,
            **{f"{name}_s": fleet.rate(f"queue {name}") for name in COUNTERS},
            "ended_s": fleet.rate(*(f"queue {name}" for name in ENDINGS)),
            "busy": busy,
            "slots": slots,
            "busy_percent": _percent(busy, slots) if slots else None,
            "worked_percent": fleet.worked(),
            "overhead_percent": fleet.overhead(),
            "wait_ms": _percentiles(fleet.waits),
            "run_ms": _percentiles(fleet.runs),
            "queues": {name: self._queue_facts(name) for name in sorted(self._queues)},
            "workers": {name: self._worker_facts(name) for name in sorted(self._workers)},
            "agents": {name: _agent_facts(self._agents[name]) for name in sorted(self._agents)},
        }

    def _queue_facts(self, name: str) -> dict[str, Any]:
        one = self._queues[name]
        rates = {f"{counter}_s": one.rate(counter) for counter in COUNTERS}
        return {**rates, "ended_s": one.rate(*ENDINGS)}

    def _worker_facts(self, name: str) -> dict[str, Any]:
        one, info = self._workers[name], self._told[name]
        return {
            "ended_s": one.rate("succeeded", "failed"),
            "busy": _whole(info.get("running")),
            "slots": slots_of(info),
            "worked_percent": one.worked(),
            "overhead_percent": one.overhead(),
            "wait_p95_ms": percentile_ms(one.waits, 95),
            "run_p95_ms": percentile_ms(one.runs, 95),
        }


def _agent_facts(one: Faded) -> dict[str, Any]:
    succeeded, failed = one.sums.get("succeeded", 0.0), one.sums.get("failed", 0.0)
    return {
        "ended_s": one.rate("succeeded", "failed"),
        "success_percent": agents.success_percent(succeeded, failed),
        "mean_ms": agents.mean_ms(one.sums.get("worked_ms", 0.0), succeeded + failed),
    }


def _keep(
    kept: dict[str, Faded], seen: Iterable[str], elapsed_s: float, *, unseen_s: float = 0.0
) -> None:
    """Fade what is there still, begin with what is new, and forget what is gone.

    unseen_s: how long what is new has been counted for.
    """
    names = set(seen)
    for name in kept.keys() - names:
        del kept[name]
    for one in kept.values():
        one.fade(elapsed_s)
    for name in names - kept.keys():
        kept[name] = Faded(unseen_s)


def slots_of(info: Mapping[str, Any]) -> int:
    """How many tasks a worker can hold at once, by what it says."""
    known = _whole(info.get("slots"))
    return known or _whole(info.get("concurrency")) * max(1, _whole(info.get("processes")))


def _counted(now: Mapping[str, int], before: Mapping[str, int]) -> Growth:
    """What a queue has counted since. Queues do not go, so one that was not there began at 0."""
    grown = {name: max(0, now.get(name, 0) - before.get(name, 0)) for name in COUNTERS}
    return Growth(dict(grown))


def _told(now: Mapping[str, Any], before: Mapping[str, Any] | None, elapsed_s: float) -> Growth:
    """What a worker has done since; nothing when it was not there: it may have been cut off.

    One that was started anew under its name has begun at 0.
    """
    if before is None:
        return Growth({})
    if before.get("started_ms") != now.get("started_ms"):
        before = {}
    sums = {name: max(0, _whole(now.get(name)) - _whole(before.get(name))) for name in _TIMES}
    return Growth(
        {**sums, "slots_ms": slots_of(now) * elapsed_s * 1000},
        _grown(now.get("waits"), before.get("waits")),
        _grown(now.get("runs"), before.get("runs")),
    )


def _done(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Growth]:
    """What each agent of a worker has done since; like `_told`."""
    if before is None:
        return {}
    known = agents.counts(before) if before.get("started_ms") == now.get("started_ms") else {}
    return {
        name: Growth(
            {what: max(0, one[what] - known.get(name, {}).get(what, 0)) for what in _OF_AGENTS}
        )
        for name, one in agents.counts(now).items()
    }


def _grown(now: Any, before: Any) -> list[float]:
    new, old = _counts(now), _counts(before)
    old += [0] * (len(new) - len(old))
    return [float(max(0, a - b)) for a, b in zip(new, old, strict=False)]


def _counts(value: Any) -> list[int]:
    """A histogram, whatever a worker of another version, or a stranger, may have put there."""
    return [_whole(one) for one in value[:_BUCKETS_MAX]] if isinstance(value, list) else []
