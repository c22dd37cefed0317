"""Processes die, freeze and hang; their work does not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.engine import keys
from coordq.work.claim import Ask, claim
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import started
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]

SHORT = {"beat_s": 0.3, "lease_s": 5.0}
"""Short enough to wait for, and longer than a machine stands still."""
LONG_S = 600.0
"""A lease that nothing here waits for."""


def events(client: Client, task_id: str) -> list[str]:
    """What happened to a task, in order."""
    return [event.kind for event in client.work.events() if event.subject == task_id]


# -- a child dies ---------------------------------------------------------------------------------


def test_the_work_of_a_killed_child_is_done_by_another_at_once(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Not after the lease, which is ten minutes here: the parent sees the death and gives back."""
    fleet = new_fleet(processes=2, concurrency=4, lease_s=LONG_S)
    gate = tmp_path / "gate"
    handles = client.work.enqueue_many([("gated", {"path": str(gate)})] * 4)
    wait_until(lambda: len(started(gate)) == 4, what="four starts")
    victim = started(gate)[0][0]
    held = sum(pid == victim for pid, _, _ in started(gate))

    fleet.signal(signal.SIGKILL, pid=victim)
    wait_until(lambda: len(started(gate)) >= 4 + held, what="the second starts")
    gate.touch()

    assert [handle.result(timeout=60) for handle in handles] == [1] * 4, "no attempt was spent"


def test_a_killed_child_is_replaced(new_fleet: NewFleet, client: Client) -> None:
    """A worker of four processes has four processes."""
    fleet = new_fleet()
    (first,) = fleet.children()

    fleet.signal(signal.SIGKILL, pid=first)
    fleet.wait_for("serves:", times=2)

    assert client.work.run("pid", timeout=10) == fleet.children()[1]


def test_nothing_is_lost_when_a_child_is_killed_under_load(
    new_fleet: NewFleet, client: Client
) -> None:
    """Claims on the wire, outcomes on the wire, a full ledger: all of it comes back."""
    fleet = new_fleet(processes=2, concurrency=20)
    handles = []
    for _ in range(6):
        handles += client.work.enqueue_many([("echo", {"text": "x"})] * 500)
    wait_until(lambda: client.work.queue("default").succeeded > 200, what="some successes")

    fleet.signal(signal.SIGKILL, pid=fleet.children()[0])

    wait_until(lambda: client.work.queue("default").succeeded == 3000, within=200, what="all done")
    stats = client.work.queue("default")
    assert (stats.ready, stats.running, stats.failed) == (0, 0, 0)


def test_a_task_that_kills_its_workers_becomes_a_dead_letter(
    new_fleet: NewFleet, client: Client
) -> None:
    """Three strikes; else one bad input would take the fleet down again and again."""
    new_fleet(concurrency=4)

    handle = client.work.enqueue("deadly")

    wait_until(lambda: handle.get().state == "failed", within=120, what="the third strike")
    assert handle.get().reason == "poison"


def test_tasks_that_stood_beside_a_deadly_one_survive(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """They share its first two deaths and then run one at a time: the guilty one is found alone."""
    new_fleet(concurrency=8)
    gate = tmp_path / "gate"
    innocent = client.work.enqueue_many([("gated", {"path": str(gate)})] * 5)
    wait_until(lambda: len(started(gate)) == 5, what="five starts")

    deadly = client.work.enqueue("deadly")
    wait_until(lambda: len(started(gate)) > 5, what="a start after the first death")
    gate.touch()

    wait_until(lambda: deadly.get().state == "failed", within=120, what="the third strike")
    assert [handle.result(timeout=60) for handle in innocent] == [1] * 5
    assert max(handle.get().strikes for handle in innocent) < 3


def test_a_handler_that_exits_costs_a_strike(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """os._exit(0) looks like a good end; a child that did not say good-bye did not mean it."""
    (tmp_path / "quitter.py").write_text(
        "import os\n"
        "from coordq.work.agent import Agent\n"
        "agent = Agent('quitter')\n"
        "@agent.task\n"
        "async def leave() -> None:\n"
        "    os._exit(0)\n"
    )
    new_fleet(targets=(str(tmp_path / "quitter.py"),))

    handle = client.work.enqueue("leave")

    wait_until(lambda: handle.get().state == "failed", within=120, what="the third strike")
    assert handle.get().reason == "poison"


# -- the parent dies ------------------------------------------------------------------------------


def test_an_orphan_gives_back_what_it_holds(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """After kill -9 of the parent nobody beats any more, so the child must not go on alone."""
    fleet = new_fleet()
    handle = client.work.enqueue("gated", {"path": str(tmp_path / "gate")})
    wait_until(lambda: started(tmp_path / "gate"), what="the start")

    fleet.signal(signal.SIGKILL)

    wait_until(lambda: handle.get().state == "ready", what="the task to be back")
    assert handle.get().attempt == 0
    assert "released" in events(client, handle.id)


def test_an_orphan_ends(new_fleet: NewFleet, client: Client, tmp_path: Path) -> None:
    """No stray processes, also when a handler in a thread does not listen."""
    fleet = new_fleet()
    (child,) = fleet.children()
    client.work.enqueue("blocking", {"path": str(tmp_path / "gate")})
    wait_until(lambda: started(tmp_path / "gate"), what="the start")

    fleet.signal(signal.SIGKILL)
    fleet.wait()

    wait_until(lambda: not _exists(child), what="the child's end")


def test_a_tree_killed_whole_costs_one_lease(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Power cut: nobody gives anything back, so the next worker takes it when the lease is over."""
    fleet = new_fleet(**SHORT)
    handle = client.work.enqueue("gated", {"path": str(tmp_path / "gate")})
    wait_until(lambda: started(tmp_path / "gate"), what="the start")
    other = new_fleet(**SHORT)

    fleet.signal_all(signal.SIGKILL)
    wait_until(lambda: len(started(tmp_path / "gate")) == 2, what="the second start")
    (tmp_path / "gate").touch()

    assert handle.result(timeout=60) == 1
    assert started(tmp_path / "gate")[1][0] in other.children()
    assert "lapsed" in events(client, handle.id)


# -- a process freezes ----------------------------------------------------------------------------


def test_who_wakes_after_the_lease_is_refused(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """SIGSTOP for two leases, then SIGCONT: somebody else has the task, and the events say so."""
    fleet = new_fleet(**SHORT)
    gate = tmp_path / "gate"
    handle = client.work.enqueue("blocking", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal_all(signal.SIGSTOP)
    new_fleet(**SHORT)
    wait_until(lambda: len(started(gate)) == 2, what="the start elsewhere")
    fleet.signal_all(signal.SIGCONT)

    wait_until(lambda: "refused" in events(client, handle.id), what="the refusal")
    gate.touch()
    assert handle.result(timeout=60) == "done"
    kinds = events(client, handle.id)
    assert kinds.count("succeeded") == 1
    assert "lapsed" in kinds


def test_a_blocked_child_keeps_its_leases(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """A handler that blocks the loop is slow, not dead: its lease goes on, and it runs once."""
    new_fleet(beat_s=0.3, lease_s=LONG_S)
    path = tmp_path / "rude"

    handle = client.work.enqueue("rude", {"path": str(path), "seconds": 200.0})
    wait_until(lambda: started(path), what="the start")
    first = _lapses_at(client)
    wait_until(lambda: _lapses_at(client) > first + 4_000, what="a lease that is seconds later")
    path.touch()

    assert handle.result(timeout=60) == "done"
    assert len(started(path)) == 1


def test_a_blocked_child_is_reported_as_stalled(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Somebody should know, though nothing is taken away from it."""
    fleet = new_fleet(stall_after_s=1.5)
    path = tmp_path / "rude"

    handle = client.work.enqueue("rude", {"path": str(path), "seconds": 200.0})
    fleet.wait_for("is stalled")

    wait_until(
        lambda: any(event.kind == "stalled" for event in client.work.events()),
        what="the event",
    )
    path.touch()
    assert handle.result(timeout=60) == "done"
    fleet.wait_for("moves again")


def test_a_stalled_child_is_killed_when_that_is_the_policy(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """stall_policy="kill": the other tasks of the child are worth more than the one that hangs."""
    fleet = new_fleet(stall_after_s=1.5, stall_policy="kill")
    (child,) = fleet.children()

    client.work.enqueue("rude", {"path": str(tmp_path / "rude"), "seconds": 200.0})

    wait_until(lambda: not _exists(child), what="the child's end")
    fleet.wait_for("serves:", times=2)


def test_a_handler_that_blocks_past_its_timeout_costs_only_itself(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Only the parent can enforce a timeout on a handler that never awaits."""
    fleet = new_fleet()
    (child,) = fleet.children()
    gate = tmp_path / "gate"
    beside = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    rude = {"path": str(tmp_path / "rude"), "seconds": 200.0}
    handle = client.work.enqueue("rude", rude, timeout=0.2)
    wait_until(lambda: not _exists(child), what="the child's end")
    gate.touch()

    assert beside.result(timeout=60) == 1
    assert beside.get().strikes == 0
    assert handle.get().strikes >= 1
    client.work.cancel(handle.id)


def test_a_claim_that_was_granted_but_never_received_comes_back(
    new_fleet: NewFleet, client: Client
) -> None:
    """The reply was on the wire when the child died; its claimant's name says what was granted.

    It is granted by an ask of ours, or by one that the child sent when it was stopped.
    """
    fleet = new_fleet(processes=1)
    (child,) = fleet.children()
    root = keys.root(client.namespace, 0)
    fleet.signal(signal.SIGSTOP, pid=child)
    handle = client.work.enqueue("echo", {"text": "x"})

    worker = client.engine.execute(0, "ZRANGE", keys.workers(root), 0, 0)[0].decode()
    ask = Ask(f"{worker}/0.0:a", "unseen", 1, "default", " echo ", 600_000)
    client.engine.run(claim(0, ask))
    assert handle.get().state == "running"
    fleet.signal(signal.SIGKILL, pid=child)

    assert handle.result(timeout=60) == "x"


def _exists(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _lapses_at(client: Client) -> float:
    """When the lease of the only claim is over, as things stand."""
    lease = keys.lease(keys.root(client.namespace, 0))
    return float(client.engine.execute(0, "ZRANGE", lease, 0, 0, "WITHSCORES")[1])
