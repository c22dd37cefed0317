"""Reading from the bus in causal order, on an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from coordq.bus.group import Group
from coordq.client import causal
from coordq.client.causal import CausalTray, InOrder
from coordq.client.delivery import Arrival
from coordq.client.drive import drive_async
from coordq.client.plan import BLOCK_S
from coordq.client.subscription_async import AsyncDelivery, AsyncSubscription
from coordq.engine import bus_keys, keys
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import CoordqError


class AsyncCausalSubscription(AsyncSubscription):
    """The only reader of a group, which is given each message after those that it comes after.

    What came early is held for as long as it waits.
    """

    _tray: CausalTray

    def __init__(
        self, engine: AsyncEngine, group: Group, reader: str, prefetch: int, wish: InOrder
    ) -> None:
        super().__init__(engine, group, reader, prefetch)
        self._wish = wish
        self._changed = asyncio.Event()
        self._tray = self._new_tray(group)

    def _new_tray(self, group: Group) -> CausalTray:
        reader, prefetch = self._tray.reader, self._tray.prefetch
        return CausalTray(group, reader, prefetch, wish=self._wish, shards=self._engine.shards)

    async def open(self) -> Self:
        """Make the group, and be its only reader. Raises Conflict when another one is."""
        if self._opened:
            return self
        begin = causal.begin(self._engine.shards, self.group, self._tray.reader)
        self._tray = self._new_tray(await drive_async(self._engine, begin))
        try:
            return await super().open()
        except BaseException:
            with suppress(CoordqError):
                await self._end()
            raise

    async def _end(self) -> None:
        end = causal.end(self._engine.shards, self.group, self._tray.reader)
        await drive_async(self._engine, end)

    def _start(self) -> None:
        fresh = not self._pumps
        super()._start()
        if fresh and self._pumps:
            self._pumps.append(asyncio.create_task(self._keep()))

    async def _keep(self) -> None:
        """Give up what was waited for too long, hold what lies here, stay alone."""
        try:
            while True:
                patience_s = self._tray.patience_s()
                wait_s = self._tray.beat_s() if patience_s is None else patience_s
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(wait_s, self._tray.beat_s())):
                        await self._changed.wait()
                self._changed.clear()
                self._tray.tend()
                if self._tray.beat_s() <= 0:
                    await drive_async(self._engine, self._tray.beat())
                await self._tell()
                if self._tray.arrived:
                    self._came.set()
        except Exception as error:  # noqa: BLE001 - whoever iterates raises it
            self._error = error
            self._came.set()

    async def _take(self, line: Line, shard: int) -> float:
        block_s = await super()._take(line, shard)
        wait_s = await self._look(line, shard)
        for other in self._tray.new_doubts():
            if other != shard:  # whoever takes there has to look, and may be waiting for a mark
                key = bus_keys.marker(keys.root(self._engine.namespace, other), self.group.name)
                with suppress(CoordqError):  # a mark is a hint
                    await self._engine.execute(other, "ZADD", key, "0", "1")
        if self._tray.arrived:
            self._came.set()
        self._changed.set()
        return min(block_s, wait_s)

    async def _look(self, line: Line, shard: int) -> float:
        """Ask where what is waited for may be; how soon to take again, in seconds."""
        wait_s, asked = BLOCK_S, set[str]()
        while True:
            # nothing that was taken here is on its way: whoever takes is who asks
            some = [each for each in self._tray.doubts().get(shard, ()) if each not in asked]
            if not some:
                return wait_s
            asked.update(some)
            again_s = self._tray.learn(await line.run(self._tray.ask_alone(shard, some)))
            wait_s = wait_s if again_s is None else min(wait_s, again_s)

    async def _tell(self) -> None:
        for event in self._tray.gaps():
            with suppress(CoordqError):  # who reads is marked; the event is for people
                await self._engine.run(event)

    async def _from_tray(self, most: int) -> list[AsyncDelivery]:
        self._tray.tend()
        return await super()._from_tray(most)

    def gave_back(self, arrival: Arrival) -> None:
        """It was not handled, and comes again."""
        super().gave_back(arrival)
        self._changed.set()

    async def close(self) -> None:
        """Give back what was not handed out, also what waits; a group of its own ends."""
        if self._closed:
            return
        await super().close()
        await self._tell()
        if self._opened:
            await self._end()
