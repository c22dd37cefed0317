"""A task that waits ends its run: it holds no slot, and goes on where the same call stands."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client, connect
from coordq.engine.aio import AsyncEngine
from coordq.ids import child_id, new_id
from coordq.work import answer
from coordq.work.agent import Agent
from coordq.work.context import Context
from coordq.work.middleware import Middleware
from coordq.work.task import Task
from tests.claims import claim_of, error_of, outcome_of
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import started
from tests.runtime.lasting import kinds, lasting
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]


def state_of(client: Client, task_id: str) -> str:
    """Where a task stands."""
    return client.work.get(task_id).state.value


def suspended(client: Client, task_id: str, *, times: int = 1) -> None:
    """Wait until a task has been suspended so often, and is."""
    wait_until(
        lambda: (
            state_of(client, task_id) == "suspended"
            and kinds(client, task_id).count("suspended") == times
        ),
        what="the suspension",
    )


def ended(client: Client, task_id: str) -> Task:
    """A task that has ended, well or not."""
    wait_until(lambda: client.work.get(task_id).state.ended, what="the end")
    return client.work.get(task_id)


def approve(client: Client, task_id: str, **said: Any) -> None:
    """Answer a task's question."""
    asked: Any = {"approved": True, "by": "ann"} | said
    client.engine.run(answer.answer(task_id, **asked))


def tell(client: Client, name: str, value: Any) -> None:
    """Send a signal."""
    client.engine.run(answer.signal(0, name, value, nonce=new_id()))


@pytest.mark.parametrize("task", ["parent", "sync_parent", "apart_parent"])
def test_one_slot_is_enough_for_a_task_and_the_children_that_it_waits_for(
    new_fleet: NewFleet, client: Client, tmp_path: Path, task: str
) -> None:
    """A suspended task holds none: else the children would wait for ever."""
    lasting(new_fleet, tmp_path, concurrency=1)

    handle = client.work.enqueue(task, {"texts": ["a", "b", "c"]})

    assert handle.result(timeout=60) == ["a", "b", "c"]
    assert (handle.get().attempt, handle.get().strikes) == (1, 0)
    assert "suspended" in kinds(client, handle.id)
    children = [child_id(handle.id, f"spawn.{n}") for n in (1, 2, 3)]
    assert [kinds(client, child).count("running") for child in children] == [1, 1, 1]


def test_a_handler_goes_on_at_each_wait_with_what_has_come(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """It is run again from its start, and what came before is not asked for again."""
    lasting(new_fleet, tmp_path)
    gate = tmp_path / "gate"
    handle = client.work.enqueue("patient", {"path": str(gate)})

    suspended(client, handle.id)
    approve(client, handle.id, value={"max": 3})
    suspended(client, handle.id, times=2)
    tell(client, "go", "now")

    assert handle.result(timeout=60) == [{"max": 3}, "now", 1]
    assert len(started(gate)) == 3


def test_a_suspended_task_survives_its_worker_and_its_redis(
    new_fleet: NewFleet, new_server: Callable[..., Server], namespace: str, tmp_path: Path
) -> None:
    """Nobody has to be there while nothing happens: what it waits for stands in the append file."""
    server = new_server(appendonly="yes", appendfsync="always")
    gate = tmp_path / "gate"
    with connect(server.url, namespace=namespace, patience=120) as client:
        fleet = lasting(new_fleet, tmp_path, url=server.url)
        handle = client.work.enqueue("patient", {"path": str(gate)})
        suspended(client, handle.id)
        fleet.signal_all(signal.SIGKILL)
        server.kill9()
        server.start()

        approve(client, handle.id, value=1)
        lasting(new_fleet, tmp_path, url=server.url)
        suspended(client, handle.id, times=2)
        tell(client, "go", 2)

        assert handle.result(timeout=60) == [1, 2, 1]


def test_nothing_that_waits_is_lost_when_processes_die_under_load(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Runs are cut off while they spawn, suspend and go on: each parent gets its own results."""
    fleet = lasting(new_fleet, tmp_path, processes=2, concurrency=10)
    texts = [[f"{parent}.{child}" for child in range(4)] for parent in range(40)]
    names = ["parent", "sync_parent"]
    handles = client.work.enqueue_many(
        [(names[at % 2], {"texts": each}) for at, each in enumerate(texts)]
    )

    for victim, some in zip(fleet.children(), (30, 60), strict=True):
        wait_until(partial(_succeeded, client, some), what=f"{some} successes")
        fleet.signal(signal.SIGKILL, pid=victim)
    fleet.wait_for("serves:", times=4)

    assert [handle.result(timeout=60) for handle in handles] == texts
    stats = client.work.queue("default")
    assert (stats.succeeded, stats.failed, stats.running, stats.ready) == (200, 0, 0, 0)


def _succeeded(client: Client, some: int) -> bool:
    return client.work.queue("default").succeeded > some


def test_a_rejection_and_a_timeout_are_errors_that_the_handler_may_catch(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Uncaught they fail the attempt like any other, and tell who said no."""
    lasting(new_fleet, tmp_path)
    rejected = client.work.enqueue("patient", {"path": str(tmp_path / "x")}, max_attempts=1)
    suspended(client, rejected.id)

    approve(client, rejected.id, approved=False, by="bob", note="too dear")

    assert client.work.run("impatient", wait_for=60) == "wait-expired"
    error = ended(client, rejected.id).error or {}
    assert error["type"] == "ApprovalRejected"
    assert "bob" in error["message"]
    assert "too dear" in error["message"]


def test_a_wait_for_a_task_may_have_a_timeout(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """The child goes on; who gave it up says so in every later run, and may wait for another."""
    lasting(new_fleet, tmp_path)
    handle = client.work.enqueue("hasty")

    assert handle.result(timeout=60) == ["wait-expired", "b"]
    suspended(client, child_id(handle.id, "spawn.1"))


def test_a_sleep_holds_no_slot_and_costs_no_attempt(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Two that sleep at once, in one slot, and a third task gets in between."""
    lasting(new_fleet, tmp_path, concurrency=1)
    sleepers = [client.work.enqueue("sleeper", {"seconds": 2}) for _ in range(2)]
    for handle in sleepers:
        wait_until(partial(_has_slept, client, handle.id), what="the sleep")

    assert client.work.run("echo", {"text": "between"}, wait_for=60) == "between"
    assert [handle.result(timeout=60) for handle in sleepers] == [1, 1]


def _has_slept(client: Client, task_id: str) -> bool:
    """Whether a task has been suspended; it may be over."""
    return "suspended" in kinds(client, task_id)


@pytest.mark.parametrize("task", ["greedy", "greedier", "sync_greedy"])
def test_a_handler_that_catches_its_suspension_gets_nowhere(
    new_fleet: NewFleet, client: Client, tmp_path: Path, task: str
) -> None:
    """What it returns or raises then does not count, and the context stands still."""
    fleet = lasting(new_fleet, tmp_path)
    gate = tmp_path / "gate"
    handle = client.work.enqueue(task, {"path": str(gate)} if task == "greedier" else {})

    suspended(client, handle.id)
    approve(client, handle.id, value="yes")

    assert handle.result(timeout=60) == "approved"
    assert len(started(gate)) == (task == "greedier")
    if task != "greedier":
        fleet.wait_for("caught what suspends it")


@pytest.mark.parametrize("task", ["together", "grouped"])
def test_waits_at_the_same_time_come_one_after_the_other(
    new_fleet: NewFleet, client: Client, tmp_path: Path, task: str
) -> None:
    """The first suspends the run; the second is asked when the first has come."""
    fleet = lasting(new_fleet, tmp_path)
    handle = client.work.enqueue(task)

    suspended(client, handle.id)
    approve(client, handle.id, value=1, key="a")
    suspended(client, handle.id, times=2)
    approve(client, handle.id, value=2, key="b")

    assert handle.result(timeout=60) == [1, 2]
    assert "caught what suspends it" not in fleet.log()


def test_failed_children_are_errors_or_values_as_was_asked(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """In the order of the ids; a single id gives a single result."""
    lasting(new_fleet, tmp_path)
    settled = client.work.enqueue("settled")
    unsettled = client.work.enqueue("unsettled")

    assert settled.result(timeout=60) == ["good", "task-failed", "good"]
    error = ended(client, unsettled.id).error or {}
    assert (error["type"], "ValueError: no" in error["message"]) == ("TaskFailed", True)


def test_a_task_that_waits_for_itself_is_a_dead_letter(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Not a task that is suspended for ever."""
    lasting(new_fleet, tmp_path)
    handle = client.work.enqueue("selfish")

    assert ended(client, handle.id).reason == "would-cycle"


def test_middleware_sees_a_suspended_run_as_such(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Neither a success nor a failure: a tracer closes its span and waits for the next run."""
    lasting(new_fleet, tmp_path)
    handle = client.work.enqueue("observed")
    suspended(client, handle.id)
    approve(client, handle.id, value="yes")
    handle.result(timeout=60)

    assert client.work.logs(handle.id) == [
        "after_run Suspended",
        "on_suspend approval ok",
        "approved by ann",
        "after_run NoneType",
    ]


def test_a_hook_of_a_sync_handler_cannot_block_the_loop() -> None:
    """Hooks run on the loop: what blocks there would wait for itself for ever."""

    class Asks(Middleware):
        def before_run(self, ctx: Context, args: Any) -> None:
            ctx.sleep(1)

    def noop() -> None: ...

    agent = Agent("a", middleware=[Asks()])
    task = agent.task(noop)

    def nobody() -> AsyncEngine:
        raise AssertionError("it was sent")

    error = error_of(outcome_of(agent, claim_of(task), engine=nobody))
    assert "on the event loop" in error["message"]


def test_a_wait_for_a_task_of_another_shard_fails_at_once(
    new_fleet: NewFleet, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It is a dead letter with a reason of its own: to try again would change nothing."""
    url = f"{redis_url}?ns={namespace}&shards=2"
    with connect(url) as client:
        lasting(new_fleet, tmp_path, url=url)
        far = client.work.enqueue("echo", {"text": "x"}, id=new_id(1))
        handle = client.work.enqueue("waiter", {"ids": [far.id]}, id=new_id(0))

        done = ended(client, handle.id)

        assert (done.state, done.attempt) == ("failed", 1)
        error = done.error or {}
        assert (error["type"], error["reason"]) == ("OtherShard", "other-shard")
