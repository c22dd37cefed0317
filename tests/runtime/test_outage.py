"""Redis goes away and comes back; workers keep calm and lose nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordq.client.client import Client, connect
from coordq.engine.scripts import load
from tests.proxy import LossyProxy
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import started
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """A server of this test's own that remembers everything over a kill -9."""
    return new_server(appendonly="yes", appendfsync="always")


@pytest.fixture
def client(server: Server, namespace: str) -> Iterator[Client]:
    """A client that waits longer than any outage here."""
    with connect(server.url, namespace=namespace, patience=120) as client:
        yield client


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What the running tasks of a test wait for."""
    return tmp_path / "gate"


def kinds(client: Client, task_id: str) -> list[str]:
    """What happened to a task, in order."""
    return [event.kind for event in client.work.events() if event.subject == task_id]


def test_a_restart_of_redis_does_not_touch_running_tasks(
    server: Server, new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """Nothing that runs is cancelled, started twice, or taken back because Redis was away."""
    fleet = new_fleet(server.url, lease_s=60)
    handles = client.work.enqueue_many([("gated", {"path": str(gate)})] * 3)
    wait_until(lambda: len(started(gate)) == 3, what="the starts")

    server.kill9()
    fleet.wait_for("does not answer")
    server.start()
    fleet.wait_for("answers again")
    gate.touch()

    assert [handle.result(timeout=60) for handle in handles] == [1, 1, 1]
    assert len(started(gate)) == 3
    assert not {"lapsed", "released", "crashed"} & set(kinds(client, handles[0].id))


def test_an_outcome_reached_during_an_outage_is_delivered_after_it(
    server: Server, new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """The work is done; that Redis was not there to hear of it is no reason to do it again."""
    fleet = new_fleet(server.url, lease_s=60)
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    server.kill9()
    fleet.wait_for("does not answer")
    gate.touch()
    server.start()

    assert handle.result(timeout=60) == 1
    assert len(started(gate)) == 1


def test_a_worker_takes_up_its_work_after_an_outage(
    server: Server, new_fleet: NewFleet, client: Client
) -> None:
    """Both the blocked wake-up and the beats must find their way back by themselves."""
    fleet = new_fleet(server.url, processes=2)

    server.kill9()
    fleet.wait_for("does not answer")
    server.start()

    assert client.work.run("echo", {"text": "back"}, timeout=20) == "back"


def test_a_long_outage_is_told_once(server: Server, new_fleet: NewFleet, client: Client) -> None:
    """One line when Redis is lost and one when it is back: a log is not a metronome."""
    fleet = new_fleet(server.url, beat_s=0.1, lease_s=30)

    server.kill9()
    fleet.wait_for("does not answer")
    wait_until(lambda: _is_quiet(fleet.log), within=60, what="two seconds of silence")
    server.start()
    fleet.wait_for("answers again")

    assert client.work.run("echo", {"text": "back"}, timeout=20) == "back"
    assert fleet.log().count("does not answer") == 1
    assert fleet.log().count("answers again") == 1


def test_an_outage_longer_than_a_lease_stops_what_runs_but_loses_nothing(
    server: Server, new_fleet: NewFleet, client: Client, gate: Path
) -> None:
    """Cut off for so long, a worker must assume that others have taken over, and let go."""
    fleet = new_fleet(server.url, beat_s=0.3, lease_s=3)
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    server.kill9()
    fleet.wait_for("cancelling what runs")
    server.start()
    wait_until(lambda: len(started(gate)) == 2, what="the second start")
    gate.touch()

    assert handle.result(timeout=60) == 1, "no attempt was spent"
    assert handle.get().strikes == 0, "nor a strike"


def test_a_worker_can_be_stopped_while_redis_is_away(server: Server, new_fleet: NewFleet) -> None:
    """An orchestrator that restarts everything must not hang on us."""
    fleet = new_fleet(server.url)

    server.kill9()
    fleet.wait_for("does not answer")

    assert fleet.stop() == 0


def _is_quiet(log: Callable[[], str]) -> bool:
    import time

    before = log()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if log() != before:
            return False
        time.sleep(0.05)
    return True


def test_a_worker_is_patient_when_it_starts(
    proxy: LossyProxy, new_fleet: NewFleet, namespace: str
) -> None:
    """A Redis that was just started may still be reading its file when it is first beaten to."""
    proxy.drop_request(load("work/beat").sha.encode(), times=10)

    new_fleet(proxy.url)

    with connect(proxy.url, namespace=namespace) as client:
        assert client.work.run("echo", {"text": "hi"}, wait_for=60) == "hi"
    assert proxy.dropped == 10
