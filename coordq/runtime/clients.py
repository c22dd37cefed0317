"""The clients behind `ctx.client`: one for async handlers, one for sync ones, made when wanted."""

from __future__ import annotations

from threading import Lock
from typing import Any, Final

from coordq.client.client import Client
from coordq.client.client_async import AsyncClient
from coordq.engine.aio import AsyncEngine
from coordq.engine.connection import Engine

PATIENCE_S: Final = 10.0
"""A handler hears of a lost Redis after so long; the worker itself waits for ever."""


class Clients:
    """Makes clients of the worker's own namespace, from what its engine knows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._async: AsyncClient | None = None
        self._sync: Client | None = None
        self._lock = Lock()

    def get(self, asynchronous: bool, /) -> Any:  # noqa: FBT001 - the whole of the question
        """The client for async handlers, to be asked for on the loop, or the one for threads."""
        with self._lock:
            return self._get_async() if asynchronous else self._get_sync()

    def _get_async(self) -> AsyncClient:
        if self._async is None:
            known = self._engine
            engine = AsyncEngine(known.address, patience_s=PATIENCE_S, name="coordq:handler")
            engine.shards = known.shards  # the same namespace: nothing to be agreed on again
            self._async = AsyncClient(engine)
        return self._async

    def _get_sync(self) -> Client:
        if self._sync is None:
            known = self._engine
            engine = Engine(known.address, patience_s=PATIENCE_S, name="coordq:handler")
            engine.shards = known.shards
            self._sync = Client(engine)
        return self._sync

    async def close(self) -> None:
        """Hang up."""
        if self._async is not None:
            await self._async.close()
        if self._sync is not None:
            self._sync.close()
