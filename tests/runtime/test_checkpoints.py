"""A handler goes on where it was: what a checkpoint keeps, and through what."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.engine import keys
from coordq.work.backoff import Backoff
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import started
from tests.runtime.lasting import kinds, lasting
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]


@pytest.mark.parametrize("task", ["steps", "sync_steps"])
def test_a_run_that_was_killed_goes_on_after_its_last_checkpoint(
    new_fleet: NewFleet, client: Client, tmp_path: Path, task: str
) -> None:
    """A SIGKILL between a checkpoint and the end: the steps before it are not done again."""
    fleet = lasting(new_fleet, tmp_path)
    gate = tmp_path / "gate"
    handle = client.work.enqueue(task, {"path": str(gate)})
    wait_until(lambda: len(started(gate)) == 2, what="two steps")
    wait_until(lambda: _kept(client, handle.id) == b"[0,1]", what="the checkpoint")

    fleet.signal(signal.SIGKILL, pid=fleet.children()[0])
    fleet.wait_for("serves:", times=2)
    gate.touch()

    assert handle.result(timeout=60) == [0, 1, 2, 3]
    assert [step for _, _, step in started(gate)] == [0, 1, 2, 3]
    assert len({pid for pid, _, _ in started(gate)}) == 2


def _kept(client: Client, task_id: str) -> bytes | None:
    root = keys.root(client.namespace, 0)
    kept: bytes | None = client.engine.execute(0, "HGET", keys.saved(root, task_id), "state")
    return kept


def test_a_failed_attempt_leaves_its_checkpoint_to_the_next_also_in_a_process_of_its_own(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """The isolated process reaches Redis by itself, and is told what was kept."""
    lasting(new_fleet, tmp_path)

    result = client.work.run("apart", {"path": ""}, backoff=Backoff.fixed(0), wait_for=60)

    assert result == [{"first": 1}, 2]


@pytest.mark.parametrize("task", ["late", "sync_late", "apart_late"])
def test_a_checkpoint_of_a_lost_claim_stops_the_handler(
    new_fleet: NewFleet, client: Client, tmp_path: Path, task: str
) -> None:
    """Somebody else may have the task by now: what comes after the checkpoint is not done twice."""
    lasting(new_fleet, tmp_path)
    gate = tmp_path / "gate"
    handle = client.work.enqueue(task, {"path": str(gate)})
    ((_, _, fence),) = wait_until(lambda: started(gate), what="the start")
    lease = keys.lease(keys.root(client.namespace, 0))
    client.engine.execute(0, "ZREM", lease, f"{handle.id}|{fence}")

    gate.touch()

    wait_until(lambda: "refused" in kinds(client, handle.id), what="the refusal")
    assert [fence] == [last for _, _, last in started(gate)], "it did not get past the checkpoint"


def test_inputs_of_a_claim_come_before_its_arguments_are_checked(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """A real worker reads the records of parents, and hands over what they say."""
    lasting(new_fleet, tmp_path)
    first = client.work.enqueue("echo", {"text": "a"})
    second = client.work.enqueue("joined", {"parts": [1]})
    broken = client.work.enqueue("broken")
    for handle in (first, second):
        handle.result(timeout=60)
    wait_until(lambda: broken.get().state == "failed", what="the failure")

    refs = {"parts": [first.id, f"{broken.id}?"], "page": second.id, "why": f"{broken.id}!"}
    found = client.work.run("joined", {"$from": refs}, wait_for=60)

    assert found["parts"] == ["a", None]
    assert found["page"] == {"parts": [1], "page": None, "why": None}
    assert found["why"]["message"] == "no"


def test_an_input_that_is_gone_fails_the_task_at_once(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """No attempt could bring it back; the reason is for programs, the message names the task."""
    lasting(new_fleet, tmp_path)
    gone = client.work.enqueue("echo", {"text": "a"})
    gone.result(timeout=60)
    client.engine.execute(0, "DEL", keys.task(keys.root(client.namespace, 0), gone.id))

    handle = client.work.enqueue("joined", {"$from": {"parts": [gone.id]}})

    wait_until(lambda: handle.get().state == "failed", what="the end")
    assert (handle.get().reason, handle.get().attempt) == ("input-gone", 1)
    assert gone.id in (handle.get().error or {})["message"]
