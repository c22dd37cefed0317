"""Tenants: for whom tasks are done, and how large each one's share is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from coordq.amounts import is_number
from coordq.engine.call import Call
from coordq.errors import InvalidLimit
from coordq.names import check_name

WEIGHT_MIN: Final = 0.001
WEIGHT_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant as it was when it was looked at; summed over shards."""

    name: str
    weight: float
    """Its share, relative to those of the others that wait at the same line; 1 unless set."""
    served: int
    """Tasks started since it was first seen, or forgotten."""
    backlog: int
    """Ready tasks, and entries of cancelled ones that no claim has come upon yet."""
    queues: Mapping[str, float] = field(default_factory=dict)
    """Its weight at queues where another one counts."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "tenant": self.name,
            "weight": self.weight,
            "served": self.served,
            "backlog": self.backlog,
            "queues": dict(self.queues),
        }


@dataclass(frozen=True, slots=True)
class Tenants:
    """A page of a shard's tenants."""

    found: tuple[TenantView, ...]
    cursor: str
    """Of the next page; "0" after the last."""


def check_weight(weight: object) -> float:
    """`weight` itself when it may be one. Raises InvalidLimit."""
    if not is_number(weight, WEIGHT_MIN, WEIGHT_MAX):
        raise InvalidLimit(
            f"weight={weight!r}: give a number from {WEIGHT_MIN} to {WEIGHT_MAX}; 1 is usual.",
            field="weight",
        )
    return float(weight)


def _read(reply: Any) -> Tenants:
    cursor, *flat = reply
    rows = zip(*(flat[at::5] for at in range(5)), strict=True)
    found = (
        TenantView(
            name.decode(errors="replace"),
            float(weight),
            _whole(served),
            int(backlog),
            {queue.decode(): float(one) for queue, one in zip(own[::2], own[1::2], strict=True)},
        )
        for name, weight, served, backlog, own in rows
    )
    return Tenants(tuple(found), cursor.decode())


def _whole(count: bytes) -> int:
    return int(count) if count.isdigit() else 0


def page(shard: int, cursor: str = "0") -> Call[Tenants]:
    """Some tenants of a shard; one may be on two pages."""
    return Call("work/tenants", shard, (cursor, ""), _read)


def one(shard: int, name: str) -> Call[TenantView | None]:
    """A tenant, as a shard knows it, or None. Raises InvalidName."""

    def read(reply: Any) -> TenantView | None:
        found = _read(reply).found
        return found[0] if found else None

    return Call("work/tenants", shard, ("0", check_name("tenant", name)), read)


def weigh(shard: int, name: str, weight: float, *, queue: str = "") -> Call[bool]:
    """Set a tenant's weight on a shard, at once, at one queue or all; whether it had one there.

    Raises InvalidName, InvalidLimit.
    """
    args = (check_name("tenant", name), repr(check_weight(weight)), _at(queue))
    return Call("work/weigh", shard, args, bool)


def forget(shard: int, name: str, *, queue: str = "") -> Call[bool]:
    """Weight 1 and never served, as if it were new; whether it was known. Its tasks stay.

    With a queue: the general weight counts there again; whether it had another one.
    """
    return Call("work/weigh", shard, (check_name("tenant", name), "", _at(queue)), bool)


def _at(queue: str) -> str:
    return check_name("queue", queue) if queue else ""


def merge(parts: Iterable[TenantView]) -> list[TenantView]:
    """What the shards know of each tenant, put together, by name."""
    whole: dict[str, TenantView] = {}
    for part in parts:
        known = whole.get(part.name)
        whole[part.name] = part if known is None else _sum(known, part)
    return [whole[name] for name in sorted(whole)]


def _sum(known: TenantView, part: TenantView) -> TenantView:
    return replace(known, served=known.served + part.served, backlog=known.backlog + part.backlog)
