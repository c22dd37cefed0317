"""connect_async(): the client for event loops."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any, Self

from coordq.client.agents_async import AsyncAgents
from coordq.client.breakers_async import AsyncBreakers
from coordq.client.bus_async import AsyncBus
from coordq.client.fleet_async import AsyncFleet
from coordq.client.flows_async import AsyncFlows
from coordq.client.limits_async import AsyncLimits
from coordq.client.routing_async import AsyncRouting
from coordq.client.schedules_async import AsyncSchedules
from coordq.client.sessions_async import AsyncSessions
from coordq.client.tenants_async import AsyncTenants
from coordq.client.topology_async import AsyncTopologyDoor
from coordq.client.work_async import AsyncTaskHandle, AsyncWork
from coordq.engine.aio import AsyncEngine, open_async_engine


class AsyncClient:
    """A namespace, for one event loop: FastAPI and friends."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.work = AsyncWork(engine)
        self.agents = AsyncAgents(engine)
        self.topology = AsyncTopologyDoor(engine, self.agents.directory)
        self.routing = AsyncRouting(engine, self.agents.directory)
        self.bus = AsyncBus(engine, self.routing, self.topology.view)
        self.fleet = AsyncFleet(engine)
        self.breakers = AsyncBreakers(engine)
        self.flows = AsyncFlows(engine)
        self.limits = AsyncLimits(engine)
        self.schedules = AsyncSchedules(engine, partial(AsyncTaskHandle, self.work))
        self.sessions = AsyncSessions(engine)
        self.tenants = AsyncTenants(engine)

    @property
    def namespace(self) -> str:
        """Which part of the Redis this is."""
        return self.engine.namespace

    async def close(self) -> None:
        """Send what is on its way and hang up."""
        await self.bus.close()
        await self.work.close()
        await self.flows.close()
        await self.breakers.flush()
        await self.engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Connecting:
    """A connection in the making: await it, or use it with `async with`."""

    def __init__(self, url: str | None, namespace: str | None, patience: float | None) -> None:
        self._url, self._namespace, self._patience = url, namespace, patience
        self._client: AsyncClient | None = None

    async def _open(self) -> AsyncClient:
        engine = await open_async_engine(
            self._url, namespace=self._namespace, patience_s=self._patience
        )
        return AsyncClient(engine)

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncClient:
        self._client = await self._open()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()


def connect_async(
    url: str | None = None, *, namespace: str | None = None, patience: float | None = 10.0
) -> Connecting:
    """Connect from an event loop: await this, or use it with `async with`.

    Arguments and errors are those of `coordq.connect`.
    """
    return Connecting(url, namespace, patience)
