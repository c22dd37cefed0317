"""Vectors that are compared with one: added, removed, and scored without rounding by chance.

Directions are kept as whole numbers, `SCALE` long. Products of such vectors stay below 2**24, so
each sum that a float32 can meet on the way is exact, and the same in every order: an index that
grew bit by bit gives the scores of one made at once. A cosine is off by about 0.0001 for that,
which is what it is rounded to.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from coordq.fleet.semantic.embedder import Matrix

SCALE: Final = 4000.0
"""A whole-numbered direction's length; rounding adds at most 64, and 4064 squared is < 2**24."""
DIGITS: Final = 4
_ONE: Final = 10.0**DIGITS
_FIRST: Final = 64
"""Rows that room is made for at first; it doubles."""


class Rows:
    """Directions in numbered slots; a slot that was freed is used again, the lowest first."""

    def __init__(self) -> None:
        self._matrix: Any = None
        self._inverse: Any = None
        self._free: list[int] = []
        self._taken: list[bool] = []

    def __len__(self) -> int:
        """Slots that a search looks at, free ones among them."""
        return len(self._taken)

    def add(self, vector: Matrix) -> int:
        """Keep a vector; its slot."""
        if self._free:
            slot = heappop(self._free)
        else:
            slot = len(self._taken)
            self._make_room(slot, len(vector))
            self._taken.append(True)
        self._taken[slot] = True
        self._matrix[slot], self._inverse[slot] = whole(vector)
        return slot

    def remove(self, slot: int) -> None:
        """Forget what a slot holds."""
        self._taken[slot] = False
        self._matrix[slot] = 0
        self._inverse[slot] = 0
        heappush(self._free, slot)
        if slot == len(self._taken) - 1:
            self._shrink()

    def scores(self, vector: Matrix) -> NDArray[Any]:
        """How alike each slot's is, -1 to 1, to four digits; 0 for free slots and zero vectors."""
        import numpy as np

        if not self._taken:
            return np.zeros(0)
        asked, inverse = whole(vector)
        held = len(self._taken)
        return cosines(self._matrix[:held], asked, self._inverse[:held] * inverse)

    def _shrink(self) -> None:
        while self._taken and not self._taken[-1]:
            self._taken.pop()
        self._free = [slot for slot in self._free if slot < len(self._taken)]
        heapify(self._free)

    def _make_room(self, slot: int, dimensions: int) -> None:
        import numpy as np

        if self._matrix is None:
            self._matrix = np.zeros((_FIRST, dimensions), dtype=np.float32)
            self._inverse = np.zeros(_FIRST)
        elif slot == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
            self._inverse = np.concatenate([self._inverse, np.zeros_like(self._inverse)])


def cosines(rows: Matrix, asked: Matrix, inverses: NDArray[Any]) -> NDArray[Any]:
    """How alike each row is to what is asked for; `inverses`: one by the lengths of both."""
    import numpy as np

    found: NDArray[Any] = np.vecdot(rows, asked) * inverses
    found *= _ONE
    np.rint(found, out=found)
    found /= _ONE
    np.minimum(found, 1.0, out=found)
    np.maximum(found, -1.0, out=found)
    return found


def cosine(row: Matrix, asked: Matrix, inverse: float) -> float:
    """The same of one row, to the last digit."""
    return max(-1.0, min(1.0, round(float(row @ asked) * float(inverse) * _ONE) / _ONE))


def whole(vector: Matrix) -> tuple[Matrix, float]:
    """A direction in whole numbers, and one by its length; zeros and 0 for a zero vector."""
    import numpy as np

    wide = vector.astype(np.float64)  # in which no square of a float32 overflows or vanishes
    length = float((wide * wide).sum()) ** 0.5
    if not length:
        return vector, 0.0
    wide *= SCALE / length
    np.rint(wide, out=wide)
    square = float((wide * wide).sum())
    return wide.astype(np.float32), square**-0.5
