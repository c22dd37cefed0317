"""The worker's side of the measurement: an agent that listens, and says when it heard what."""

from __future__ import annotations

from coordq import Agent
from coordq.interfaces.bench.noop import stamp

agent = Agent("hearer")


@agent.on("bench.*")
async def hears(i: int, payload: str = "", sent: float = 0.0) -> None:  # noqa: ARG001 - carried
    """Stamp slot `i` with the moment, or with how long it is since it was sent."""
    stamp(i, sent)


@agent.on("quiet.*")
async def waits(i: int) -> None:
    """Stamp slot `i`."""
    stamp(i)


@agent.on()
async def reads(i: int) -> None:
    """Stamp slot `i`."""
    stamp(i)
