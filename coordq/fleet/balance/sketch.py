"""How long things took: quantiles of the last minute, in little memory.

A histogram whose buckets grow by 5 %: any quantile is right within 2.5 %, from 10 us to hours, in
at most some 500 counts. Two of them take turns: what is older than two windows is forgotten.
"""

from __future__ import annotations

import math
from typing import Final

GROWTH: Final = 1.05
WINDOW_S: Final = 30.0
SMALLEST_MS: Final = 0.01
_LOG: Final = math.log(GROWTH)


class Sketch:
    """Times in milliseconds. Not thread-safe: who owns it holds a lock."""

    __slots__ = ("_before", "_cached", "_now", "_since_s", "_window_s")

    def __init__(self, now_s: float, *, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._since_s = now_s
        self._now: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._cached: dict[float, float] = {}

    def add(self, ms: float, now_s: float) -> None:
        """One more."""
        self._turn(now_s)
        bucket = math.ceil(math.log(max(ms, SMALLEST_MS) / SMALLEST_MS) / _LOG)
        self._now[bucket] = self._now.get(bucket, 0) + 1
        self._cached.clear()

    def quantile(self, share: float, now_s: float) -> float | None:
        """How long it took at most in this share of the cases, 0 to 1; None of none."""
        self._turn(now_s)
        if (known := self._cached.get(share)) is not None:
            return known
        counts = dict(self._before)
        for bucket, amount in self._now.items():
            counts[bucket] = counts.get(bucket, 0) + amount
        if not counts:
            return None
        rank, seen = share * (sum(counts.values()) - 1), 0
        for bucket in sorted(counts):
            seen += counts[bucket]
            if seen > rank:
                break
        # the middle of a bucket, by ratio: as far from its lower bound as from its upper one
        self._cached[share] = SMALLEST_MS * GROWTH ** (bucket - 0.5)
        return self._cached[share]

    def _turn(self, now_s: float) -> None:
        age_s = now_s - self._since_s
        if age_s < self._window_s:
            return
        self._before = self._now if age_s < 2 * self._window_s else {}
        self._now, self._since_s = {}, now_s
        self._cached.clear()
