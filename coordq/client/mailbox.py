"""One connection that hears of every task an async client waits for."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import uuid4

from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.ids import shard_of
from coordq.work import look
from coordq.work.task import Task

BLOCK_S: Final = 2.0


class Mailbox:
    """Futures by task id, resolved by a listener per shard that runs while anybody waits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.name = uuid4().hex[:12]
        self._engine = engine
        self._waiting: dict[str, asyncio.Future[Task]] = {}
        self._listeners: dict[int, asyncio.Task[None]] = {}

    def expect(self, task_id: str) -> asyncio.Future[Task]:
        """A future for the task's end; a listener runs from now on."""
        future = self._waiting.get(task_id)
        if future is None or future.done():
            future = self._waiting[task_id] = asyncio.get_running_loop().create_future()
        shard = shard_of(task_id)
        listener = self._listeners.get(shard)
        if listener is None or listener.done():
            self._listeners[shard] = asyncio.create_task(self._listen(shard))
        return future

    def forget(self, task_id: str) -> None:
        """Nobody waits for this task any more."""
        self._waiting.pop(task_id, None)

    def _on(self, shard: int) -> list[str]:
        return [task_id for task_id in self._waiting if shard_of(task_id) == shard]

    async def _listen(self, shard: int) -> None:
        line = await self._engine.dedicated(shard)
        key = keys.mailbox(keys.root(self._engine.namespace, shard), self.name)
        try:
            while self._on(shard):
                reply = await line.block("BLPOP", key, timeout_s=BLOCK_S)
                if reply is not None:
                    self._deliver(*look.read_letter(reply[1]))
                    continue
                # a letter may have been lost with a Redis: look for oneself now and then
                for task_id in self._on(shard):
                    await self._check(task_id)
        except Exception as error:  # noqa: BLE001 - the waiters raise it
            for task_id in self._on(shard):
                future = self._waiting[task_id]
                if not future.done():
                    future.set_exception(error)
        finally:
            await line.close()

    async def _check(self, task_id: str) -> None:
        try:
            (task,) = await self._engine.run(look.watch([task_id], mailbox=self.name))
        except Exception as error:  # noqa: BLE001 - the waiter raises it
            future = self._waiting.get(task_id)
            if future is not None and not future.done():
                future.set_exception(error)
        else:
            if task is not None:
                self._deliver(task_id, task)

    def _deliver(self, task_id: str, task: Task) -> None:
        future = self._waiting.get(task_id)
        if future is not None and not future.done():
            future.set_result(task)

    async def close(self) -> None:
        """Stop listening."""
        listeners = list(self._listeners.values())
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
