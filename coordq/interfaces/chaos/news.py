"""What a process heard, and when that had been published: it shows what Redis had done. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from math import inf

Key = tuple[str, str, int]
"""Process, group ("" for all of them), and shard."""


class News:
    """By key: when each message was published, and when it began to be heard. All in ms."""

    def __init__(self, heard: Iterable[tuple[Key, int, int]]) -> None:
        pairs: dict[Key, list[tuple[int, int]]] = defaultdict(list)
        for key, asked_ms, began_ms in heard:
            pairs[key].append((asked_ms, began_ms))
        self._moments = {key: _soonest(those) for key, those in pairs.items()}

    def after(self, key: Key, moment: float) -> float:
        """When something that was published after a moment was first heard; inf: never."""
        asked, first = self._moments.get(key, ((), ()))
        if moment == inf:
            return inf
        at = bisect_left(asked, moment + 1)
        return first[at] if at < len(first) else inf


def _soonest(pairs: list[tuple[int, int]]) -> tuple[list[int], list[float]]:
    """Moments of publishing, sorted, and when the first of those of then or later was heard."""
    pairs.sort()
    first: list[float] = [inf] * len(pairs)
    soonest = inf
    for at in range(len(pairs) - 1, -1, -1):
        soonest = first[at] = min(soonest, pairs[at][1])
    return [asked for asked, _ in pairs], first
