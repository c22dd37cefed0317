"""A fleet file comes to life, survives what happens to its workers, and ends in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coordq.client.client import Client
from tests.runtime.conftest import NewSpawned
from tests.runtime.fleet import started
from tests.runtime.spawned import GROUP, Spawned, events
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.live

IDLE = '[groups.web]\ntargets = "./tester.py"\nworkers = 0\n'
"""A fleet that costs nothing: for what is about the spawner alone."""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What the running tasks of a test wait for."""
    return tmp_path / "gate"


def alive(pid: int) -> bool:
    """Whether a process is there; one of ours that is dead but not collected is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_group_serves_as_its_file_says(
    spawn: NewSpawned, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, folder, limits; the spawner's own flags are not its workers'. Then it ends."""
    monkeypatch.setenv("COORDQ_WORKER_ZONE", "the spawner's")
    fleet = spawn(f'name = "shop"\n{GROUP}environment.LEVEL = "high"\nlimits.nice = 7\n')
    fleet.wait_until_serving()
    about = client.work.enqueue("about").result(timeout=60)
    (view,) = client.work.workers()
    status = fleet.status()

    assert about == {"level": "high", "secret": None, "nice": 7, "folder": str(tmp_path)}
    assert view.name.startswith(f"shop.web.1.{fleet.workers()[0]}-")
    assert (status["name"], status["state"]) == ("shop", "running")
    wait_until(lambda: fleet.group()["state"] == "running")
    assert [worker["worker"] for worker in fleet.group()["workers"]] == [view.name]
    fleet.wait_for("web.1 | said by a handler")
    assert fleet.stop() == 0
    assert (client.work.workers(), fleet.status()) == ([], {})
    assert [event[0] for event in events(client, "started", "exited")] == ["started"]


@pytest.mark.chaos
@pytest.mark.parametrize("killed", ["tree", "parent"])
def test_a_killed_worker_is_replaced_and_its_tasks_are_back(
    spawn: NewSpawned, client: Client, gate: Path, killed: str
) -> None:
    """Long before its lease ends, since its exit is proof; what was given back is not run twice."""
    fleet = spawn(GROUP)
    fleet.wait_until_serving()
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    (pid,) = fleet.workers()
    (os.killpg if killed == "tree" else os.kill)(pid, signal.SIGKILL)
    wait_until(lambda: len(started(gate)) == 2, what="the second start")
    gate.touch()

    assert handle.result(timeout=60) == 1, "a crash costs no attempt"
    if killed == "tree":
        assert handle.get().strikes == 1, "but a strike, as it would after a lapse"
    assert not alive(started(gate)[0][0]), "nothing of the old one is left"
    wait_until(lambda: events(client, "exited"))
    ((_, subject, detail),) = events(client, "exited")
    assert f".{pid}-" in subject
    assert "was killed by SIGKILL" in detail
    wait_until(lambda: fleet.group()["restarts"] == 1)
    pids = [worker.info["pid"] for worker in client.work.workers()]
    assert pid not in pids, "nobody waits until it is suspected"
    assert fleet.group()["last_exit"] == "was killed by SIGKILL"


@pytest.mark.chaos
def test_a_worker_that_cannot_run_is_given_up(spawn: NewSpawned, client: Client) -> None:
    """After the budget; and when nothing is left that could run, the fleet ends with 1."""
    fleet = spawn(f"{IDLE}[groups.bad]\ntargets = 'no_such_module'\nrestart = {{ restarts = 1 }}")

    assert fleet.wait() == 1
    ((_, group, detail),) = events(client, "gave-up")
    assert group == "bad"
    assert detail == "place 1: ended 2 times within 60 s, the last one exited with 1"
    assert "no_such_module" in fleet.log()


@pytest.mark.chaos
def test_the_death_of_the_spawner_interrupts_nothing(
    spawn: NewSpawned, client: Client, gate: Path
) -> None:
    """Not even a handler that prints; its worker finishes, and ends by itself."""
    fleet = spawn(GROUP)
    fleet.wait_until_serving()
    handle = client.work.enqueue("chatty", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGKILL)
    fleet.wait()
    wait_until(lambda: _states(client) == ["draining"], what="the worker to drain")
    later = client.work.enqueue("echo", {"text": "not here"})
    gate.touch()

    assert handle.result(timeout=60) == "done"
    wait_until(lambda: not alive(fleet.workers()[0]), what="the worker's end")
    assert (handle.get().attempt, later.get().state) == (1, "ready")


def _states(client: Client) -> list[str]:
    return [worker.info["state"] for worker in client.work.workers()]


def test_the_second_term_gives_back_what_runs(
    spawn: NewSpawned, client: Client, gate: Path
) -> None:
    """As it does for a worker alone; the first lets it finish."""
    fleet = spawn(GROUP)
    fleet.wait_until_serving()
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    fleet.signal(signal.SIGTERM)
    wait_until(lambda: _states(client) == ["draining"])
    wait_until(lambda: fleet.status()["state"] == "draining")
    fleet.signal(signal.SIGTERM)

    assert fleet.wait() == 0
    assert (handle.get().state, handle.get().attempt, handle.get().strikes) == ("ready", 0, 0)


@pytest.mark.chaos
def test_quit_ends_everything_at_once(spawn: NewSpawned, client: Client, gate: Path) -> None:
    """What ran is back in its queue, and no task is blamed for it."""
    fleet = spawn(GROUP)
    fleet.wait_until_serving()
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")
    fleet.signal(signal.SIGQUIT)

    assert fleet.wait() == 1
    assert (handle.get().state, handle.get().strikes) == ("ready", 0)
    assert not alive(started(gate)[0][0])
    assert client.work.workers() == []


@pytest.mark.chaos
@pytest.mark.slow
def test_a_worker_that_does_not_end_is_ended(spawn: NewSpawned, client: Client, gate: Path) -> None:
    """Some seconds after it should have; a fleet goes down whatever has become of its workers."""
    fleet = spawn(GROUP + "limits.drain_timeout = 0")
    fleet.wait_until_serving()
    handle = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")
    os.killpg(fleet.workers()[0], signal.SIGSTOP)

    assert fleet.order(do="drain", group="web")[0] == "drained: web"
    assert not alive(fleet.workers()[0])
    wait_until(lambda: handle.get().state == "ready", what="what it held")
    assert handle.get().strikes == 0
    assert fleet.stop() == 0


def test_a_group_grows_and_shrinks_with_its_work(
    spawn: NewSpawned, client: Client, gate: Path
) -> None:
    """From nobody to two, and back to nobody; each step is an event with its reason."""
    fleet = spawn(
        f"{GROUP}queues = ['slow']\nmin = 0\nmax = 2\nconcurrency = 1\n"
        "autoscale = { scale_up_age = '0.1s', cooldown = '0.1s' }"
    )
    client.work.enqueue_many([("gated", {"path": str(gate)})] * 2, queue="slow")
    wait_until(lambda: len(started(gate)) == 2, what="two workers at work")
    gate.touch()
    wait_until(lambda: client.work.workers() == [], what="nobody")

    assert fleet.running
    wait_until(lambda: len(events(client, "scaled")) == 4, what="its last word")
    sizes = [detail.partition(":")[0] for _, _, detail in events(client, "scaled")]
    assert sizes == ["0 -> 1", "1 -> 2", "2 -> 1", "1 -> 0"]


def test_a_supervisor_runs_beside_the_groups(spawn: NewSpawned, client: Client) -> None:
    """It is watched as a worker is, handed over to its successor, and the last to go."""
    fleet = spawn("[supervisor]\nlease = '5s'")
    fleet.wait_until_serving()
    wait_until(lambda: events(client, "elected"))

    wait_until(
        lambda: [one["state"] for one in fleet.group("supervisor")["workers"]] == ["serving"],
        what="the fleet to say so",
    )
    assert fleet.order(do="restart", group="", rolling=True)[0] == "restarted: supervisor"
    wait_until(
        lambda: len({subject for _, subject, _ in events(client, "elected")}) == 2,
        what="its successor to lead",
    )
    assert fleet.stop() == 0
    kinds = [kind for kind, *_ in events(client, "elected", "resigned", "exited")]
    assert kinds[-1] == "resigned"
    assert "exited" not in kinds, "none of it was a crash"


@pytest.mark.chaos
def test_a_name_is_one_fleets_until_it_dies(
    spawn: NewSpawned, tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """Orders must reach one, so a second is refused; a dead one on this machine is no obstacle."""
    fleet = spawn(IDLE, name="shop")
    second = subprocess.run(fleet.command(), capture_output=True, text=True, check=False)
    assert second.returncode == 5
    assert f"A fleet called 'shop' runs already, on {os.uname().nodename}" in second.stderr

    fleet.signal(signal.SIGKILL)
    fleet.wait()
    with Spawned(tmp_path, redis_url, namespace, IDLE, name="shop") as third:
        wait_until(lambda: third.status()["pid"] == third.pid)


@pytest.mark.chaos
def test_a_redis_that_goes_away_ends_no_fleet(
    spawn: NewSpawned, new_server: Callable[..., Server]
) -> None:
    """It waits, and is known again as soon as Redis is back."""
    server = new_server()
    fleet = spawn(IDLE, url=server.url)
    server.stop()
    fleet.wait_for("Redis does not answer")
    server.restart()
    fleet.wait_for("Redis answers again")

    wait_until(lambda: fleet.status().get("state") == "running")
    assert fleet.stop() == 0


def test_a_file_that_is_wrong_starts_nothing(tmp_path: Path, namespace: str) -> None:
    """Exit code 2, before anything is connected to."""
    fleet = Spawned(tmp_path, "redis://127.0.0.1:1", namespace, IDLE + "concurency = 3")
    done = subprocess.run(fleet.command(), capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "[groups.web] concurency is not known; did you mean concurrency?" in done.stderr
    assert sys.executable not in done.stderr
