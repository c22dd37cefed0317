"""How many handlers start in one turn of the loop.

A child may be handed a hundred tasks at once. Were all of them started at once, handlers that
compute would keep the loop to themselves for a hundred times their length: what the first one
achieved would not be committed before the last had run, and a crash would undo it all. So handlers
start in slices, between which the loop gets round to Redis. A slice halves when its turn takes too
long, and doubles when it is short: one at a time for handlers that compute, all at once for those
that wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from coordq import clock

TURN_S: Final = 0.004
FIRST: Final = 8
MOST: Final = 1024


class Pace:
    """Starts what it is given, in order, a slice a turn."""

    def __init__(self) -> None:
        self._line: deque[Callable[[], None]] = deque()
        self._slice = FIRST
        self._began = 0.0
        self._armed = False

    def start(self, begin: Callable[[], None]) -> None:
        """Call `begin` in this turn of the loop, or in one of the next."""
        self._line.append(begin)
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        if self._began:
            self._adapt(clock.monotonic() - self._began)
        if not self._line:
            self._armed, self._began = False, 0.0
            return
        for _ in range(min(self._slice, len(self._line))):
            self._line.popleft()()
        self._began = clock.monotonic()
        # what was begun stands in the loop's line before this
        asyncio.get_running_loop().call_soon(self._turn)

    def _adapt(self, took_s: float) -> None:
        if took_s > TURN_S:
            self._slice = max(1, self._slice // 2)
        elif took_s < TURN_S / 4:
            self._slice = min(MOST, self._slice * 2)
