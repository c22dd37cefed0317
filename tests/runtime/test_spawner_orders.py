"""What a running fleet is told, it does, and answers; no task notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.engine import keys
from coordq.errors import Conflict, CoordqError, FleetNotFound, InvalidOption
from coordq.fleet.spawners import answers_of, order
from tests.runtime.conftest import NewSpawned
from tests.runtime.fleet import started
from tests.runtime.spawned import GROUP, Spawned, events
from tests.waiting import wait_until

pytestmark = pytest.mark.live


@contextmanager
def busy(client: Client, lines: Path) -> Iterator[list[str]]:
    """Tasks of 20 ms, one after another, while the block runs; gives their ids."""
    ids: list[str] = []
    over = threading.Event()

    def produce() -> None:
        while not over.wait(0.01):
            args = {"path": str(lines), "number": len(ids)}
            ids.append(client.work.enqueue("quick", args).id)

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        yield ids
    finally:
        over.set()
        producer.join()


def test_a_rolling_restart_loses_no_task_and_runs_none_twice(
    spawn: NewSpawned, client: Client, tmp_path: Path
) -> None:
    """While tasks come and run all the time: each is done once, at its first attempt."""
    lines = tmp_path / "lines"
    fleet = spawn(GROUP + "workers = 2")
    fleet.wait_until_serving(times=2)
    before = {worker.name for worker in client.work.workers()}
    with busy(client, lines) as ids:
        wait_until(lines.exists, what="the first task")
        text, said = fleet.order(do="restart", group="web", rolling=True)

    tasks = [client.work.get(task_id) for task_id in ids if client.work.result(task_id, timeout=60)]
    assert text == "restarted: web"
    assert len(said) == 2, "one line for each worker that was replaced"
    assert before.isdisjoint({worker.name for worker in client.work.workers()})
    assert {(task.attempt, task.strikes) for task in tasks} <= {(1, 0)}
    ran = sorted(int(line) for line in lines.read_text().splitlines())
    assert ran == list(range(len(ids)))
    assert fleet.group()["restarts"] == 0, "none of it counts as a crash"


def test_a_replacement_that_does_not_serve_replaces_nobody(
    spawn: NewSpawned, client: Client
) -> None:
    """A deployment of broken code is broken off at the first worker, and the old one goes on."""
    fleet = spawn(GROUP)
    fleet.wait_until_serving()
    fleet.agents.write_text("raise RuntimeError('half an edit')")

    with pytest.raises(CoordqError, match=r"web\.1 ended before it served; the old one goes on"):
        fleet.order(do="restart", group="web", rolling=True)

    assert client.work.enqueue("echo", {"text": "still here"}).result(timeout=60) == "still here"
    assert len(fleet.workers()) == 2


def test_a_group_has_as_many_workers_as_it_was_told(
    spawn: NewSpawned, client: Client, tmp_path: Path
) -> None:
    """More, fewer, none, some again; what runs is finished first, and each answer is the end."""
    gate = tmp_path / "gate"
    fleet = spawn(GROUP)
    assert fleet.order(do="scale", sizes={"web": 2})[0] == "web has 2"
    assert len(client.work.workers()) == 2

    handles = client.work.enqueue_many([("gated", {"path": str(gate)})] * 2)
    wait_until(lambda: len(started(gate)) == 2, what="the starts")
    asked = threading.Thread(target=lambda: fleet.order(do="drain", group="web"))
    asked.start()
    fleet.wait_for("draining: TERM", times=2)
    gate.touch()
    asked.join(60)

    assert [handle.result(timeout=60) for handle in handles] == [1, 1]
    assert client.work.workers() == []
    assert fleet.group()["state"] == "drained"
    assert fleet.order(do="restart", group="")[0] == "restarted: none has a worker"
    assert fleet.order(do="scale", sizes={"web": 1})[0] == "web has 1"
    details = [detail for _, _, detail in events(client, "scaled")]
    assert details == ["1 -> 2: by order", "0 -> 1: by order"]


@pytest.fixture
def quiet(spawn: NewSpawned) -> Spawned:
    """A fleet with two groups and no worker: for what is about orders alone."""
    group = "targets = './tester.py'\n"
    return spawn(
        f"[groups.web]\n{group}workers = 0\n"
        f"[groups.auto]\n{group}queues = ['slow']\nmin = 0\nmax = 3\n",
        name="shop",
    )


def test_what_cannot_be_done_is_refused(quiet: Spawned) -> None:
    """With the error that says why; nothing is changed."""
    with pytest.raises(FleetNotFound, match="no group 'mail'; it has: web, auto"):
        quiet.order(do="drain", group="mail")
    with pytest.raises(FleetNotFound, match="no group 'mail'"):
        quiet.order(do="scale", sizes={"web": 1, "mail": 1})
    with pytest.raises(InvalidOption, match="between 0 and 3; 4 is not"):
        quiet.order(do="scale", sizes={"auto": 4})
    with pytest.raises(InvalidOption, match="from 0 to 256"):
        quiet.order(do="scale", sizes={"web": 257})
    with pytest.raises(InvalidOption, match="such as mail=4"):
        quiet.order(do="scale", sizes={})
    with pytest.raises(InvalidOption, match="scale, restart, drain and go down"):
        quiet.order(do="dance")

    assert [group["wanted"] for group in quiet.status()["groups"]] == [0, 0]
    assert quiet.workers() == []


def test_an_order_that_comes_twice_is_obeyed_once(quiet: Spawned, client: Client) -> None:
    """The reply to it may have been lost on the way; whoever gave it waits for one answer."""
    message = {"do": "drain", "group": "web", "id": "same"}
    for _ in range(2):
        assert client.engine.run(order("shop", message))
    quiet.order(do="drain", group="web")  # after both
    key = keys.inbox(keys.root(client.namespace, 0), answers_of("same"))
    wait_until(lambda: client.engine.execute(0, "LLEN", key) >= 2, what="both words of the first")
    answers = client.engine.execute(0, "LRANGE", key, 0, -1)

    assert [b'"say":"done"' in answer for answer in answers] == [False, True]


def test_nonsense_in_the_inbox_is_ignored(quiet: Spawned, client: Client) -> None:
    """A stranger's words change nothing, and end nothing."""
    key = keys.inbox(keys.root(client.namespace, 0), "fleet.shop")
    words = ("no json", "[]", '{"do": "scale", "sizes": 3}', '{"do": ["down"]}', "{}")
    client.engine.execute(0, "RPUSH", key, *words)

    assert quiet.order(do="drain", group="web")[0] == "drained: web"
    assert quiet.running


def test_a_fleet_that_is_told_to_go_down_ends(quiet: Spawned) -> None:
    """The answer comes when nobody is left; after that there is nobody to ask."""
    assert quiet.order(do="down")[0] == "down"
    assert quiet.wait() == 0
    with pytest.raises(FleetNotFound, match="No fleet runs"):
        quiet.order(do="down")


def test_a_group_that_was_drained_is_not_woken_by_work(spawn: NewSpawned, client: Client) -> None:
    """Who scales by itself also rests when it is told to; its neighbour wakes in the same look."""
    rule = "queues = ['slow']\nmin = 0\nmax = 1\nautoscale = { scale_up_age = '0.1s' }\n"
    fleet = spawn(f"{GROUP}{rule}{GROUP.replace('web', 'neighbour')}{rule}")
    fleet.order(do="drain", group="web")
    assert client.work.enqueue("echo", {"text": "x"}, queue="slow").result(timeout=60) == "x"

    assert {group for _, group, _ in events(client, "scaled")} == {"neighbour"}
    assert fleet.group()["state"] == "drained"


def test_one_group_is_changed_by_one_order_at_a_time(
    spawn: NewSpawned, client: Client, tmp_path: Path
) -> None:
    """A second is refused, except to drain or go down: that ends the first."""
    gate = tmp_path / "gate"
    fleet = spawn(GROUP)
    fleet.wait_until_serving()
    client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")
    refused: list[CoordqError] = []

    def restart() -> None:
        try:
            fleet.order(do="restart", group="web", rolling=True)
        except CoordqError as error:
            refused.append(error)

    first = threading.Thread(target=restart)
    first.start()
    wait_until(lambda: fleet.group()["state"] == "restarting")
    with pytest.raises(Conflict, match="web is restarting already"):
        fleet.order(do="scale", sizes={"web": 2})
    gate.touch()
    fleet.order(do="drain", group="web")
    first.join(60)

    assert not first.is_alive()
    assert [error.code for error in refused] in (["conflict"], [])
    assert client.work.workers() == []
