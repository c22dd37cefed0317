"""Pieces of the sentences in which the leader says what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
NAMED_MAX: Final = 5


def lasting(ms: float) -> str:
    """A length of time as people say it: 340 ms, 9.1 s, 2 min 5 s, 3 h 20 min."""
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{max(0, ms):.0f} ms"
    if ms < _MINUTE_MS:
        return f"{ms / 1000:.1f}".removesuffix(".0") + " s"
    minutes, rest_ms = divmod(int(ms), _MINUTE_MS)
    if ms < _HOUR_MS:
        return f"{minutes} min {rest_ms // 1000} s"
    return f"{minutes // 60} h {minutes % 60} min"


def counted(amount: int, noun: str) -> str:
    """An amount of things: 1 worker, 3 workers."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Names in a row, the first few."""
    shown = ", ".join(sorted(names)[:NAMED_MAX])
    return f"{shown} and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else shown
