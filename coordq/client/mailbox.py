"""One connection that hears of every task an async client waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from coordq.client.plans import chunks
from coordq.clock import monotonic
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import TaskNotFound, Unreachable
from coordq.ids import shard_of
from coordq.work import look
from coordq.work.task import Task

BLOCK_S: Final = 2.0
LOOK_EVERY_S: Final = 10.0
"""How often to look for oneself while letters keep coming: one may have been lost with a Redis."""
_Waiting = dict[str, list["asyncio.Future[Task]"]]


class Mailbox:
    """Futures by shard and task id; a listener per shard resolves them while anybody waits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.name = uuid4().hex[:12]
        self._engine = engine
        self._waiting: dict[int, _Waiting] = {}
        self._listeners: dict[int, asyncio.Task[None]] = {}
        self._closed = False

    def expect(self, task_id: str) -> asyncio.Future[Task]:
        """A future for the task's end, of this caller alone; a listener runs from now on.

        Raises Unreachable when the client was closed.
        """
        if self._closed:
            raise _closed(task_id)
        future: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        shard = shard_of(task_id)
        self._waiting.setdefault(shard, {}).setdefault(task_id, []).append(future)
        if shard not in self._listeners:
            self._listeners[shard] = asyncio.create_task(self._listen(shard))
        return future

    def forget(self, task_id: str, future: asyncio.Future[Task]) -> None:
        """Its caller no longer waits."""
        waiting = self._waiting[shard_of(task_id)]
        futures = waiting.get(task_id, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            waiting.pop(task_id, None)

    async def _listen(self, shard: int) -> None:
        waiting = self._waiting[shard]
        line = await self._engine.dedicated(shard)
        key = keys.mailbox(keys.root(self._engine.namespace, shard), self.name)
        look_at = monotonic() + LOOK_EVERY_S
        try:
            while waiting:
                reply = await line.block("BLPOP", key, timeout_s=BLOCK_S)
                if reply is not None:
                    self._deliver(waiting, *look.read_letter(reply[1]))
                if reply is None or monotonic() >= look_at:
                    await self._look(waiting)
                    look_at = monotonic() + LOOK_EVERY_S
        except Exception as error:  # noqa: BLE001 - the waiters raise it
            _fail(waiting, list(waiting), error)
        finally:
            del self._listeners[shard]  # before the line closes: who comes now starts a new one
            await line.close()

    async def _look(self, waiting: _Waiting) -> None:
        """Ask for those that wait: a letter may have been lost with a Redis."""
        for ids in chunks(list(waiting)):
            try:
                await self._ask(waiting, ids)
            except TaskNotFound:
                for task_id in ids:
                    await self._ask_one(waiting, task_id)

    async def _ask(self, waiting: _Waiting, ids: Sequence[str]) -> None:
        tasks = await self._engine.run(look.watch(ids, mailbox=self.name))
        for task_id, task in zip(ids, tasks, strict=True):
            if task is not None:
                self._deliver(waiting, task_id, task)

    async def _ask_one(self, waiting: _Waiting, task_id: str) -> None:
        try:
            await self._ask(waiting, [task_id])
        except TaskNotFound as error:
            _fail(waiting, [task_id], error)

    @staticmethod
    def _deliver(waiting: _Waiting, task_id: str, task: Task) -> None:
        for future in waiting.pop(task_id, []):
            if not future.done():
                future.set_result(task)

    async def close(self) -> None:
        """Stop listening; who still waits is told so."""
        self._closed = True
        listeners = list(self._listeners.values())
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        for waiting in self._waiting.values():
            for task_id in list(waiting):
                _fail(waiting, [task_id], _closed(task_id))


def _fail(waiting: _Waiting, ids: Sequence[str], error: Exception) -> None:
    for task_id in ids:
        for future in waiting.pop(task_id, []):
            if not future.done():
                future.set_exception(error)


def _closed(task_id: str) -> Unreachable:
    return Unreachable(
        f"The client was closed, and nobody listens for task {task_id} any more; it goes on.",
        id=task_id,
    )
