"""Tasks that wait for others without a flow: the order is all it means."""

from __future__ import annotations

import pytest

import coordq
from coordq import Client, Flow
from coordq.engine import keys
from coordq.errors import InvalidOption, OtherShard, TaskCancelled, TaskNotFound
from tests.client.hands import bury, succeed, take, take_one


def test_a_task_waits_for_others(client: Client) -> None:
    """`depends_on` takes handles and ids; the order is all it means."""
    first = client.work.enqueue("job")
    second = client.work.enqueue("job", depends_on=[first])
    third, fourth = client.work.enqueue_many([("job", None)] * 2, depends_on=[first.id, second])
    assert second.get().state == "waiting"
    assert client.work.why(third.id) == (
        f"It waits for 2 of 2 tasks to end: job {first.id} (ready), job {second.id} (waiting)."
    )

    succeed(client, take_one(client))
    held = take_one(client)
    assert held.id == second.id
    succeed(client, held)

    assert {one.id for one in take(client, want=5)} == {third.id, fourth.id}


def test_why_names_those_of_many_that_have_not_ended(client: Client) -> None:
    """Also of more than a record names: how many there are is counted."""
    done = [client.work.enqueue("job") for _ in range(2)]
    for _ in done:
        succeed(client, take_one(client))
    slow = client.work.enqueue("slow")
    take_one(client, "slow")
    first = client.work.enqueue("after", depends_on=[*done, slow])
    many = client.work.enqueue_many([("job", None)] * 120)
    last = client.work.enqueue("last", depends_on=many)

    said = client.work.why(first.id)
    assert said == f"It waits for 1 of 3 tasks to end: slow {slow.id} (running)."
    said = client.work.why(last.id)
    assert said.startswith(f"It waits for 120 of 120 tasks to end: job {many[0].id} (ready), job")
    assert said.endswith(" and 115 more.")
    assert last.get().spec.behind == tuple(one.id for one in many[:100])


def test_why_does_without_tasks_that_are_gone(client: Client) -> None:
    """A record that expired, or that somebody deleted, is no reason to fail."""
    first = client.work.enqueue("job")
    second = client.work.enqueue("job", depends_on=first)
    root = keys.root(client.namespace, 0)
    client.engine.execute(0, "DEL", keys.task(root, first.id))

    assert client.work.why(second.id) == "It waits for another task to end."


def test_why_does_without_a_flow_that_is_gone(client: Client) -> None:
    """As far as it can: the task is still there, its graph is not."""
    flow = Flow("gone")
    flow.chain("job", "job")
    view = client.flows.run(flow).get()
    client.engine.execute(0, "DEL", keys.flow(keys.root(client.namespace, 0), view.id))

    assert client.work.why(view.nodes[1].id) == "It waits for another task to end."


def test_a_task_ends_with_the_one_that_it_depends_on(client: Client) -> None:
    """It cannot wait for ever for one that has failed."""
    first = client.work.enqueue("job")
    second = client.work.enqueue("job", depends_on=first)

    bury(client, take_one(client))

    with pytest.raises(TaskCancelled, match="failed or was cancelled"):
        second.result(timeout=60)


def test_a_task_after_one_that_has_ended_starts_at_once(client: Client) -> None:
    """Whether it ends before or after the other is enqueued makes no difference."""
    first = client.work.enqueue("job")
    succeed(client, take_one(client))

    client.work.enqueue("job", depends_on=[first], delay=0)

    assert len(take(client)) == 1


def test_tasks_of_two_shards_cannot_wait_for_each_other(sharded_url: str) -> None:
    """No script can see both; a flow has all its tasks on one."""
    with coordq.connect(sharded_url) as client:
        ids = [coordq.new_id(0), coordq.new_id(1)]
        with pytest.raises(OtherShard, match="2 shards") as caught:
            client.work.enqueue("job", depends_on=ids)
        assert (caught.value.code, caught.value.exit_code) == ("other-shard", 2)
        assert caught.value.facts["ids"] == ids
        first = client.work.enqueue("job", id=coordq.new_id(2))

        assert client.work.enqueue("job", depends_on=[first]).id[9:11] == first.id[9:11]


def test_dependencies_that_cannot_be_are_refused(client: Client) -> None:
    """With nothing enqueued."""
    for bad in ("x", [], [7], 7, ["0" * 21]):
        with pytest.raises(InvalidOption):
            client.work.enqueue("job", depends_on=bad)
    for option in ({"unique": "a"}, {"at": 2_000_000_000}):
        with pytest.raises(InvalidOption, match=next(iter(option))):
            client.work.enqueue("job", depends_on=["0" * 22], **option)
    with pytest.raises(TaskNotFound, match="no task"):
        client.work.enqueue("job", depends_on=[coordq.new_id()])
    with pytest.raises(InvalidOption, match="all that enqueue_many"):
        client.work.enqueue_many([("job", None, {"depends_on": ["0" * 22]})])
    assert client.work.ls() == []
