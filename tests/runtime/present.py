"""Who is there: agents are registered a moment after their worker has started."""

from __future__ import annotations

from coordq.client.client import Client
from tests.waiting import wait_until


def state(client: Client, name: str) -> str:
    """How an agent stands; nothing before it is known."""
    return next((view.state for view in client.agents.ls() if view.name == name), "")


def serving(client: Client, *names: str) -> None:
    """Wait until these are."""
    wait_until(lambda: {state(client, name) for name in names} == {"serving"}, what="the agents")
