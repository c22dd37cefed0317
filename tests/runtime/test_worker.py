"""A worker from the outside: it serves, reports on itself, and ends when it should."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.engine import keys
from coordq.errors import InvalidName, InvalidOption, Unreachable
from coordq.runtime.start import run_worker
from coordq.runtime.worker import WorkerSettings
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet, started
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.live


def info(client: Client) -> dict[str, Any]:
    """What the only worker says of itself."""
    root = keys.root(client.namespace, 0)
    (name,) = client.engine.execute(0, "ZRANGE", keys.workers(root), 0, -1)
    text = client.engine.execute(0, "GET", keys.worker(root, name.decode()))
    facts: dict[str, Any] = json.loads(text)
    return facts


def test_a_task_is_run_and_its_result_is_kept(new_fleet: NewFleet, client: Client) -> None:
    """The whole way: enqueue, claim, run, finish, result."""
    new_fleet()

    assert client.work.run("echo", {"text": "hi"}, timeout=10) == "hi"


def test_work_is_shared_by_all_children(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Four processes that leave the work to one would be three too many."""
    fleet = new_fleet(processes=3, concurrency=4)
    gate = tmp_path / "gate"

    client.work.enqueue_many([("gated", {"path": str(gate)})] * 12)
    wait_until(lambda: len(started(gate)) == 12, what="twelve starts")
    pids = Counter(pid for pid, *_ in started(gate))
    gate.touch()

    assert pids == dict.fromkeys(fleet.children(), 4)


def test_concurrency_is_never_exceeded(new_fleet: NewFleet, client: Client, tmp_path: Path) -> None:
    """Whoever says --concurrency 3 has memory, or licences, for three."""
    new_fleet(concurrency=3)
    gate = tmp_path / "gate"

    handles = client.work.enqueue_many([("gated", {"path": str(gate)})] * 8)
    wait_until(lambda: len(started(gate)) == 3, what="three starts")
    running = client.work.queue("default").running
    gate.touch()
    for handle in handles:
        handle.result(timeout=60)

    assert running == 3


def test_a_sync_handler_does_not_hold_up_the_others(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Code that blocks runs in a thread; the loop goes on."""
    new_fleet()
    gate = tmp_path / "gate"
    slow = client.work.enqueue("blocking", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    assert client.work.run("echo", {"text": "meanwhile"}, timeout=10) == "meanwhile"

    gate.touch()
    assert slow.result(timeout=60) == "done"


def test_a_delayed_task_starts_when_it_is_due(new_fleet: NewFleet, client: Client) -> None:
    """A worker that blocks on its queues still wakes for what becomes due.

    Without that it would find it as well: two children block for eleven seconds at least.
    """
    new_fleet(processes=2)

    handle = client.work.enqueue("echo", {"text": "later"}, delay=0.3)

    assert handle.result(timeout=8) == "later"


def test_a_running_task_can_be_cancelled(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """The order reaches the handler through the worker's inbox, long before the next beat."""
    new_fleet(beat_s=200, lease_s=1000)
    handle = client.work.enqueue("gated", {"path": str(tmp_path / "gate")})
    wait_until(lambda: started(tmp_path / "gate"), what="the start")

    client.work.cancel(handle.id)

    wait_until(lambda: handle.get().state == "cancelled", what="the end")


def test_a_cancel_that_missed_the_inbox_comes_with_a_beat(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """The inbox is a short cut; the beat is the road."""
    new_fleet(beat_s=0.2, lease_s=5)
    handle = client.work.enqueue("gated", {"path": str(tmp_path / "gate")})
    wait_until(lambda: started(tmp_path / "gate"), what="the start")

    client.engine.execute(0, "SADD", keys.cancels(keys.root(client.namespace, 0)), handle.id)

    wait_until(lambda: handle.get().state == "cancelled", what="the end")


def test_what_a_task_said_is_there_when_it_has_ended(new_fleet: NewFleet, client: Client) -> None:
    """The last lines explain the failure; they must not arrive after the claim is gone."""
    new_fleet()

    handle = client.work.enqueue("talkative", {"lines": 450})
    handle.result(timeout=60)

    lines = [str(line) for line in client.work.logs(handle.id)]
    assert len(lines) == 450
    assert "line 449" in lines[-1]
    progress = client.work.progress(handle.id)
    assert progress is not None
    assert (progress["done"], progress["total"], progress["fraction"]) == (450, 450, 1.0)


def test_a_sync_handler_can_enqueue_more(new_fleet: NewFleet, client: Client) -> None:
    """ctx.client in a thread is a sync client of the worker's own namespace."""
    new_fleet()

    follower = client.work.run("delegating", {"text": "next"}, timeout=10)

    assert client.work.result(follower, timeout=60) == "next"


def test_a_worker_says_who_it_is_and_what_it_does(new_fleet: NewFleet, client: Client) -> None:
    """`coordq workers` and the supervisor know a fleet only by what it says."""
    fleet = new_fleet(processes=2, zone="rack-7", labels={"gpu": "no"}, beat_s=0.2, lease_s=2)

    def complete() -> bool:
        return len(info(client)["agents"]) == 1

    wait_until(complete, what="the agents")
    facts = info(client)

    assert facts["pid"] == fleet.pid
    assert facts["zone"] == "rack-7"
    assert facts["labels"] == {"gpu": "no"}
    assert facts["agents"][0]["name"] == "tester"
    assert "echo" in facts["agents"][0]["tasks"]
    assert sorted(child["pid"] for child in facts["children"]) == sorted(fleet.children())


def test_a_worker_that_ends_is_no_longer_listed(new_fleet: NewFleet, client: Client) -> None:
    """A fleet list with ghosts in it is worth nothing."""
    fleet = new_fleet()

    assert fleet.stop() == 0

    workers = keys.workers(keys.root(client.namespace, 0))
    assert client.engine.execute(0, "ZCARD", workers) == 0


# -- burst, recycling, reload ---------------------------------------------------------------------


def test_a_burst_worker_ends_when_nothing_is_left(
    tmp_path: Path, redis_url: str, client: Client
) -> None:
    """For cron jobs and CI: do what is there, then exit with 0."""
    handles = client.work.enqueue_many([("echo", {"text": "x"})] * 50)

    fleet = Fleet(tmp_path, redis_url, client.namespace, burst=True, processes=2)
    code = fleet.start().wait()

    assert code == 0
    assert all(handle.get().state == "succeeded" for handle in handles)


def test_a_burst_worker_waits_for_what_its_tasks_enqueue(
    tmp_path: Path, redis_url: str, client: Client
) -> None:
    """The last running task may have more to do: the burst is not over before that is done."""
    (tmp_path / "chain.py").write_text(
        "from coordq.work.agent import Agent\n"
        "from coordq.work.context import Context\n"
        "agent = Agent('chain')\n"
        "@agent.task\n"
        "async def step(ctx: Context, left: int) -> int:\n"
        "    if left:\n"
        "        await ctx.client.work.enqueue('step', {'left': left - 1})\n"
        "    return left\n"
    )
    client.work.enqueue("step", {"left": 20})

    target = str(tmp_path / "chain.py")
    settings = {"targets": (target,), "burst": True, "processes": 2}
    code = Fleet(tmp_path, redis_url, client.namespace, **settings).start().wait()

    assert code == 0
    assert client.work.queue("default").succeeded == 21


def test_a_child_is_replaced_after_so_many_tasks(new_fleet: NewFleet, client: Client) -> None:
    """--max-tasks bounds what a leaking library can do, and loses no task doing it."""
    fleet = new_fleet(max_tasks=10, concurrency=2)

    handles = client.work.enqueue_many([("pid", {})] * 40)
    pids = [handle.result(timeout=60) for handle in handles]

    assert max(pids.count(pid) for pid in pids) <= 10 + 2
    assert len(set(pids)) >= 3
    assert fleet.running


def test_a_child_that_grows_too_large_is_replaced(new_fleet: NewFleet) -> None:
    """--max-rss: every child is larger than one megabyte, so one retires at once."""
    fleet = new_fleet(max_rss_mb=1)

    fleet.wait_for("MiB of memory")
    fleet.wait_for("serves:", times=2)


def test_changed_code_is_used_without_a_restart(new_fleet: NewFleet, client: Client) -> None:
    """--reload: save the file, and the next task runs the new code."""
    fleet = new_fleet(reload=True)
    assert client.work.run("echo", {"text": "old"}, timeout=10) == "old"

    text = fleet.file.read_text()
    fleet.file.write_text(text.replace("return text\n", "return text.upper()\n"))
    fleet.wait_for("serves:", times=2)

    wait_until(lambda: client.work.run("echo", {"text": "new"}, timeout=10) == "NEW")


def test_code_that_is_broken_by_a_change_can_be_mended(new_fleet: NewFleet, client: Client) -> None:
    """A typo while --reload runs must not cost the worker."""
    fleet = new_fleet(reload=True)
    text = fleet.file.read_text()

    fleet.file.write_text(text + "\nthis is no python\n")
    fleet.wait_for("cannot load")
    fleet.file.write_text(text)

    fleet.wait_for("serves:", times=2)
    assert client.work.run("echo", {"text": "well"}, timeout=10) == "well"


# -- what goes wrong at the start -----------------------------------------------------------------


def test_code_that_cannot_be_loaded_is_reported_and_ends_the_worker(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """File, line and cause, once; not a traceback from each child, again and again."""
    (tmp_path / "tester.py").write_text("import os\nimport nonexistent_module\n")

    fleet = Fleet(tmp_path, redis_url, namespace, processes=2).start(ready=False)

    assert fleet.wait() == 1
    assert "tester.py:2" in fleet.log()
    assert "nonexistent_module" in fleet.log()
    assert "Traceback" not in fleet.log()


def test_children_that_die_before_they_serve_end_the_worker(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """A crash at import would otherwise be repeated for ever."""
    (tmp_path / "tester.py").write_text("import os\nos._exit(3)\n")

    fleet = Fleet(tmp_path, redis_url, namespace).start(ready=False)

    assert fleet.wait() == 1
    assert "no child ever served" in fleet.log()


def test_settings_no_worker_can_run_with_are_refused() -> None:
    """Found before anything is started, and named."""
    for wrong in (
        {"targets": ()},
        {"processes": 0},
        {"concurrency": 100_000},
        {"beat_s": 5.0, "lease_s": 10.0},
        {"stall_after_s": 0.0},
    ):
        with pytest.raises(InvalidOption):
            run_worker(WorkerSettings(**{"targets": ("x.py",), **wrong}))  # type: ignore[arg-type]
    with pytest.raises(InvalidName):
        run_worker(WorkerSettings(targets=("x.py",), queues=(("no spaces", 1),)))


def test_settings_survive_the_way_to_a_child() -> None:
    """A child that runs with other settings than its parent would be a riddle."""
    settings = WorkerSettings(targets=("a", "b"), queues=(("q", 2),), labels={"k": "v"})

    assert WorkerSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_a_worker_without_a_redis_says_so(tmp_path: Path, namespace: str) -> None:
    """Not a hang, not a crash loop: an error with an address in it."""
    fleet = Fleet(tmp_path, "redis://127.0.0.1:1", namespace).start(ready=False)

    assert fleet.wait() != 0
    assert Unreachable.__name__ in fleet.log()


# -- health and looks ------------------------------------------------------------------------------


def test_health_is_served_over_http(new_fleet: NewFleet) -> None:
    """Kubernetes and compose ask over HTTP, and believe the status code."""
    fleet = new_fleet(health_port=0)
    fleet.wait_for("health at http")
    url = fleet.log().split("health at ")[1].split("/healthz")[0]

    assert _get(f"{url}/healthz") == (200, True)
    assert _get(f"{url}/readyz") == (200, True)
    assert _get(f"{url}/other")[0] == 404


def test_a_draining_worker_is_healthy_but_not_ready(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """An orchestrator must neither send it work nor kill it for finishing what it has."""
    fleet = new_fleet(health_port=0)
    fleet.wait_for("health at http")
    url = fleet.log().split("health at ")[1].split("/healthz")[0]
    client.work.enqueue("gated", {"path": str(tmp_path / "gate")})
    wait_until(lambda: started(tmp_path / "gate"), what="the start")

    fleet.signal(signal.SIGTERM)
    fleet.wait_for("draining")

    assert _get(f"{url}/healthz")[0] == 200
    assert _get(f"{url}/readyz")[0] == 503
    (tmp_path / "gate").touch()
    assert fleet.wait() == 0


def test_a_health_port_that_is_taken_is_refused_before_anything_runs(
    tmp_path: Path, redis_url: str, redis_server: Server, namespace: str
) -> None:
    """Half a worker, without the checks that somebody relies on, is worse than none."""
    settings = {"health_port": redis_server.port}

    fleet = Fleet(tmp_path, redis_url, namespace, **settings).start(ready=False)

    assert fleet.wait() != 0
    assert InvalidOption.__name__ in fleet.log()
    assert "serves:" not in fleet.log()


def test_usr1_shows_what_every_thread_is_doing(new_fleet: NewFleet) -> None:
    """For a worker that hangs in production, without a debugger."""
    fleet = new_fleet()

    fleet.signal(signal.SIGUSR1)

    fleet.wait_for("most recent call first")


def test_log_lines_can_be_json(new_fleet: NewFleet) -> None:
    """For log collectors: every line parses, and says who spoke."""
    fleet = new_fleet(log_format="json", name="web")
    fleet.stop()

    lines = [json.loads(line) for line in fleet.log().splitlines()]

    assert {line["level"] for line in lines} <= {"info", "warning"}
    assert all(line["worker"].startswith(f"web.{fleet.pid}") for line in lines)


def _get(url: str) -> tuple[int, bool]:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310 - our own address
            return reply.status, json.load(reply)["healthy"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, False
