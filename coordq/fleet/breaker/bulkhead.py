"""Bulkheads: so many calls to a subject at once in one process, so that it cannot take all hands.

Places are given out in the order in which they are asked for, one kind for threads, one for an
event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from threading import Condition
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import BulkheadFull, InvalidBreaker

PLACES_MAX: Final = 100_000
WAIT_MAX_S: Final = 3600.0


def check_places(concurrency: object, wait: object) -> None:
    """Refuse a bulkhead that could not work. Raises InvalidBreaker."""
    if not is_whole(concurrency, 0, PLACES_MAX):
        raise InvalidBreaker(
            f"concurrency={concurrency!r}: give a whole number up to {PLACES_MAX:,}, 0: any.",
            field="concurrency",
        )
    if not is_number(wait, 0, WAIT_MAX_S):
        raise InvalidBreaker(f"wait={wait!r}: give seconds, up to an hour.", field="wait")


def _full(subject: str, places: int, wait_s: float) -> BulkheadFull:
    waited = f" for {wait_s:g} s" if wait_s else ""
    return BulkheadFull(
        f"{subject} is not called: {places} calls to it are under way in this process{waited}. "
        "Try again later, or allow more.",
        subject=subject,
        concurrency=places,
    )


class Bulkhead:
    """For threads."""

    __slots__ = ("_changed", "_queue", "subject", "taken")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.taken = 0
        """Calls that are under way."""
        self._changed = Condition()
        self._queue: deque[object] = deque()

    def enter(self, places: int, wait_s: float) -> None:
        """Take a place, if need be after a wait. Raises BulkheadFull."""
        mine = object()
        with self._changed:
            self._queue.append(mine)
            try:
                if not self._changed.wait_for(lambda: self._is_next(mine, places), wait_s):
                    raise _full(self.subject, places, wait_s)
                self.taken += 1
            finally:
                self._queue.remove(mine)
                self._changed.notify_all()

    def leave(self) -> None:
        """Give the place back."""
        with self._changed:
            self.taken -= 1
            self._changed.notify_all()

    def _is_next(self, mine: object, places: int) -> bool:
        return self._queue[0] is mine and self.taken < places


class AsyncBulkhead:
    """For one event loop."""

    __slots__ = ("_waiting", "subject", "taken")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.taken = 0
        """Calls that are under way."""
        self._waiting: deque[tuple[int, asyncio.Future[Any]]] = deque()

    async def enter(self, places: int, wait_s: float) -> None:
        """Take a place, if need be after a wait. Raises BulkheadFull."""
        if self.taken < places and not self._waiting:
            self.taken += 1
            return
        if not wait_s:
            raise _full(self.subject, places, wait_s)
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((places, turn))
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.taken -= 1  # it was given while we gave up
            else:
                with suppress(ValueError):  # it was passed over already
                    self._waiting.remove((places, turn))
            self._next()
            if isinstance(error, TimeoutError):
                raise _full(self.subject, places, wait_s) from None
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.taken -= 1
        self._next()

    def _next(self) -> None:
        """Whoever waits longest has the place, if there is one for it."""
        while self._waiting and self.taken < self._waiting[0][0]:
            _, turn = self._waiting.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
