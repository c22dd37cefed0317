"""Rung whenever something has changed; whoever waits for a condition looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Bell:
    """One for a spawner and all of its groups."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Something has changed."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def rung(self) -> None:
        """Wait until something changes."""
        await self._rung.wait()

    async def until(self, condition: Callable[[], bool], *, timeout_s: float | None = None) -> bool:
        """Wait until a condition holds; false when it did not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    rung = self._rung  # before the look: the condition itself may ring
                    if condition():
                        return True
                    await rung.wait()
        except TimeoutError:
            return condition()
