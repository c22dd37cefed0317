"""A worker ends in stages, and none of them loses work or an attempt."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from coordq.client.client import Client
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet, started
from tests.waiting import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What the running tasks of a test wait for."""
    return tmp_path / "gate"


def test_term_lets_running_tasks_finish(new_fleet: NewFleet, client: Client, gate: Path) -> None:
    """A deployment is no reason to do work twice."""
    fleet = new_fleet(concurrency=2)
    running = client.work.enqueue_many([("gated", {"path": str(gate)})] * 2)
    wait_until(lambda: len(started(gate)) == 2, what="the starts")

    fleet.signal(signal.SIGTERM)
    wait_until(lambda: _states(client) == ["draining"], what="the children to be told as well")
    later = client.work.enqueue("echo", {"text": "not here"})
    gate.touch()

    assert fleet.wait() == 0
    assert [handle.result(timeout=60) for handle in running] == [1, 1]
    assert later.get().state == "ready", "a draining worker claims nothing"


def test_a_draining_worker_keeps_its_leases(
    new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """It beats until the last task has ended, or another worker would start it again."""
    fleet = new_fleet(beat_s=0.2, lease_s=2.5)
    new_fleet(beat_s=0.2, lease_s=2.5, concurrency=1)
    client.work.enqueue_many([("gated", {"path": str(gate)})] * 4)
    wait_until(lambda: len(started(gate)) == 4, what="the starts")

    fleet.signal(signal.SIGTERM)
    fleet.wait_for("draining")
    wait_until(lambda: _beats(fleet, client) >= 25, what="two leases' worth of beats")
    gate.touch()

    assert fleet.wait() == 0
    assert len(started(gate)) == 4


def test_the_second_term_gives_back_what_runs(
    new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """Who is in a hurry gets it at once, and the task gets its attempt back."""
    fleet = new_fleet()
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGTERM)
    fleet.wait_for("draining")
    fleet.signal(signal.SIGTERM)

    assert fleet.wait() == 0
    assert (handle.get().state, handle.get().attempt, handle.get().strikes) == ("ready", 0, 0)


def test_the_drain_timeout_gives_back_what_still_runs(
    new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """Orchestrators send KILL some time after TERM; by then the work must be somewhere else."""
    fleet = new_fleet(drain_timeout_s=0.3)
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGTERM)

    assert fleet.wait() == 0
    assert (handle.get().state, handle.get().attempt) == ("ready", 0)


def test_a_thread_that_does_not_stop_does_not_hold_the_worker(
    new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """Threads cannot be stopped; processes can. The task is back in its queue before that."""
    fleet = new_fleet(drain_timeout_s=0.2)
    handle = client.work.enqueue("blocking", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGTERM)

    assert fleet.wait() == 0
    assert (handle.get().state, handle.get().attempt) == ("ready", 0)


def test_quit_ends_everything_at_once(new_fleet: NewFleet, client: Client, gate: Path) -> None:
    """The parent kills its children and gives back what their ledgers say, without strikes."""
    fleet = new_fleet(processes=2)
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGQUIT)

    assert fleet.wait() == 1, "it was forced"
    assert (handle.get().state, handle.get().attempt, handle.get().strikes) == ("ready", 0, 0)


def test_ctrl_c_in_a_terminal_drains(new_fleet: NewFleet, client: Client, gate: Path) -> None:
    """A terminal sends INT to parent and children alike; only the parent may act on it."""
    fleet = new_fleet(processes=2)
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal_all(signal.SIGINT)
    fleet.wait_for("draining")
    gate.touch()

    assert fleet.wait() == 0
    assert handle.result(timeout=60) == 1
    assert "Traceback" not in fleet.log()


def test_a_child_that_is_told_to_end_is_replaced(
    new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """TERM to a child alone recycles it: it finishes what it holds while another takes over."""
    fleet = new_fleet()
    (child,) = fleet.children()
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGTERM, pid=child)
    fleet.wait_for("serves:", times=2)
    assert client.work.run("pid", timeout=10) == fleet.children()[1]
    gate.touch()

    assert handle.result(timeout=60) == 1


def _states(client: Client) -> list[str]:
    """What workers say of themselves; a parent says so after it has told its children."""
    return [worker.info["state"] for worker in client.work.workers()]


def _beats(fleet: Fleet, client: Client) -> int:
    """How often the worker has beaten since this was first asked."""
    from coordq.engine import keys

    key = keys.workers(keys.root(client.namespace, 0))
    rows = client.engine.execute(0, "ZRANGE", key, 0, -1, "WITHSCORES")
    names = [name.decode() for name in rows[::2]]
    at = next(i for i, name in enumerate(names) if f".{fleet.pid}-" in name)
    seen: set[float] = fleet.__dict__.setdefault("seen", set())
    seen.add(float(rows[2 * at + 1]))
    return len(seen)
