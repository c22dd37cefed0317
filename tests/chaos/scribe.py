"""Histories made by hand, for one rule each."""

from __future__ import annotations

from collections.abc import Callable

from coordq.interfaces.chaos.checker import check
from coordq.interfaces.chaos.history import Ack, History, Run
from coordq.work.events import Event

A, B = "1k7unajoj0064rnikppl00", "1k7unajoj0064rnikppl01"
START_MS = 1_000_000


class Scribe:
    """Writes a history, a step a millisecond; Redis's clock is the machine's."""

    def __init__(self) -> None:
        self.history = History()
        self.ms = START_MS

    def enqueue(
        self, task_id: str, *, name: str = "quick", key: str = "-", limits: tuple[str, ...] = ()
    ) -> None:
        """A producer enqueues, Redis takes it, the producer hears of it."""
        self.history.wished[task_id] = key
        if limits:
            self.history.limits[task_id] = limits
        self.event(task_id, "ready", 1)
        self.history.acked[task_id] = Ack(name, self.ms - 1, self.ms)

    def event(
        self,
        subject: str,
        kind: str,
        version: int,
        fence: int = 0,
        *,
        detail: str = "",
        queue: str = "default",
        shard: int = 0,
    ) -> None:
        """Something happens in Redis."""
        self.ms += 1
        event = Event(f"{self.ms}-0", shard, subject, kind, version, fence, queue, "quick", detail)
        self.history.events.setdefault(shard, []).append(event)

    def wait(self, ms: int) -> None:
        """Time passes."""
        self.ms += ms

    def run(self, task_id: str, fence: int, how: str = "done") -> None:
        """A handler runs, to its end."""
        self.ms += 1
        self.history.runs[task_id, fence] = Run(task_id, fence, self.ms, how, self.ms)

    def succeed(self, task_id: str, fence: int, *, version: int = 2) -> None:
        """A claim, a run, a success."""
        self.event(task_id, "running", version, fence)
        self.run(task_id, fence)
        self.event(task_id, "succeeded", version + 1, fence)

    def leader(self, kind: str, subject: str, epoch: int, *, shard: int = 0) -> None:
        """A leader writes an event."""
        self.event(subject, kind, 1, epoch, queue="-", shard=shard)


Tale = Callable[[Scribe], None]


def rules(tell: Tale) -> set[str]:
    """Which rules a history breaks."""
    scribe = Scribe()
    tell(scribe)
    return {violation.rule for violation in check(scribe.history).violations}
