"""What happened: events of the shards' capped streams, read back into one line of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coordq.engine.call import Call

EVENTS = (
    "ready",
    "scheduled",
    "running",
    "succeeded",
    "failed",
    "cancelled",
    "cancelling",
    "retrying",
    "snoozed",
    "released",
    "crashed",
    "lapsed",
    "requeued",
    "replaced",
    "refused",
    "stalled",
    # of tasks that wait for others, for a person or for a moment
    "waiting",
    "unblocked",
    "skipped",
    "suspended",
    "resumed",
    "approved",
    "rejected",
    "parked",
    "let-go",
    # of flows: subject the flow's id
    "flow-started",
    "flow-grown",
    "flow-ended",
    "flow-retried",
    "stuck",
    # the leader's: subject a supervisor, worker, zone or schedule; fence its epoch
    "elected",
    "resigned",
    "joined",
    "left",
    "suspect",
    "healthy",
    "flapping",
    "dead",
    "rejoined",
    "partition",
    "outage",
    "cut-off",
    "healed",
    "read-only",
    "writable",
    "forgotten",
    "repaired",
    "fired",
    # of the registry: subject an agent
    "agent-registered",
    "agent-updated",
    "agent-left",
    "stand-in",
    "stand-in-ended",
    # who may talk to whom: subject "topology"; of circuit breakers: subject what is called
    "arranged",
    "breaker-opened",
    "breaker-probing",
    "breaker-closed",
    # a fleet spawner's: subject a group or worker
    "started",
    "exited",
    "scaled",
    "gave-up",
    # of the bus: subject a group of readers
    "bus-group-dropped",
    "bus-order-gap",
)
"""Every kind there is.

`replaced`: a task that waited got the arguments of another with its unique key. `refused`: a finish
by an old fence, its detail, changed nothing. `skipped`: a task that a condition or the end of its
parents left out, or a slot of a schedule.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: str
    """Where it stands in the stream: `<ms>-<number>`; several events may share it."""
    shard: int
    subject: str
    """A task id; for `stalled` a worker."""
    kind: str
    version: int
    fence: int
    queue: str
    name: str
    detail: str
    """running: the worker. failed: the reason. retrying, snoozed: the delay in ms.
    crashed, lapsed, released: old fence and worker."""

    @property
    def ms(self) -> int:
        """When, in milliseconds since 1970, by Redis's clock."""
        return int(self.at.partition("-")[0])

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "at": self.at,
            "ms": self.ms,
            "shard": self.shard,
            "id": self.subject,
            "event": self.kind,
            "version": self.version,
            "fence": self.fence,
            "queue": self.queue,
            "name": self.name,
            "detail": self.detail,
        }


def read_entry(shard: int, entry: Any) -> Iterator[Event]:
    """The events of one stream entry, in order; its form is described in lua/lib/event.lua."""
    at, fields = entry[0].decode(), entry[1]
    head, _, items = fields[1].decode(errors="replace").rpartition("\n")
    parts = head.split(" ", 3)
    if fields[0] != b"e" or len(parts) != 4:  # noqa: PLR2004 - a stranger's entry
        return
    kind, queue, name, detail = parts
    subject = ""
    for item in items.split(" "):
        words = item.split(",")
        subject = subject[:-2] + words[0][1:] if words[0].startswith("+") else words[0]
        version, fence = (int(words[1]), int(words[2])) if len(words) > 2 else (1, 0)  # noqa: PLR2004
        yield Event(at, shard, subject, kind, version, fence, queue, name, detail)


def note(shard: int, subject: str, kind: str, detail: str = "") -> Call[str]:
    """Put an event on the stream that no transition writes."""
    line = " ".join(detail.splitlines())
    return Call("work/note", shard, (subject, kind, line), lambda reply: reply.decode())
