"""What each agent has done is counted in the child, kept past its death, and told to the fleet."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.fleet.agents import AgentSummary
from coordq.runtime import shares
from coordq.runtime.ledger import SHARES, Ledger
from coordq.runtime.pulse import COUNTERS
from coordq.runtime.shares import Shares
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until

CREW = """
    import asyncio
    from pathlib import Path
    from coordq import Agent, Reject

    ada, bob = Agent("ada", role="critic"), Agent("bob")

    @ada.task
    async def praise() -> str:
        return "good"

    @ada.task(max_attempts=1)
    async def despair() -> None:
        raise Reject("no")

    @bob.task
    async def wait(path: str) -> None:
        while not Path(path).exists():
            await asyncio.sleep(0.02)
"""


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Where a child counts."""
    ledger = Ledger.create(slots=2, shards=3)
    yield ledger
    ledger.close()


def test_what_a_child_counts_its_parent_reads(ledger: Ledger) -> None:
    """By the agents' names, which only the child can load; slots and shards stay as they are."""
    kept = Shares([("ada", ["praise", "scold"]), ("bob", ["wait"])])
    ledger.confirm(2, 5)
    kept["praise"].succeeded += 2
    kept["scold"].failed += 1
    kept["scold"].worked_s += 1.5
    kept["coordq.expand"].succeeded += 1
    kept["never-heard-of"].failed += 1

    kept.note(ledger, ["wait", "wait", "praise"])

    read = shares.read(ledger, ["ada", "bob"])
    assert read == {
        "coordq": [1, 0, 0, 0],
        "ada": [2, 1, 1500, 1],
        "bob": [0, 0, 0, 2],
        "*": [0, 1, 0, 0],
    }
    assert shares.read(ledger, ["ada", "bob"], gone=True)["bob"] == [0, 0, 0, 0]
    assert (ledger.confirmed_ns(2), ledger.held()) == (5, [])


def test_who_runs_nothing_any_more_is_told_so(ledger: Ledger) -> None:
    """Each note says how it is now."""
    kept = Shares([("ada", ["praise"])])
    kept.note(ledger, ["praise"])

    kept.note(ledger, [])

    assert shares.read(ledger, ["ada"])["ada"] == [0, 0, 0, 0]


def test_very_many_agents_share_the_last_row(ledger: Ledger) -> None:
    """A beat must not grow without end; nothing that was done is left out."""
    agents = [(f"a{at}", [f"t{at}"]) for at in range(SHARES + 10)]
    kept = Shares(agents)
    for name, (task,) in agents:
        kept[task].succeeded += 1 + (name == "a3")

    kept.note(ledger, [])

    read = shares.read(ledger, [name for name, _ in agents])
    assert len(read) == SHARES
    assert (read["a3"][0], read["a29"][0], read["*"][0]) == (2, 1, 12)


def test_agents_of_one_name_are_one(ledger: Ledger) -> None:
    """Two files may both call theirs the same."""
    kept = Shares([("ada", ["praise"]), ("ada", ["scold"])])
    kept["praise"].succeeded += 1
    kept["scold"].succeeded += 1

    kept.note(ledger, [])

    assert shares.read(ledger, ["ada", "ada"])["ada"] == [2, 0, 0, 0]


def test_only_who_has_done_something_is_told() -> None:
    """A beat of a worker with thirty idle agents says nothing of them."""
    told = shares.told({"ada": [1, 0, 7, 0], "bob": [0, 0, 0, 0]})

    assert told == {"ada": {"succeeded": 1, "failed": 0, "worked_ms": 7, "running": 0}}


def agents(client: Client) -> dict[str, AgentSummary]:
    """What is known of each."""
    return {one.name: one for one in client.fleet.agents()}


def counts(client: Client, name: str) -> tuple[int, ...]:
    """Of an agent: how many runs succeeded and failed, how many it holds, how many have it."""
    one = agents(client).get(name)
    return () if one is None else (one.succeeded, one.failed, one.running, one.workers)


@pytest.mark.live
@pytest.mark.chaos
def test_the_fleet_knows_what_each_agent_has_done(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """On all workers, and over the death of a child."""
    (tmp_path / "crew.py").write_text(textwrap.dedent(CREW))
    crew = (str(tmp_path / "crew.py"),)
    how = {"beat_s": 0.2, "lease_s": 60, "concurrency": 4}
    fleets = [new_fleet(targets=crew, **how) for _ in range(2)]
    for _ in range(3):
        client.work.run("praise", wait_for=60)
    client.work.enqueue("despair")
    wait_until(lambda: counts(client, "ada") == (3, 1, 0, 2), what="the news of all that")
    for fleet in fleets:
        os.kill(fleet.children()[0], signal.SIGKILL)
    gate = tmp_path / "gate"
    waiting = client.work.enqueue("wait", {"path": str(gate)})
    wait_until(
        lambda: [one.name for one in client.fleet.agents() if one.running] == ["bob"],
        what="the one that waits",
    )

    gate.touch()
    waiting.result(timeout=60)
    client.work.run("praise", wait_for=60)

    wait_until(lambda: counts(client, "ada") == (4, 1, 0, 2), what="the news after the kill")
    wait_until(lambda: counts(client, "bob") == (1, 0, 0, 2), what="the end of the wait")
    ada, bob = agents(client)["ada"], agents(client)["bob"]
    assert (ada.roles, ada.workers, ada.uncounted) == (("critic",), 2, 0)
    assert (ada.failed, ada.success_percent) == (1, 80.0)
    assert (bob.running, bob.roles, bob.failed) == (0, (), 0)


def test_counting_makes_no_beat_dear() -> None:
    """What changes with every task may be told a few seconds late."""
    assert "by_agent" in COUNTERS
