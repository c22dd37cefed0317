"""Turns of a balancer: whose it is, and how it went.

    balance = client.routing.balance("two-choices", role="critic")
    with balance.turn() as agent:
        answer = client.bus.ask(agent.name, question)

What leaves the block as an Exception was a failure of the agent; an interrupt tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

from coordq.clock import monotonic
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

    def __init__(self, balancer: Balancer, pick: Callable[[], AgentView]) -> None:
        self._balancer = balancer
        self._pick = pick

    def __enter__(self) -> AgentView:
        """Whose turn it is. Raises AgentNotFound when nobody fits, or all breakers are open."""
        agent = self._pick()
        self._time = _Time(self._balancer, agent.name)
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

    def __init__(self, balancer: Balancer, pick: Callable[[], Awaitable[AgentView]]) -> None:
        self._balancer = balancer
        self._pick = pick

    async def __aenter__(self) -> AgentView:
        """Whose turn it is. Raises AgentNotFound when nobody fits, or all breakers are open."""
        agent = await self._pick()
        self._time = _Time(self._balancer, agent.name)
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

    def __init__(self, balancer: Balancer, pick: Callable[[], AgentView]) -> None:
        self.balancer = balancer
        self._pick = pick

    def turn(self) -> Turn:
        """One piece of work for one of them; who they are is at most a second old."""
        return Turn(self.balancer, self._pick)


class AsyncBalance:
    """A balancer over the agents that fit. Keep it: it learns from each turn."""

    def __init__(self, balancer: Balancer, pick: Callable[[], Awaitable[AgentView]]) -> None:
        self.balancer = balancer
        self._pick = pick

    def turn(self) -> AsyncTurn:
        """One piece of work for one of them; who they are is at most a second old."""
        return AsyncTurn(self.balancer, self._pick)
