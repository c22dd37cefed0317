"""One connection that hears the answers to everything that an async client asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from coordq.bus.reply import Reply, address, read_reply
from coordq.bus.topic import shard_of_channel
from coordq.client.plan import BLOCK_S
from coordq.engine import bus_keys, keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError, Unreachable


class Arrivals:
    """Replies to one question."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Reply | Exception] = asyncio.Queue()

    async def next(self, limit_s: float, too_late: Callable[[], CoordqError]) -> Reply:
        """The next reply within so many seconds. Raises what `too_late` gives."""
        try:
            async with asyncio.timeout(limit_s) as limit:
                found = await self.queue.get()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise too_late() from error
        if isinstance(found, Exception):
            raise found
        return found


class Replies:
    """Questions by id; a listener reads while anybody waits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._name = uuid4().hex[:16]
        self._shard = shard_of_channel(self._name, engine.shards)
        self._waiting: dict[str, Arrivals] = {}
        self._listener: asyncio.Task[None] | None = None
        self._after = "0"
        self._closed = False

    @property
    def address(self) -> str:
        """What stands in the envelope of a question."""
        return address(self._shard, self._name)

    @contextmanager
    def expect(self, ask: str) -> Iterator[Arrivals]:
        """Listen for answers to a question. Raises Unreachable when the client was closed."""
        if self._closed:
            raise Unreachable("The client was closed: nobody listens for answers.")
        arrivals = self._waiting[ask] = Arrivals()
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        try:
            yield arrivals
        finally:
            del self._waiting[ask]

    async def _listen(self) -> None:
        line = await self._engine.dedicated(self._shard)
        key = bus_keys.replies(keys.root(self._engine.namespace, self._shard), self._name)
        try:
            while self._waiting:
                block = int(BLOCK_S * 1000)
                read = await line.execute(
                    "XREAD", "BLOCK", block, "STREAMS", key, self._after, timeout_s=BLOCK_S
                )
                entries = read[0][1] if read else []
                for entry, fields in entries:
                    self._after = entry.decode()
                    self._deliver(read_reply(fields))
                if entries:
                    await line.execute("XDEL", key, *(entry for entry, _ in entries))
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            for arrivals in self._waiting.values():
                arrivals.queue.put_nowait(error)
        finally:
            self._listener = None  # before the line closes: who comes now starts a new one
            await line.close()

    def _deliver(self, reply: Reply | None) -> None:
        arrivals = self._waiting.get(reply.ask) if reply is not None else None
        if arrivals is not None and reply is not None:
            arrivals.queue.put_nowait(reply)

    async def close(self) -> None:
        """Stop listening; who still waits is told so."""
        self._closed = True
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        for arrivals in self._waiting.values():
            arrivals.queue.put_nowait(Unreachable("The client was closed while it waited."))
