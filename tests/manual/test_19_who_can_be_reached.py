"""Chapter 19. Who can be reached: the state of the fleet, and what you know better."""

from __future__ import annotations

import pytest

from coordq import Client
from coordq.errors import ReadOnly, Refused
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

agent = Agent("greeter")


@agent.task
async def greet(name: str) -> str:
    return f"Hello, {name}!"
"""


@pytest.mark.usefixtures("worker")
def test_the_fleet_has_a_status(client: Client, shell: Shell) -> None:
    """Who is how well, and whether work goes on; without a supervisor it is judged on the spot."""
    status = client.fleet.status()

    assert [one.health.value for one in status.workers] == ["healthy"]
    assert (status.standing.known, status.standing.reachable) == (1, 1)
    assert "no leader" in shell("fleet", "status")


@pytest.mark.usefixtures("worker")
def test_a_worker_that_beats_cannot_be_forgotten(client: Client) -> None:
    """`forget` is for machines that will not come back: their tasks go back at once."""
    (name,) = [one.name for one in client.fleet.status().workers]

    with pytest.raises(Refused, match="beats"):
        client.fleet.forget(name)


@pytest.mark.usefixtures("worker")
def test_all_new_work_can_be_stopped(client: Client, shell: Shell) -> None:
    """While Redis is moved, say. What runs is finished; who enqueues is told why not."""
    shell("fleet", "read-only", "on", "--reason", "Redis is moved")

    with pytest.raises(ReadOnly, match="Redis is moved"):
        client.work.enqueue("greet", {"name": "Ada"})
    waiting = client.work.enqueue("greet", {"name": "Bob"}, force=True)
    assert "read-only" in client.work.why(waiting.id)

    shell("fleet", "read-only", "off")
    assert waiting.result(timeout=60) == "Hello, Bob!"


def test_a_fleet_may_know_how_large_it_is(client: Client) -> None:
    """Then half of it knows itself for half, and `--on-minority` says what becomes of that."""
    client.fleet.expect(5)
    standing = client.fleet.status().standing
    client.fleet.expect(None)

    assert standing.minority
    assert (standing.known, standing.quorum) == (5, 3)


def test_what_an_operator_says_is_an_event(shell: Shell) -> None:
    """With the name of who said it."""
    shell("fleet", "read-only", "on", "--reason", "a drill")
    shell("fleet", "read-only", "off")

    wait_until(lambda: "a drill" in shell("events", "--kind", "read-only"))
