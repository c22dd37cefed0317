"""One connection that hears of everything of a kind that an async client waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Generic, TypeVar
from uuid import uuid4

from coordq.client.letters import Letters
from coordq.client.plan import BLOCK_S, chunks
from coordq.clock import monotonic
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import NotFound, Unreachable
from coordq.ids import shard_of

T = TypeVar("T")
LOOK_EVERY_S: Final = 10.0
"""How often to look for oneself while letters keep coming: one may have been lost with a Redis."""
_Waiting = dict[str, list["asyncio.Future[T]"]]


class Mailbox(Generic[T]):
    """Futures by shard and id; a listener per shard resolves them while anybody waits."""

    def __init__(self, engine: AsyncEngine, letters: Letters[T]) -> None:
        self.name = uuid4().hex[:12]
        self.letters = letters
        self._engine = engine
        self._waiting: dict[int, _Waiting[T]] = {}
        self._listeners: dict[int, asyncio.Task[None]] = {}
        self._closed = False

    def expect(self, subject: str) -> asyncio.Future[T]:
        """A future for the end, of this caller alone; a listener runs from now on.

        Raises Unreachable when the client was closed.
        """
        if self._closed:
            raise _closed(self.letters.noun, subject)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        shard = shard_of(subject)
        self._waiting.setdefault(shard, {}).setdefault(subject, []).append(future)
        if shard not in self._listeners:
            self._listeners[shard] = asyncio.create_task(self._listen(shard))
        return future

    def forget(self, subject: str, future: asyncio.Future[T]) -> None:
        """Its caller no longer waits."""
        waiting = self._waiting[shard_of(subject)]
        futures = waiting.get(subject, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            waiting.pop(subject, None)

    async def _listen(self, shard: int) -> None:
        waiting = self._waiting[shard]
        line = await self._engine.dedicated(shard)
        key = keys.mailbox(keys.root(self._engine.namespace, shard), self.name)
        look_at = monotonic() + LOOK_EVERY_S
        try:
            while waiting:
                reply = await line.block("BLPOP", key, timeout_s=BLOCK_S)
                if reply is not None:
                    self._deliver(waiting, *self.letters.read(reply[1]))
                if reply is None or monotonic() >= look_at:
                    await self._look(waiting)
                    look_at = monotonic() + LOOK_EVERY_S
        except Exception as error:  # noqa: BLE001 - the waiters raise it
            _fail(waiting, list(waiting), error)
        finally:
            del self._listeners[shard]  # before the line closes: who comes now starts a new one
            await line.close()

    async def _look(self, waiting: _Waiting[T]) -> None:
        """Ask for those that wait: a letter may have been lost with a Redis."""
        for ids in chunks(list(waiting), self.letters.at_once):
            try:
                await self._ask(waiting, ids)
            except NotFound:
                for subject in ids:
                    await self._ask_one(waiting, subject)

    async def _ask(self, waiting: _Waiting[T], ids: Sequence[str]) -> None:
        found = await self._engine.run(self.letters.watch(ids, self.name))
        for subject, said in zip(ids, found, strict=True):
            if said is not None:
                self._deliver(waiting, subject, said)

    async def _ask_one(self, waiting: _Waiting[T], subject: str) -> None:
        try:
            await self._ask(waiting, [subject])
        except NotFound as error:
            _fail(waiting, [subject], error)

    @staticmethod
    def _deliver(waiting: _Waiting[T], subject: str, said: T) -> None:
        for future in waiting.pop(subject, []):
            if not future.done():
                future.set_result(said)

    async def wait(self, subject: str, timeout: float | None) -> T:
        """What becomes of `subject`, now or later. Raises NotFound, WaitTimeout, Unreachable."""
        future = self.expect(subject)
        try:
            (found,) = await self._engine.run(self.letters.watch([subject], self.name))
            if found is not None:
                said: T = found
                return said
            return await self.arrival(subject, future, timeout)
        finally:
            self.forget(subject, future)

    async def arrival(self, subject: str, future: asyncio.Future[T], timeout: float | None) -> T:
        """What the letter says, within `timeout` seconds. Raises WaitTimeout."""
        try:
            async with asyncio.timeout(timeout) as limit:
                return await future
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self.letters.too_late(subject, timeout or 0) from error
        finally:
            self.forget(subject, future)

    async def close(self) -> None:
        """Stop listening; who still waits is told so."""
        self._closed = True
        listeners = list(self._listeners.values())
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        for waiting in self._waiting.values():
            for subject in list(waiting):
                _fail(waiting, [subject], _closed(self.letters.noun, subject))


def _fail(waiting: _Waiting[T], ids: Sequence[str], error: Exception) -> None:
    for subject in ids:
        for future in waiting.pop(subject, []):
            if not future.done():
                future.set_exception(error)


def _closed(noun: str, subject: str) -> Unreachable:
    return Unreachable(
        f"The client was closed, and nobody listens for {noun} {subject} any more; it goes on.",
        id=subject,
    )
