"""The supervisors' side of a history: who led, when, and who still wrote afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from coordq.interfaces.chaos.history import History
from coordq.interfaces.chaos.violation import Violation
from coordq.work.events import Event


def check_leaders(history: History) -> Iterator[Violation]:
    """One leader an epoch, epochs that grow, no write of a leader after a newer one was seen."""
    elected: dict[int, str] = {}
    for shard, events in history.events.items():
        highest = 0
        for event in events:
            if not _official(event):
                continue
            epoch = event.fence
            if event.kind == "elected":
                first = elected.setdefault(epoch, event.subject)
                if first != event.subject:
                    told = f"{first} and {event.subject} were elected under it"
                    yield Violation("leader", str(epoch), told)
            if epoch < highest:
                told = (
                    f"shard {shard} {event.at}: {event.kind} {event.subject} was written after"
                    f" epoch {highest} had been seen"
                )
                yield Violation("leader", str(epoch), told)
            highest = max(highest, epoch)


def _official(event: Event) -> bool:
    """Whether a leader wrote it: it belongs to no queue, and has the epoch in the fence's place."""
    return event.queue == "-" and event.version == 1 and event.fence > 0
