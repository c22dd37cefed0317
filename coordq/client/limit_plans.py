"""Operations on limits, written once for both clients. Each shard keeps all limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from coordq.amounts import is_number
from coordq.client.plan import Plan
from coordq.errors import InvalidLimit, LimitNotFound
from coordq.work import allowance
from coordq.work.allowance import LimitView
from coordq.work.limit import PERIOD_MAX_S, Limit, slot_text


def put(shards: int, made: Limit) -> Plan[LimitView]:
    """Set a limit down; whoever it lets go now is brought back."""
    for shard in range(shards):
        yield allowance.put(shard, made, shards=shards)
    yield from _wake(shards, made.name)
    return (yield from get(shards, made.name))


def _wake(shards: int, name: str) -> Plan[None]:
    for shard in range(shards):
        cursor: str = yield allowance.wake(shard, name)
        while cursor != "0":
            cursor = yield allowance.wake(shard, name, cursor)


def look(shards: int, *slots: str) -> Plan[list[LimitView]]:
    """These, or all that are set, paused or waited for."""
    parts: list[LimitView] = []
    for shard in range(shards):
        parts += yield allowance.look(shard, *slots)
    return allowance.merge(parts)


def get(shards: int, name: str) -> Plan[LimitView]:
    """One limit, or one key of it. Raises LimitNotFound, InvalidLimit, InvalidName."""
    view: LimitView
    (view,) = yield from look(shards, slot_text(name))
    if view.limit is None and view.paused_ms == 0 and not view.parked:
        raise (yield from _unknown(shards, name))
    return view


def _unknown(shards: int, name: str) -> Plan[LimitNotFound]:
    views = yield from look(shards)
    names = ", ".join(view.slot for view in views if view.own) or "none yet"
    return LimitNotFound(f"There is no limit {name!r}; there are: {names[:500]}.", name=name)


def rm(shards: int, name: str) -> Plan[None]:
    """Take a limit away; whoever waited for it is brought back. Raises LimitNotFound."""
    slot = slot_text(name)
    known = False
    for shard in range(shards):
        known = (yield allowance.take_off(shard, slot)) or known
    yield from _wake(shards, slot)
    if not known:
        raise (yield from _unknown(shards, name))


def pause(shards: int, name: str, seconds: float | timedelta | None) -> Plan[None]:
    """Let nothing start under a limit for so long; None: until it is resumed."""
    slot, ms = slot_text(name), _ms(seconds)
    for shard in range(shards):
        yield allowance.pause(shard, slot, ms)


def resume(shards: int, name: str) -> Plan[None]:
    """End a pause; nothing happens when there is none."""
    slot = slot_text(name)
    for shard in range(shards):
        yield allowance.pause(shard, slot, 0)
    yield from _wake(shards, slot)


def _ms(seconds: Any) -> int | None:
    if seconds is None:
        return None
    length = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if not is_number(length, 0, PERIOD_MAX_S) or length == 0:
        raise InvalidLimit(
            f"A limit cannot be paused for {seconds!r}: give seconds or a timedelta, up to a year; "
            "without any it is paused until it is resumed.",
            field="seconds",
        )
    return max(1, round(length * 1000))
