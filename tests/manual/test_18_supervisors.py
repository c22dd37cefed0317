"""Chapter 18. Somebody watches: supervisors, of which one leads and any may die."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from coordq import Client
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

agent = Agent("greeter")


@agent.task
async def greet(name: str) -> str:
    return f"Hello, {name}!"
"""
Supervise = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def supervise(shell: Shell, client: Client) -> Iterator[Supervise]:
    """Start a `coordq supervisor`, and wait until it is there."""
    with ExitStack() as running:

        def start(*flags: str) -> subprocess.Popen[str]:
            known = len(client.fleet.status().supervisors)
            process = running.enter_context(shell.start("supervisor", *flags))
            running.callback(process.terminate)
            wait_until(lambda: len(client.fleet.status().supervisors) > known, within=60)
            return process

        yield start
    wait_until(lambda: not client.fleet.status().supervisors, within=60)


def leader_pid(client: Client) -> int | None:
    """The process that leads."""
    status = client.fleet.status()
    pids = {one.name: one.info["pid"] for one in status.supervisors}
    return None if status.leader is None else pids.get(status.leader.name)


def test_of_several_supervisors_one_leads(client: Client, supervise: Supervise) -> None:
    """Run two or three of them, on machines of their own; the others stand by."""
    first, second = supervise("--leader-lease", "1m"), supervise("--leader-lease", "1m")

    status = client.fleet.status()

    assert leader_pid(client) == first.pid
    assert {one.info["pid"] for one in status.supervisors} == {first.pid, second.pid}


def test_one_that_is_told_to_end_hands_over_at_once(client: Client, supervise: Supervise) -> None:
    """A new version is rolled out one by one, and nobody notices."""
    first, second = supervise("--leader-lease", "1m"), supervise("--leader-lease", "1m")

    first.terminate()

    wait_until(lambda: leader_pid(client) == second.pid, within=60)
    assert first.wait(60) == 0


def test_one_that_is_killed_is_followed_when_its_lease_ends(
    client: Client, shell: Shell, supervise: Supervise
) -> None:
    """3 s unless `--leader-lease` says otherwise; `coordq events` tells what happened."""
    first, second = supervise("--leader-lease", "1s"), supervise("--leader-lease", "1s")

    first.kill()

    wait_until(lambda: leader_pid(client) == second.pid, within=60)
    assert "went silent" in shell("events", "--kind", "elected")


def test_the_leader_makes_tasks_ready_when_they_are_due(
    client: Client, supervise: Supervise
) -> None:
    """Also while no worker is there to do so: the next that comes finds them in their place."""
    handle = client.work.enqueue("greet", {"name": "Ada"}, delay=0.2)

    supervise()

    wait_until(lambda: client.work.get(handle.id).state == "ready", within=60)


@pytest.mark.usefixtures("worker")
def test_work_is_done_without_any_supervisor(client: Client) -> None:
    """It makes things prompt, not correct: workers recover and forward as well."""
    assert client.fleet.status().leader is None

    handle = client.work.enqueue("greet", {"name": "Eve"}, delay=0.2)

    assert handle.result(timeout=60) == "Hello, Eve!"
