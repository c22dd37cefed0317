"""Changing what is there: cancel, retry, dead letters, pauses, limits, purges, single claims."""

from __future__ import annotations

import pytest

import coordq
from coordq import Client, State
from coordq.errors import Conflict, InvalidOption, QueueNotFound, WorkerNotFound
from tests.client.hands import bury, succeed, take, take_one


def buried(client: Client, amount: int = 1, queue: str = "default") -> list[str]:
    """Ids of so many new dead letters."""
    ids = []
    for _ in range(amount):
        ids.append(client.work.enqueue("job", queue=queue).id)
        bury(client, take_one(client, queue=queue))
    return ids


def test_a_ready_task_is_cancelled_at_once(client: Client) -> None:
    """Nobody will run it any more, and its record says why."""
    handle = client.work.enqueue("job")
    answer = handle.cancel("obsolete")

    assert (answer.state, answer.requested) == (State.CANCELLED, False)
    assert take(client) == []
    assert (handle.get().error or {})["message"] == "obsolete"


def test_a_running_task_is_asked_to_stop(client: Client) -> None:
    """Its worker is told; until that answers, the task runs."""
    handle = client.work.enqueue("job")
    take_one(client)
    answer = handle.cancel()

    assert (answer.requested, answer.worker) == (True, "hands/0")
    assert handle.get().cancel_requested


def test_an_ended_task_stays_as_it_is(client: Client) -> None:
    """A cancel that comes too late says so, and changes nothing."""
    handle = client.work.enqueue("job")
    succeed(client, take_one(client), 1)

    assert handle.cancel().state is State.SUCCEEDED
    assert handle.result(timeout=1) == 1


def test_a_dead_letter_can_be_retried(client: Client) -> None:
    """Attempts and strikes start again from zero."""
    (dead,) = buried(client)
    task = client.work.retry(dead)

    assert (task.state, task.attempt, task.strikes) == (State.READY, 0, 0)
    assert client.work.dead() == []


def test_a_scheduled_task_can_be_had_now(client: Client) -> None:
    """retry() of a delayed task ends its delay."""
    handle = client.work.enqueue("job", delay=3600)

    assert client.work.retry(handle.id).state is State.READY
    assert take_one(client).id == handle.id


@pytest.mark.parametrize("state", ["ready", "running", "succeeded"])
def test_what_needs_no_retry_is_refused(client: Client, state: str) -> None:
    """Retrying a success would do it twice: that is a new task, not a retry."""
    handle = client.work.enqueue("job")
    if state != "ready":
        held = take_one(client)
        if state == "succeeded":
            succeed(client, held)

    with pytest.raises(Conflict) as caught:
        client.work.retry(handle.id)
    assert caught.value.state == state


def test_dead_letters_are_listed_newest_first(client: Client) -> None:
    """What broke last is what one looks for."""
    ids = buried(client, 3)

    assert [task.id for task in client.work.dead()] == ids[::-1]
    assert client.work.dead(queue="elsewhere") == []


def test_dead_letters_are_revived_by_id_and_by_filter(client: Client) -> None:
    """One of them, or all of a queue."""
    first, *_ = buried(client, 3, queue="mail")
    buried(client, 2, queue="other")

    assert client.work.revive(first) == 1
    assert client.work.revive(queue="mail") == 2
    assert {task.queue for task in client.work.dead()} == {"other"}


def test_reviving_what_is_not_dead_changes_nothing(client: Client) -> None:
    """Only dead letters count: a ready task in the list is passed over."""
    handle = client.work.enqueue("job")

    assert client.work.revive(handle.id) == 0
    assert handle.get().version == 1


def test_dead_letters_are_purged_by_age(client: Client) -> None:
    """`older_than` keeps what somebody may still want to look at."""
    buried(client, 2)

    assert client.work.purge_dead(older_than=3600) == 0
    assert client.work.purge_dead(everything=True) == 2
    assert client.work.stats().dead == 0


def test_a_paused_queue_gives_out_nothing(client: Client) -> None:
    """Producers go on, running tasks go on, nothing new starts; a resume ends that."""
    handle = client.work.enqueue("job")
    assert client.work.pause("default").paused
    assert take(client) == []

    assert not client.work.resume("default").paused
    assert take_one(client).id == handle.id


def test_a_limit_leaves_the_other_settings(client: Client) -> None:
    """None means "as it is", 0 means "none"."""
    client.work.limit("mail", high=10, max_bytes=1_000)
    client.work.pause("mail")
    queue = client.work.limit("mail", max_bytes=0)

    assert (queue.high, queue.max_bytes, queue.paused) == (10, 0, True)


def test_a_low_mark_above_the_high_one_is_refused(client: Client) -> None:
    """Such a queue would wake producers into a wall."""
    with pytest.raises(InvalidOption, match="above high"):
        client.work.limit("mail", high=10, low=20)


def test_a_purge_cancels_what_waits(client: Client) -> None:
    """Ready and scheduled tasks go, running ones stay; other queues are not touched."""
    client.work.enqueue_many([("job", {})] * 700, queue="mail")
    client.work.enqueue("job", queue="mail", delay=60)
    running = take_one(client, queue="mail")
    other = client.work.enqueue("job")

    assert client.work.purge("mail") == 700
    assert client.work.queue("mail").backlog == 0
    assert client.work.get(running.id).state is State.RUNNING
    assert other.get().state is State.READY


def test_purging_an_unknown_queue_is_an_error(client: Client) -> None:
    """Zero purged would hide a typing mistake."""
    with pytest.raises(QueueNotFound):
        client.work.purge("mial")


def test_a_browsed_task_can_be_taken(client: Client) -> None:
    """claim_one takes exactly the task that was seen, as it was seen."""
    seen = client.work.enqueue("job", {"n": 1}).get()
    held = client.work.claim_one(seen.id, version=seen.version, claimant="me")

    assert (held.id, held.attempt, held.args) == (seen.id, 1, b'{"n":1}')
    assert client.work.get(seen.id).worker == "me"


def test_a_task_that_moved_on_is_a_conflict(client: Client) -> None:
    """Who comes second learns how the task stands now."""
    seen = client.work.enqueue("job").get()
    client.work.claim_one(seen.id, version=seen.version, claimant="first")

    with pytest.raises(Conflict) as caught:
        client.work.claim_one(seen.id, version=seen.version, claimant="second")
    assert (caught.value.state, caught.value.version) == ("running", 2)


async def test_the_async_door_changes_alike(client: Client, url: str) -> None:
    """A walk through the verbs on the other door."""
    (dead,) = buried(client)
    async with coordq.connect_async(url) as aclient:
        work = aclient.work
        assert [task.id for task in await work.dead()] == [dead]
        assert await work.revive(dead) == 1
        assert (await work.pause("default")).paused
        assert not (await work.resume("default")).paused
        seen = await work.get(dead)
        held = await work.claim_one(dead, version=seen.version, claimant="me")
        assert (await work.cancel(held.id)).requested
        assert await work.purge("default") == 0
        assert [queue.name for queue in await work.queues()] == ["default"]
        assert await work.workers() == []


def test_only_live_workers_can_be_told(client: Client) -> None:
    """An order to a worker that is not there is an error, not a letter nobody reads."""
    with pytest.raises(WorkerNotFound, match="alive: none"):
        client.work.tell_worker("ghost", "drain")
    with pytest.raises(InvalidOption):
        client.work.tell_worker("ghost", "dance")
