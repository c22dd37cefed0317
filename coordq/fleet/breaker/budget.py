"""A retry budget: retries are at most a share of calls, so that failures cannot cascade; pure.

When everything fails, each caller's three attempts are three times the load on what fails already.
With a budget it is a fifth more.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidBreaker

WINDOW_S: Final = 10.0
SLICE_S: Final = 1.0


class RetryBudget:
    """Of one process and one subject. Thread-safe.

    share: retries in ten seconds, as a share of the calls in them. floor: so many retries are
    allowed in ten seconds however few calls there are. Raises InvalidBreaker.
    """

    __slots__ = ("_floor", "_lock", "_share", "_slices")

    def __init__(self, share: float = 0.2, floor: int = 3) -> None:
        if not is_number(share, 0, 1):
            raise InvalidBreaker(f"share={share!r}: give a share from 0 to 1.", field="share")
        if not is_whole(floor, 0, 1000):
            raise InvalidBreaker(
                f"floor={floor!r}: give a whole number of retries up to 1000.", field="floor"
            )
        self._share = share
        self._floor = floor
        self._slices: deque[list[float]] = deque()
        self._lock = Lock()

    def call(self, now_s: float) -> None:
        """A call is made, that is no retry. now_s: a clock that never steps."""
        with self._lock:
            self._slice(now_s)[1] += 1

    def may_retry(self, now_s: float) -> bool:
        """Whether a retry may be made now; it counts as made if so."""
        with self._lock:
            latest = self._slice(now_s)
            calls = sum(each[1] for each in self._slices)
            retries = sum(each[2] for each in self._slices)
            if retries + 1 > max(self._floor, self._share * calls):
                return False
            latest[2] += 1
            return True

    def _slice(self, now_s: float) -> list[float]:
        """The counts of this second: [its start, calls, retries]; what is too old is dropped."""
        start = now_s - now_s % SLICE_S
        while self._slices and self._slices[0][0] <= start - WINDOW_S:
            self._slices.popleft()
        if not self._slices or self._slices[-1][0] < start:
            self._slices.append([start, 0, 0])
        return self._slices[-1]
