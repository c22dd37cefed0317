"""Limits by hand: set them, look at them, and let time pass for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from coordq.work import allowance, limit
from coordq.work.allowance import LimitView
from coordq.work.claim import Claim
from tests.work.desk import Desk


def allow(desk: Desk, name: str, **given: Any) -> None:
    """Set a limit down on the desk's shard."""
    desk.run(allowance.put(desk.shard, limit.make(name, **given)))
    desk.run(allowance.wake(desk.shard, name))


def seen(desk: Desk, slot: str) -> LimitView:
    """A limit as it stands."""
    views: list[LimitView] = desk.run(allowance.look(desk.shard, limit.slot_text(slot)))
    return views[0]


def some(desk: Desk, amount: int, *limits: str, **options: Any) -> list[str]:
    """Enqueue tasks that count against limits."""
    return [desk.put(limits=limits, **options) for _ in range(amount)]


def ids_of(claims: tuple[Claim, ...]) -> list[str]:
    """Who was claimed, in order."""
    return [each.id for each in claims]


def pass_time(desk: Desk, ms: int) -> None:
    """Let so much time have passed for limits: their moments move into the past."""
    for name in desk.names():
        kind = name.removeprefix(desk.root).partition(":")[0]
        if kind in _AGE:
            _AGE[kind](desk, name, ms)


def _bucket(desk: Desk, key: str, ms: int) -> None:
    full = desk.redis("GET", key)
    if full is not None:  # it may have become full since it was found
        desk.redis("SET", key, f"{float(full) - 1000 * ms:.1f}", "XX", "KEEPTTL")


def _window(desk: Desk, key: str, ms: int) -> None:
    for at, start in enumerate(desk.redis("LRANGE", key, 0, -1)):
        desk.redis("LSET", key, at, int(start) - 1000 * ms)


def _moments(desk: Desk, key: str, ms: int) -> None:
    for member in desk.redis("ZRANGE", key, 0, -1):
        desk.redis("ZINCRBY", key, -ms, member)


_AGE: Final[dict[str, Callable[[Desk, str, int], None]]] = {
    "bucket": _bucket,
    "window": _window,
    "pauses": _moments,
    "due": _moments,
    "spent": lambda desk, key, _: desk.redis("DEL", key),
}
