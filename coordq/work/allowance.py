"""How limits stand, and the calls that set, pause and look at them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import unquote

from coordq.engine.call import Call
from coordq.work.limit import Limit, read_limit


@dataclass(frozen=True, slots=True)
class LimitView:
    """A limit, or one key of it, as it is set and as it stands; summed over shards."""

    slot: str
    """`limit` or `limit:key`."""
    limit: Limit | None
    """None: nothing is set; it is paused, or tasks are parked there since before."""
    own: bool
    """Whether it is set for just this name; else it holds for each key of it."""
    paused_ms: int | None
    """0: it is not paused. None: until somebody resumes it."""
    running: int
    """How many hold a slot; also those that a crash gave back and that will run again."""
    spent: float
    """Units, in the period of the budget that goes on."""
    parked: int
    """How many tasks wait for it."""
    tokens: int | None
    """How many may start now by the rate; None when there is none."""
    wake_ms: int | None
    """Until the next may start; 0: now. None: when one that runs ends, or somebody resumes it."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        said = {at.name: getattr(self, at.name) for at in fields(self) if at.name != "limit"}
        return {**said, "limit": self.limit.to_json() if self.limit else None}


def _count(number: int) -> int | None:
    return None if number < 0 else number


def read_view(reply: list[Any]) -> LimitView:
    """One limit of what limit/look answers."""
    slot, own, text, paused, held, spent, parked, tokens, wake = reply
    name = unquote(slot.decode())
    limit = read_limit(name if own else name.partition(":")[0], text)
    return LimitView(
        name,
        limit,
        own == 1,
        _count(paused),
        held,
        float(spent),
        parked,
        _count(tokens),
        _count(wake),
    )


def merge(parts: list[LimitView]) -> list[LimitView]:
    """One view of each slot out of its shards' parts, by name."""
    views: dict[str, LimitView] = {}
    for part in parts:
        old = views.get(part.slot)
        views[part.slot] = part if old is None else _added(old, part)
    return [views[slot] for slot in sorted(views)]


def _added(one: LimitView, other: LimitView) -> LimitView:
    pauses = (one.paused_ms, other.paused_ms)
    waits = [part.wake_ms for part in (one, other) if part.parked and part.wake_ms is not None]
    return replace(
        one,
        limit=one.limit or other.limit,
        paused_ms=None if None in pauses else max(filter(None, pauses), default=0),
        running=one.running + other.running,
        spent=one.spent + other.spent,
        parked=one.parked + other.parked,
        tokens=None if one.tokens is None else one.tokens + (other.tokens or 0),
        wake_ms=min(waits, default=one.wake_ms),
    )


def put(shard: int, limit: Limit, *, shards: int = 1) -> Call[bool]:
    """Set a limit down on one of so many shards; true when it replaced one of that name."""
    return Call("limit/set", shard, (limit.name, limit.text(shards)), lambda reply: reply == 1)


def take_off(shard: int, name: str) -> Call[bool]:
    """Take a limit away on one shard; true when there was one."""
    return Call("limit/set", shard, (name, ""), lambda reply: reply == 1)


def wake(shard: int, name: str, cursor: str = "0") -> Call[str]:
    """Look again at a page of those that a limit parked; the next cursor, "0" at the end."""
    return Call("limit/wake", shard, (name, cursor), lambda reply: reply.decode())


def pause(shard: int, slot: str, ms: int | None) -> Call[int | None]:
    """Let nothing start for so long, None until it is resumed; 0 resumes. How long it is now."""
    return Call("limit/pause", shard, (slot, -1 if ms is None else ms), _count)


def look(shard: int, *slots: str) -> Call[list[LimitView]]:
    """Limits as they stand on one shard: these, or all that are set, paused or waited for."""
    return Call("limit/look", shard, slots, lambda reply: [read_view(one) for one in reply[1:]])


@dataclass(frozen=True, slots=True)
class Parked:
    """Where a ready task waits because a limit does not let it start."""

    position: int
    """How many of those that wait there come before it."""
    view: LimitView
    """The limit, or key of it, as it stands."""

    @property
    def starts_in_ms(self) -> int | None:
        """About when it may start at the present rate; None: when others have ended, or a pause."""
        view, limit = self.view, self.view.limit
        if view.wake_ms is None or limit is None:
            return view.wake_ms
        step_s = limit.rate[1] / limit.rate[0] if limit.rate else 0.0
        return view.wake_ms + round(1000 * step_s * self.position)


def read_parked(reply: Any) -> Parked | None:
    """What work/look says of it."""
    return Parked(int(reply[0]), read_view(reply[1:])) if reply else None
