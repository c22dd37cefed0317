"""Vectors that lie close to one, found without looking at most of the others.

Two vectors are cut into blocks. What a block adds to their product is never more than the product
of its two lengths, so the lengths of all blocks, an eighth of the numbers, say how alike two
vectors can be at most. Words that a text does not share stand in other blocks: for the lexical
embedder one or two of a thousand are left to be compared whole. Nothing that is close is missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coordq.fleet.semantic.rows import DIGITS, Rows, cosine, cosines, whole

if TYPE_CHECKING:
    from coordq.fleet.semantic.embedder import Matrix

BLOCK: Final = 8
"""Numbers of a block."""
_SHORT: Final = 256
"""Numbers of a vector that is compared whole as quickly."""
_FEW: Final = 8
"""When more are left, all are compared: one by one they would cost more."""
_SLACK: Final = 10.0**-DIGITS
"""More than scores are rounded by."""


class Close(Rows):
    """Directions in numbered slots, for those who ask only for what is close."""

    def __init__(self) -> None:
        super().__init__()
        self._lengths: Any = None

    def add(self, vector: Matrix) -> int:
        """Keep a vector; its slot."""
        import numpy as np

        slot = super().add(vector)
        lengths = _lengths(self._matrix[slot])
        room = len(self._matrix)
        if self._lengths is None:
            self._lengths = np.zeros((room, len(lengths)), dtype=np.float32)
        elif len(self._lengths) < room:
            more = np.zeros((room - len(self._lengths), len(lengths)), dtype=np.float32)
            self._lengths = np.concatenate([self._lengths, more])
        self._lengths[slot] = lengths
        return slot

    def near(self, vector: Matrix, least: float) -> list[tuple[int, float]]:
        """Slots whose score is at least that, which is more than 0, with it: nearest first.

        Equals come by number.
        """
        import numpy as np

        held = len(self._taken)
        if not held:
            return []
        asked, inverse = whole(vector)
        inverses = self._inverse[:held] * inverse
        if len(asked) > _SHORT:
            most = np.vecdot(self._lengths[:held], _lengths(asked)) * inverses
            left = np.nonzero(most >= least - _SLACK)[0].tolist()
            if len(left) <= _FEW:
                scored = [
                    (slot, cosine(self._matrix[slot], asked, inverses[slot])) for slot in left
                ]
                return sorted((one for one in scored if one[1] >= least), key=_best_first)
        scores = cosines(self._matrix[:held], asked, inverses)
        near = np.nonzero(scores >= least)[0]
        return sorted(zip(near.tolist(), scores[near].tolist(), strict=True), key=_best_first)


def _best_first(one: tuple[int, float]) -> tuple[float, int]:
    return -one[1], one[0]


def _lengths(numbers: Matrix) -> Matrix:
    """Of each block; rounding them is off by less than a score is rounded by."""
    import numpy as np

    squares: Matrix = numbers * numbers
    if len(squares) % BLOCK:
        squares = np.concatenate([squares, np.zeros(-len(squares) % BLOCK, dtype=np.float32)])
    lengths: Matrix = np.sqrt(squares.reshape(-1, BLOCK).sum(axis=1))
    return lengths
