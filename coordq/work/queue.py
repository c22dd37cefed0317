"""Queues: their settings, their counters, and the fleet's overview."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Call
from coordq.errors import ForeignData, InvalidOption
from coordq.names import check_name

LIMIT_MAX: Final = 2**53
LOW_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as it was when it was looked at; summed over shards."""

    name: str
    paused: bool
    strict: bool
    """Whether priorities are strict; else lower ones age."""
    fair: bool
    """Whether tenants take turns; else all tasks of a priority start in the order of their age."""
    high: int
    """At so many waiting tasks, producers wait or are refused; 0 = no limit."""
    low: int
    """At so few, waiting producers go on."""
    max_bytes: int
    """0 = no limit."""
    ready: int
    scheduled: int
    running: int
    bytes: int
    """Spec and arguments of the waiting tasks."""
    enqueued: int
    succeeded: int
    failed: int
    cancelled: int
    retried: int
    lapsed: int
    oldest_ready_ms: int | None
    """Age of the oldest ready task; None when nothing is ready."""

    @property
    def backlog(self) -> int:
        """Ready and scheduled tasks: what the marks count."""
        return self.ready + self.scheduled

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        names = [*_FLAGS, *_SETTINGS, *_COUNTERS, "oldest_ready_ms"]
        return {"name": self.name, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A live worker, as it describes itself."""

    name: str
    beat_age_ms: int
    info: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"name": self.name, "beat_age_ms": self.beat_age_ms, **self.info}


@dataclass(frozen=True, slots=True)
class Overview:
    """A namespace at a glance; summed over shards."""

    queues: tuple[Queue, ...]
    running: int
    due: int
    """Scheduled tasks and time limits that tick."""
    dead: int
    done: int
    """Ended tasks that `ls` still lists."""
    workers: tuple[WorkerView, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "queues": [queue.to_json() for queue in self.queues],
            "running": self.running,
            "due": self.due,
            "dead": self.dead,
            "done": self.done,
            "workers": [worker.to_json() for worker in self.workers],
        }


_FLAGS: Final = ("paused", "strict", "fair")
_SETTINGS: Final = ("high", "low", "max_bytes")
_WRITTEN: Final = ("paused", "strict", *_SETTINGS, "fair")
"""The settings in the order in which lua/work/configure.lua takes them."""
_COUNTERS: Final = (
    "ready",
    "scheduled",
    "running",
    "bytes",
    "enqueued",
    "succeeded",
    "failed",
    "cancelled",
    "retried",
    "lapsed",
)


def read_queue(name: str, flat: list[bytes], oldest_ms: int) -> Queue:
    """The queue whose HASH holds `flat`; oldest_ms: -1 when nothing is ready."""
    fields = {flat[at]: flat[at + 1] for at in range(0, len(flat), 2)}
    try:
        settings = [int(word) for word in fields.get(b"settings", b"0 0 0 0 0").split(b" ")]
        paused, strict, high, low, max_bytes, *unfair = settings
        counters = {key: max(0, int(fields.get(key.encode(), b"0"))) for key in _COUNTERS}
    except ValueError as error:
        raise ForeignData(
            f"The hash of queue {name!r} holds something coordq did not write: {error}. "
            "Remove that field.",
            queue=name,
        ) from error
    return Queue(
        name=name,
        paused=paused == 1,
        strict=strict == 1,
        fair=unfair != [1],
        high=high,
        low=low,
        max_bytes=max_bytes,
        **counters,
        oldest_ready_ms=None if oldest_ms < 0 else oldest_ms,
    )


def configure(
    shard: int, name: str, *, shards: int = 1, **settings: int | bool | None
) -> Call[Queue]:
    """Set paused, strict, fair, high, low, max_bytes (None: as it is) for one shard of a queue.

    Marks are divided by `shards`. The reply is this shard's part of the queue.
    Raises InvalidOption, InvalidName.
    """
    check_name("queue", name)
    chosen = _checked(settings)
    args: list[str | int] = [name]
    for key in _WRITTEN:
        value = chosen.get(key)
        divided = value is not None and value > 0 and key in _SETTINGS
        args.append("" if value is None else max(1, -(-value // shards)) if divided else value)
    return Call("work/configure", shard, tuple(args), lambda flat: read_queue(name, flat, -1))


def _checked(settings: dict[str, int | bool | None]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for key, value in settings.items():
        if value is None:
            continue
        flag = isinstance(value, bool)
        if (
            not isinstance(value, int)
            or flag is not (key in _FLAGS)
            or value >= LIMIT_MAX
            or value < 0
        ):
            what = "say True or False" if key in _FLAGS else "give a whole number, 0 for no limit"
            raise InvalidOption(f"{key}={value!r}: {what}.", option=key)
        chosen[key] = int(value)
    high, low = chosen.get("high"), chosen.get("low")
    if high is not None and low is None:
        chosen["low"] = int(high * LOW_SHARE)
    elif low is not None and high is not None and high and low > high:
        raise InvalidOption(f"low={low} is above high={high}.", option="low")
    return chosen


def purge(shard: int, name: str, *, limit: int = 500) -> Call[tuple[int, bool]]:
    """Cancel waiting tasks of a queue: how many, and whether to call again."""
    check_name("queue", name)
    return Call("work/purge", shard, (name, limit), lambda reply: (int(reply[0]), reply[1] == 1))


def overview(shard: int) -> Call[Overview]:
    """One shard at a glance."""
    return Call("work/overview", shard, (), _read_overview)


def _read_overview(reply: Any) -> Overview:
    queues, running, due, dead, done, workers, now_ms = reply
    return Overview(
        tuple(
            read_queue(queues[at].decode(), queues[at + 1], int(queues[at + 2]))
            for at in range(0, len(queues), 3)
        ),
        int(running),
        int(due),
        int(dead),
        int(done),
        tuple(
            WorkerView(
                workers[at].decode(),
                max(0, int(now_ms) - int(float(workers[at + 1]))),
                _read_info(workers[at + 2]),
            )
            for at in range(0, len(workers), 3)
        ),
    )


def _read_info(text: bytes) -> dict[str, Any]:
    """What a worker says of itself; nothing when that is not what a worker would say."""
    try:
        info = json.loads(text)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def merge_queues(parts: list[Queue]) -> Queue:
    """One queue out of its shards' parts."""
    ages = [part.oldest_ready_ms for part in parts if part.oldest_ready_ms is not None]
    return Queue(
        name=parts[0].name,
        paused=any(part.paused for part in parts),
        strict=any(part.strict for part in parts),
        fair=all(part.fair for part in parts),
        **{key: sum(getattr(part, key) for part in parts) for key in (*_SETTINGS, *_COUNTERS)},
        oldest_ready_ms=max(ages, default=None),
    )


def merge(parts: list[Overview]) -> Overview:
    """One overview out of its shards' parts."""
    by_name: dict[str, list[Queue]] = {}
    for part in parts:
        for queue in part.queues:
            by_name.setdefault(queue.name, []).append(queue)
    workers: dict[str, WorkerView] = {}
    for part in parts:
        for worker in part.workers:
            workers.setdefault(worker.name, worker)
    return Overview(
        tuple(merge_queues(by_name[name]) for name in sorted(by_name)),
        sum(part.running for part in parts),
        sum(part.due for part in parts),
        sum(part.dead for part in parts),
        sum(part.done for part in parts),
        tuple(workers[name] for name in sorted(workers)),
    )
