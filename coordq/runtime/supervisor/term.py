"""A term of office: while it lasts, its holder writes under its epoch."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from coordq.engine.aio import AsyncEngine
from coordq.engine.call import Call

T = TypeVar("T")


class Term:
    """From winning an election to losing it. Parts get one and write with its `epoch`."""

    def __init__(self, engine: AsyncEngine, *, name: str, epoch: int) -> None:
        self.engine = engine
        self.name = name
        """The supervisor that leads."""
        self.epoch = epoch
        """Goes into every write; scripts refuse an older one by raising Deposed."""
        self.reason = ""
        """Why it ended."""
        self._over = asyncio.Event()

    @property
    def shards(self) -> int:
        """How many shards the namespace has."""
        return self.engine.shards

    async def run(self, call: Call[T]) -> T:
        """Run a call. Raises Deposed when a script has seen a newer epoch, and as the engine."""
        return await self.engine.run(call)

    def end(self, reason: str) -> None:
        """It is over; said twice, the first reason counts."""
        if not self._over.is_set():
            self.reason = reason
            self._over.set()

    async def over(self) -> None:
        """Wait for its end."""
        await self._over.wait()
