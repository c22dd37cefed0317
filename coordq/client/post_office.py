"""Many publishers, one script call: messages of one event loop travel together.

While a call is on its way, what arrives meanwhile waits for the next one: at once when idle,
batched under load, and in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import uuid4

from coordq.bus.envelope import Parcel
from coordq.bus.publish import BATCH_BYTES, BATCH_MAX, Posted, publish
from coordq.bus.topic import shard_of_channel
from coordq.engine.aio import AsyncEngine

_Pending = tuple[Parcel, "asyncio.Future[Posted]"]
_Lane = tuple[int, str]
"""Shard and mode."""


class PostOffice:
    """Collects parcels by shard and mode, and sends them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._lanes: dict[_Lane, deque[_Pending]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, parcel: Parcel, mode: str) -> asyncio.Future[Posted]:
        """Send a parcel with the next call; the future says what became of it."""
        lane = shard_of_channel(parcel.channel, self._engine.shards), mode
        future: asyncio.Future[Posted] = asyncio.get_running_loop().create_future()
        pending = self._lanes.get(lane)
        if pending is None:
            pending = self._lanes[lane] = deque([(parcel, future)])
            task = asyncio.create_task(self._flush(lane, pending))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            pending.append((parcel, future))
        return future

    async def _flush(self, lane: _Lane, pending: deque[_Pending]) -> None:
        """Send what is in the lane until nothing is; then the lane ends."""
        while pending:
            batch: list[_Pending] = []
            size = 0
            while pending and len(batch) < BATCH_MAX and size < BATCH_BYTES:
                parcel, future = pending.popleft()
                if future.cancelled():  # its caller gave up before it was sent
                    continue
                size += len(parcel.body)
                batch.append((parcel, future))
            if batch:
                await self._send(lane, batch)
        del self._lanes[lane]

    async def _send(self, lane: _Lane, batch: list[_Pending]) -> None:
        shard, mode = lane
        call = publish(shard, [parcel for parcel, _ in batch], mode=mode, nonce=uuid4().hex)
        try:
            posted = await self._engine.run(call)
        except BaseException as error:  # noqa: BLE001 - every caller gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), what in zip(batch, posted, strict=True):
            if not future.done():
                future.set_result(what)

    async def close(self) -> None:
        """Send what is left."""
        if self._running:
            await asyncio.gather(*self._running, return_exceptions=True)
