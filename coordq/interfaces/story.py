"""What happened, a sentence an event: the story of a kill is to be understood without a manual."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from coordq.interfaces.words import one_line, several, span

if TYPE_CHECKING:
    from coordq.work.events import Event

FENCE_AND_WORKER: Final = re.compile(r"(\d+) (\S+)\Z")
STYLES: Final = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
    "running": "cyan",
    "scheduled": "yellow",
    "retrying": "yellow",
    "crashed": "bold red",
    "lapsed": "bold red",
    "refused": "bold red",
    "stalled": "bold red",
    "elected": "bold green",
    "resigned": "yellow",
    "joined": "green",
    "left": "dim",
    "suspect": "yellow",
    "healthy": "green",
    "flapping": "yellow",
    "dead": "bold red",
    "rejoined": "green",
    "partition": "bold red",
    "outage": "bold red",
    "cut-off": "bold red",
    "healed": "bold green",
    "read-only": "bold yellow",
    "writable": "bold green",
    "forgotten": "yellow",
    "repaired": "bold magenta",
    "fired": "cyan",
    "skipped": "yellow",
    "waiting": "dim",
    "unblocked": "cyan",
    "suspended": "yellow",
    "resumed": "cyan",
    "approved": "green",
    "rejected": "red",
    "parked": "yellow",
    "let-go": "yellow",
    "flow-started": "cyan",
    "flow-grown": "cyan",
    "flow-ended": "bold green",
    "flow-retried": "yellow",
    "stuck": "bold red",
    "building": "dim",
    "arranged": "bold cyan",
    "breaker-opened": "bold red",
    "breaker-probing": "yellow",
    "breaker-closed": "bold green",
    "started": "green",
    "exited": "yellow",
    "scaled": "cyan",
    "gave-up": "bold red",
}
"""State or kind of event -> colour."""


def sentence(event: Event) -> str:
    """What an event says; the subject stands before it."""
    tell = _SENTENCES.get(event.kind)
    return one_line(tell(event) if tell is not None else event.detail)


def _ready(event: Event) -> str:
    return "enqueued, and ready" if event.version == 1 else "its moment has come: ready"


def _ran(event: Event, what: str) -> str:
    """A run that ended without an outcome; the detail names the old fence and the worker."""
    found = FENCE_AND_WORKER.match(event.detail)
    return what.format(worker=found[2] if found else event.detail or "its worker")


def _later(event: Event, what: str) -> str:
    return f"{what} in {span(float(event.detail))}" if event.detail.isdecimal() else what


def _with(event: Event, what: str) -> str:
    return f"{what}: {event.detail}" if event.detail else what


def _failed(event: Event) -> str:
    return _with(event, "will not be tried again, it is a dead letter")


def _released(event: Event) -> str:
    if not event.detail:
        return "given back by its worker, at no cost: ready"
    return _ran(event, "given back by {worker}, at no cost: ready")


def _lapsed(event: Event) -> str:
    return _ran(event, "taken back from {worker}, whose lease had run out: ready")


def _crashed(event: Event) -> str:
    return _ran(event, "given back, because {worker} died at it: ready, with a strike")


def _refused(event: Event) -> str:
    return f"an outcome came too late, by the old fence {event.detail or '?'}: nothing was changed"


def _skipped(event: Event) -> str:
    """A task that was left out; of a schedule's slot the detail is the sentence."""
    return "left out: it will not run" if event.detail in {"", "skipped"} else event.detail


def _started(event: Event) -> str:
    size = int(event.detail) if event.detail.isdecimal() else 0
    return f"a flow of {several(size, 'task')} has started" if size else "a flow has started"


def _suspended(event: Event) -> str:
    kind, _, what = event.detail.partition(" ")
    waits = {
        "tasks": "other tasks",
        "approval": "an approval",
        "signal": f"the signal {what!r}",
        "time": "a moment",
    }
    return f"waits for {waits.get(kind, event.detail or 'something')}, and holds no slot"


_SENTENCES: Final[dict[str, Callable[[Event], str]]] = {
    "ready": _ready,
    "scheduled": lambda _: "enqueued for a later moment",
    "running": lambda event: f"runs on {event.detail or 'a worker'}",
    "succeeded": lambda event: _with(event, "done"),
    "failed": _failed,
    "cancelled": lambda event: _with(event, "cancelled"),
    "cancelling": lambda event: _with(event, "is to be cancelled, its worker was told"),
    "retrying": lambda event: _later(event, "failed, and is tried again"),
    "snoozed": lambda event: _later(event, "put itself off, and comes back"),
    "released": _released,
    "crashed": _crashed,
    "lapsed": _lapsed,
    "requeued": lambda _: "made ready again, with all its attempts",
    "refused": _refused,
    "waiting": lambda _: "waits for the tasks before it",
    "unblocked": lambda _: "the tasks before it have ended",
    "skipped": _skipped,
    "suspended": _suspended,
    "resumed": lambda _: "what it waited for has come: ready",
    "approved": lambda event: f"approved by {event.detail or 'somebody'}",
    "rejected": lambda event: f"rejected by {event.detail or 'somebody'}",
    "parked": lambda event: f"waits for the limit {event.detail}",
    "let-go": lambda _: "nobody has started it again: its slots of limits are free for others",
    "flow-started": _started,
    "flow-grown": lambda event: _with(event, "tasks were added"),
    "flow-ended": lambda event: f"the flow has ended: {event.detail}",
    "flow-retried": lambda _: "the flow is run again, but for what succeeded",
    "stuck": lambda event: f"the flow does not get on: {event.detail}",
    "stalled": lambda event: _with(event, "its loop is blocked"),
}
"""What the leader and spawners tell is a sentence already."""
