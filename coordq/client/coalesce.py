"""Many callers, one script call: enqueues of one event loop travel together.

While a call is on its way, what arrives meanwhile waits for the next one: immediate when idle,
batched under load. Nobody waits for a timer.
"""

from __future__ import annotations

import asyncio
from collections import deque

from coordq.engine.aio import AsyncEngine
from coordq.ids import shard_of
from coordq.work.enqueue import BULK_MAX, Order, Receipt, enqueue_many
from coordq.work.options import Kin

BYTES_MAX = 1024 * 1024
_Pending = tuple[Order, "asyncio.Future[Receipt]"]
_LaneKey = tuple[int, str, Kin]
"""Shard, mode, and what else orders must share to travel together."""


class Coalescer:
    """Collects orders by shard, mode, durability and force, and sends them.

    Orders that wait for a replica travel among themselves: one wait serves all of them, and nobody
    else has to wait.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._lanes: dict[_LaneKey, deque[_Pending]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, order: Order) -> asyncio.Future[Receipt]:
        """Send `order` with the next call; the future gives its receipt.

        Orders that ask to be refused travel as those that wait: a batch of strangers must not be
        refused as a whole. They come back `no_room`, and the caller decides.
        """
        mode = order.template.on_full
        mode = "wait" if mode == "refuse" else mode
        lane_key = shard_of(order.id), mode, order.template.kin
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        lane = self._lanes.get(lane_key)
        if lane is None:
            lane = self._lanes[lane_key] = deque([(order, future)])
            task = asyncio.create_task(self._flush(lane_key, lane))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            lane.append((order, future))
        return future

    async def _flush(self, lane_key: _LaneKey, lane: deque[_Pending]) -> None:
        """Send what is in the lane until nothing is; then the lane ends."""
        while lane:
            batch: list[_Pending] = []
            size = 0
            while lane and len(batch) < BULK_MAX and size < BYTES_MAX:
                order, future = lane.popleft()
                if future.cancelled():  # its caller gave up before it was sent
                    continue
                size += len(order.args)
                batch.append((order, future))
            if batch:
                await self._send(lane_key[1], batch)
        del self._lanes[lane_key]

    async def _send(self, mode: str, batch: list[_Pending]) -> None:
        orders = [order for order, _ in batch]
        try:
            receipts = await self._engine.run(enqueue_many(orders, on_full=mode))
        except BaseException as error:  # noqa: BLE001 - every caller gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), receipt in zip(batch, receipts, strict=True):
            if not future.done():
                future.set_result(receipt)

    async def close(self) -> None:
        """Send what is left."""
        if self._running:
            await asyncio.gather(*self._running, return_exceptions=True)
