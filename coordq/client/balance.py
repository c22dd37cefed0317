"""Turns of a balancer: whose it is, and how it went.

    balance = client.routing.balance("two-choices", role="critic")
    with balance.turn() as agent:
        answer = client.bus.ask(agent.name, question)

What leaves the block as an Exception was a failure of the agent; an interrupt tells nothing of it.
"""

from __future__ import annotations

from types import TracebackType

from coordq.client.choice_plans import Pool
from coordq.client.drive import drive, drive_async
from coordq.clock import monotonic
from coordq.engine.aio import AsyncEngine
from coordq.engine.connection import Engine
from coordq.fleet.balance.balancer import Balancer
from coordq.fleet.directory import AgentView


class _Time:
    """One turn, from its beginning to its end."""

    def __init__(self, balancer: Balancer, name: str) -> None:
        self._balancer = balancer
        self._name = name
        self._began_s = monotonic()

    def end(self, kind: type[BaseException] | None) -> None:
        """How it went, by what left the block."""
        if kind is not None and not issubclass(kind, Exception):
            self._balancer.undo(self._name)
            return
        took_ms = (monotonic() - self._began_s) * 1000
        self._balancer.done(self._name, ms=took_ms, ok=kind is None)


class Turn:
    """`with balance.turn() as agent: ...`. Make a new one for each piece of work."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    def __enter__(self) -> AgentView:
        """Whose turn it is. Raises AgentNotFound when nobody fits, or all breakers are open."""
        agent = drive(self._engine, self._pool.pick())
        self._time = _Time(self._pool.balancer, agent.name)
        return agent

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The work is done, or has failed."""
        self._time.end(kind)


class AsyncTurn:
    """`async with balance.turn() as agent: ...`. Make a new one for each piece of work."""

    def __init__(self, engine: AsyncEngine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    async def __aenter__(self) -> AgentView:
        """Whose turn it is. Raises AgentNotFound when nobody fits, or all breakers are open."""
        agent = await drive_async(self._engine, self._pool.pick())
        self._time = _Time(self._pool.balancer, agent.name)
        return agent

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The work is done, or has failed."""
        self._time.end(kind)


class Balance:
    """A balancer over the agents that fit. Keep it: it learns from each turn. Thread-safe."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool
        self.balancer = pool.balancer

    def turn(self) -> Turn:
        """One piece of work for one of them; who they are is at most a second old."""
        return Turn(self._engine, self._pool)


class AsyncBalance:
    """A balancer over the agents that fit. Keep it: it learns from each turn."""

    def __init__(self, engine: AsyncEngine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool
        self.balancer = pool.balancer

    def turn(self) -> AsyncTurn:
        """One piece of work for one of them; who they are is at most a second old."""
        return AsyncTurn(self._engine, self._pool)
