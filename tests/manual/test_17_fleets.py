"""Chapter 17. Groups of workers: one file, one command, and they stay alive."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from coordq import Client
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

agent = Agent("parrot")


@agent.task
async def echo(text: str) -> str:
    return text
"""
FLEET = """
name = "birds"

[groups.parrots]
targets = ["./agents.py"]
workers = 1
restart = { restarts = 5, per = "1m", first = "100ms" }

[groups.owls]
targets = ["./agents.py"]
queues = ["night"]
min = 0
max = 2
"""


@pytest.fixture(scope="module", autouse=True)
def fleet(client: Client, shell: Shell) -> Iterator[None]:
    """`coordq fleet up` runs ./fleet.toml; `coordq fleet down` lets all finish, and ends it."""
    (shell.folder / "fleet.toml").write_text(FLEET)
    with shell.start("fleet", "up") as process:
        wait_until(lambda: client.work.workers() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        yield
        assert shell("fleet", "down").endswith("fleet birds: down")
        process.communicate(timeout=60)
        assert process.returncode == 0


def names(client: Client, group: str) -> list[str]:
    """The workers of a group: their names say to which they belong."""
    return [one.name for one in client.work.workers() if one.name.startswith(f"birds.{group}.")]


def test_a_mistake_in_the_file_is_answered_with_what_to_write(shell: Shell) -> None:
    """`--check` looks, and starts nothing."""
    (shell.folder / "wrong.toml").write_text(FLEET.replace("workers", "wrokers"))

    assert "parrots\t1\t-" in shell("fleet", "up", "--check")
    said = shell("fleet", "up", "wrong.toml", "--check", code=2)
    assert "[groups.parrots] wrokers is not known; did you mean workers?" in said


def test_a_group_has_as_many_workers_as_you_say(client: Client, shell: Shell) -> None:
    """The answer comes when they serve, or when those that were too many have finished."""
    assert shell("fleet", "scale", "parrots=2").endswith("fleet birds: parrots has 2")
    assert len(names(client, "parrots")) == 2

    shell("fleet", "scale", "parrots=1")
    assert len(names(client, "parrots")) == 1


def test_a_rolling_restart_is_not_noticed(client: Client, shell: Shell) -> None:
    """New code without a pause: each worker serves before its predecessor is told to end."""
    before = names(client, "parrots")
    handles = client.work.enqueue_many([("echo", {"text": str(n)}) for n in range(50)])
    shell("fleet", "restart", "parrots", "--rolling")

    assert set(before).isdisjoint(names(client, "parrots"))
    assert [handle.result(timeout=60) for handle in handles] == [str(n) for n in range(50)]


@pytest.mark.chaos
def test_a_worker_that_dies_is_replaced(client: Client) -> None:
    """At once the first time, slower each time after that, and at last not at all."""
    (old,) = [one for one in client.work.workers() if one.name in names(client, "parrots")]
    os.killpg(old.info["pid"], signal.SIGKILL)

    wait_until(lambda: [one for one in names(client, "parrots") if one != old.name])
    wait_until(lambda: any(event.kind == "exited" for event in client.work.events()))


def test_a_group_may_sleep_until_there_is_work(client: Client, shell: Shell) -> None:
    """With `min = 0` nobody is there; a task wakes a worker."""
    assert names(client, "owls") == []
    handle = client.work.enqueue("echo", {"text": "hoo"}, queue="night")

    assert handle.result(timeout=60) == "hoo"
    assert "owls" in shell("fleet", "status")
