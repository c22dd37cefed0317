"""Which routes lie near a vector: all their phrases, kept as rows, changed one route at a time."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from coordq.fleet.semantic.rows import Rows

if TYPE_CHECKING:
    from coordq.fleet.semantic.embedder import Matrix


class Index:
    """Routes by name, with a row for each phrase.

    What a search finds depends on what is held, not on how it came to be held.
    """

    def __init__(self) -> None:
        self._rows = Rows()
        self._phrases: dict[str, tuple[str, ...]] = {}
        self._slots: dict[str, list[int]] = {}
        self._numbers: dict[str, int] = {}
        self._names: list[str | None] = []
        self._free: list[int] = []
        self._owners: Any = None

    def put(self, name: str, phrases: Sequence[str], vectors: Matrix) -> None:
        """Hold a route, or hold it anew; a row for each phrase."""
        self.drop(name)
        self._numbers[name] = number = self._number(name)
        self._phrases[name] = tuple(phrases)
        self._slots[name] = [self._rows.add(vector) for vector in vectors]
        self._own(self._slots[name], number)

    def drop(self, name: str) -> None:
        """Forget a route, if it is there."""
        for slot in self._slots.pop(name, ()):
            self._rows.remove(slot)
            self._owners[slot] = -1
        self._phrases.pop(name, None)
        number = self._numbers.pop(name, None)
        if number is not None:
            self._names[number] = None
            heappush(self._free, number)

    def nearest(
        self, vector: Matrix, most: int, among: frozenset[str] | None = None
    ) -> list[tuple[float, str, str]]:
        """The best routes as (score, name, phrase): nearest first, ties by name."""
        import numpy as np

        scores = self._rows.scores(vector)
        best = np.full(len(self._names), -2.0)
        owners = self._owners[: len(scores)] if len(scores) else np.zeros(0, dtype=np.intp)
        held = owners >= 0
        np.maximum.at(best, owners[held], scores[held])
        if among is not None:
            best[[n for n, name in enumerate(self._names) if name not in among]] = -2.0
        found = [(-float(best[n]), name) for n in _leaders(best, most) if (name := self._names[n])]
        return [(-score, name, self._said(name, scores)) for score, name in sorted(found)[:most]]

    def _said(self, name: str, scores: Any) -> str:
        """Its nearest phrase; the first of equals."""
        mine = [float(scores[slot]) for slot in self._slots[name]]
        return self._phrases[name][mine.index(max(mine))]

    def _number(self, name: str) -> int:
        if self._free:
            number = heappop(self._free)
            self._names[number] = name
            return number
        self._names.append(name)
        return len(self._names) - 1

    def _own(self, slots: Sequence[int], number: int) -> None:
        import numpy as np

        short = max(slots, default=0) + 1 - (0 if self._owners is None else len(self._owners))
        if self._owners is None:
            self._owners = np.full(max(64, short), -1, dtype=np.intp)
        elif short > 0:
            more = np.full(max(short, len(self._owners)), -1, dtype=np.intp)
            self._owners = np.concatenate([self._owners, more])
        self._owners[list(slots)] = number


def _leaders(best: Any, most: int) -> list[int]:
    """The places of the `most` highest, and of all that tie with the last of them."""
    import numpy as np

    if most < len(best):
        least = np.partition(best, len(best) - most)[len(best) - most]
        places = np.flatnonzero((best >= least) & (best > -2.0))  # noqa: PLR2004 - no score
    else:
        places = np.flatnonzero(best > -2.0)  # noqa: PLR2004 - no score
    return [int(place) for place in places]
