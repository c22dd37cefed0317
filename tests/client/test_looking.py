"""Looking at tasks, queues and events from the client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

import coordq
from coordq import Client, State
from coordq.engine import keys
from coordq.errors import ForeignData, InvalidOption, QueueNotFound, TaskNotFound
from tests.client.hands import bury, end, say, succeed, take_one


@pytest.fixture
def gallery(client: Client) -> dict[str, str]:
    """A task in each state that can be listed, by the state's name."""
    ids = {}
    for state in ("succeeded", "failed", "running"):
        ids[state] = client.work.enqueue("job", {"state": state}).id
        held = take_one(client)
        if state == "succeeded":
            succeed(client, held, 1)
        if state == "failed":
            bury(client, held)
    ids["ready"] = client.work.enqueue("other", queue="mail").id
    ids["scheduled"] = client.work.enqueue("job", delay=3600).id
    ids["cancelled"] = client.work.enqueue("job").id
    client.work.cancel(ids["cancelled"])
    ids["waiting"] = client.work.enqueue("job", depends_on=ids["scheduled"]).id
    flow = coordq.Flow("asks")
    flow.approval("ok")
    ids["suspended"] = client.flows.run(flow).get().nodes[0].id
    return ids


@pytest.mark.parametrize("state", [state.value for state in State])
def test_tasks_are_listed_by_state(client: Client, gallery: dict[str, str], state: str) -> None:
    """`ls(state=...)` takes a State or its name."""
    assert [task.id for task in client.work.ls(state=state)] == [gallery[state]]
    assert [task.state for task in client.work.ls(state=State(state))] == [State(state)]


def test_tasks_are_listed_over_all_states(client: Client, gallery: dict[str, str]) -> None:
    """Without a state, `ls` shows what runs first and what has ended last."""
    listed = [task.state.value for task in client.work.ls()]

    assert sorted(listed) == sorted(gallery)
    assert listed[:2] == ["running", "suspended"]
    assert listed[-3:] == ["failed", "succeeded", "cancelled"]


def test_tasks_are_listed_by_queue_and_name(client: Client, gallery: dict[str, str]) -> None:
    """Filters narrow a list; together they narrow it further."""
    work = client.work

    assert [task.id for task in work.ls(queue="mail")] == [gallery["ready"]]
    assert [task.id for task in work.ls(name="other")] == [gallery["ready"]]
    assert work.ls(queue="mail", name="job") == []


def test_a_list_is_limited(client: Client) -> None:
    """`limit` bounds the answer, also over more than one page."""
    client.work.enqueue_many([("job", {"n": n}) for n in range(700)])

    assert len(client.work.ls(limit=3)) == 3
    assert len(client.work.ls(limit=650)) == 650
    assert client.work.ls(limit=0) == []


def test_a_filter_looks_behind_the_first_page(client: Client) -> None:
    """A rare name is found behind 600 others."""
    client.work.enqueue_many([("job", {})] * 600)
    rare = client.work.enqueue("rare")

    assert [task.id for task in client.work.ls(name="rare", limit=1)] == [rare.id]


def test_get_shows_one_task(client: Client) -> None:
    """A task carries what was asked for and how it stands."""
    handle = client.work.enqueue("job", {"n": 1}, priority="high", max_attempts=7)
    task = handle.get()

    assert (task.id, task.name, task.queue, task.args) == (handle.id, "job", "default", {"n": 1})
    assert (task.state, task.priority, task.max_attempts) == (State.READY, "high", 7)
    assert (task.attempt, task.fence, task.version, task.position) == (0, 0, 1, 0)


def test_get_shows_a_running_task(client: Client) -> None:
    """While it runs: by whom, under which fence, for how much longer."""
    handle = client.work.enqueue("job")
    held = take_one(client)
    task = handle.get()

    assert (task.state, task.attempt, task.fence) == (State.RUNNING, 1, held.fence)
    assert task.worker == "hands/0"
    assert 0 < (task.lease_left_ms or 0) <= 10_000


def test_a_task_is_plain_json(client: Client) -> None:
    """`to_json` is what `--json` prints."""
    task = client.work.enqueue("job", {"n": 1}, role="reader", capabilities={"http"}).get()
    shown = task.to_json()

    assert (shown["state"], shown["role"], shown["capabilities"]) == ("ready", "reader", ["http"])


def test_an_unknown_task_is_not_found(client: Client) -> None:
    """The same error for ids that never were and ids whose record has expired."""
    for look in (client.work.get, client.work.why, client.work.cancel, client.work.retry):
        with pytest.raises(TaskNotFound):
            look(coordq.new_id())


def test_progress_and_log_are_seen_while_it_runs(client: Client) -> None:
    """A task says how far it is, and what it does."""
    handle = client.work.enqueue("job")
    held = take_one(client)
    say(client, held, "one", "two", progress={"done": 1, "total": 4, "message": "first"})

    assert client.work.logs(handle.id) == ["one", "two"]
    progress = client.work.progress(handle.id)
    assert progress is not None
    assert (progress["done"], progress["total"]) == (1, 4)


def test_a_task_that_said_nothing_has_no_progress(client: Client) -> None:
    """None, not an invented zero."""
    handle = client.work.enqueue("job")

    assert client.work.progress(handle.id) is None
    assert client.work.logs(handle.id) == []


def test_stats_add_up(client: Client, gallery: dict[str, str]) -> None:
    """The overview counts each task once."""
    assert len(gallery) == 8
    stats = client.work.stats()

    assert (stats.running, stats.dead, stats.done, stats.due) == (1, 1, 2, 1)
    assert [queue.name for queue in stats.queues] == ["default", "mail"]
    assert client.work.queue("mail").ready == 1


def test_stats_add_up_over_shards(sharded_url: str) -> None:
    """Four shards are one namespace to who looks at it."""
    with coordq.connect(sharded_url) as client:
        client.work.enqueue_many([("job", {"n": n}) for n in range(40)])

        assert client.work.queue("default").ready == 40
        assert len(client.work.ls(limit=100)) == 40


def test_an_unknown_queue_is_not_found(client: Client) -> None:
    """The error lists the queues there are: most wrong names are typing mistakes."""
    client.work.enqueue("job", queue="mail")

    with pytest.raises(QueueNotFound, match="there are: mail"):
        client.work.queue("mial")


# -- why -----------------------------------------------------------------------------------------


def test_why_names_the_missing_worker(client: Client) -> None:
    """The most frequent cause of all."""
    assert "No worker is alive" in client.work.why(client.work.enqueue("job").id)


def test_why_names_the_pause(client: Client) -> None:
    """A paused queue is said before anything else, with the way out."""
    handle = client.work.enqueue("job")
    client.work.pause("default")

    assert "coordq queue resume default" in client.work.why(handle.id)


def test_why_says_when(client: Client) -> None:
    """A scheduled task says how long it is to wait."""
    handle = client.work.enqueue("job", delay=7300)

    assert "it becomes ready in 2:01:" in client.work.why(handle.id)


def test_why_follows_a_task_through_its_life(client: Client, gallery: dict[str, str]) -> None:
    """There is a sentence for each state."""
    said = {state: client.work.why(gallery[state]) for state in gallery}

    assert "is running on hands/0, attempt 1" in said["running"]
    assert "succeeded at attempt 1" in said["succeeded"]
    assert "dead letter (exception)" in said["failed"]
    assert "was cancelled" in said["cancelled"]


def test_why_tells_the_last_error_of_a_retry(client: Client) -> None:
    """Between attempts: which one failed, how, and when the next one comes."""
    handle = client.work.enqueue("job")
    error = {"type": "OSError", "message": "disk on fire", "traceback": "", "reason": "exception"}
    end(client, take_one(client), "retry", error, delay_ms=60_000)

    assert "Attempt 1 of 3 failed (OSError: disk on fire)" in client.work.why(handle.id)


# -- events --------------------------------------------------------------------------------------


def test_events_tell_the_story_of_a_task(client: Client) -> None:
    """One line for each transition, oldest first, with versions that only grow."""
    handle = client.work.enqueue("job")
    succeed(client, take_one(client))
    story = [event for event in client.work.events() if event.subject == handle.id]

    assert [event.kind for event in story] == ["ready", "running", "succeeded"]
    assert [event.version for event in story] == [1, 2, 3]


def test_events_can_be_read_on(client: Client) -> None:
    """An event's place in the stream is where the next look goes on."""
    client.work.enqueue("job")
    seen = list(client.work.events())
    client.work.enqueue("other")

    assert [event.name for event in client.work.events(after=seen[-1].at)] == ["other"]


def test_events_from_now_on_skip_the_past(client: Client) -> None:
    """`after="$"`: what happened before is not told."""
    client.work.enqueue("job")

    assert list(client.work.events(after="$")) == []


def test_events_can_be_followed(client: Client) -> None:
    """`follow=True` waits for what happens next."""
    following = client.work.events(follow=True)
    with ThreadPoolExecutor() as threads:
        seen = threads.submit(lambda: list(islice(following, 2)))
        client.work.enqueue("first")
        client.work.enqueue("second")

        assert [event.name for event in seen.result(60)] == ["first", "second"]


async def test_async_events_can_be_followed(client: Client, url: str) -> None:
    """The same with `async for`."""
    seen = []
    async with coordq.connect_async(url) as aclient:
        client.work.enqueue("first")
        async for event in aclient.work.events(follow=True):
            seen.append(event.name)
            if len(seen) == 2:
                break
            client.work.enqueue("second")

    assert seen == ["first", "second"]


def test_events_of_all_shards_are_followed(sharded_url: str) -> None:
    """A stream for each shard, one iterator for all."""
    with coordq.connect(sharded_url) as client:
        client.work.enqueue_many([("job", {"n": n}) for n in range(8)])

        assert len(list(client.work.events())) == 8


def test_a_bad_place_in_the_stream_is_refused_at_once(client: Client) -> None:
    """Before the iterator is used: the mistake is where the call is."""
    with pytest.raises(InvalidOption, match="no place in the event stream"):
        client.work.events(after="yesterday")


# -- what coordq did not write -------------------------------------------------------------------


@pytest.fixture
def stranger(client: Client) -> str:
    """The id of a record that somebody else has overwritten."""
    task_id = client.work.enqueue("job").id
    key = keys.task(keys.root(client.namespace, 0), task_id)
    client.engine.execute(0, "SET", key, b"\x00\xffnot ours")
    return task_id


def test_a_foreign_record_is_said_to_be_foreign(client: Client, stranger: str) -> None:
    """Not a parse error from the depths, and not a crash."""
    with pytest.raises(ForeignData, match="coordq did not write"):
        client.work.get(stranger)


def test_a_foreign_record_does_not_hide_the_others(client: Client, stranger: str) -> None:
    """A claim puts it aside as a dead letter and goes on with the next task."""
    healthy = client.work.enqueue("job")
    taken = take_one(client)
    (dead,) = client.work.dead()

    assert taken.id == healthy.id
    assert (dead.id, dead.reason) == (stranger, "foreign-data")


def test_a_key_of_the_wrong_type_is_foreign_data(client: Client) -> None:
    """WRONGTYPE from Redis becomes an error that names what to do."""
    client.work.enqueue("job")
    client.engine.execute(0, "DEL", keys.queues(keys.root(client.namespace, 0)))
    client.engine.execute(0, "SET", keys.queues(keys.root(client.namespace, 0)), "hello")

    with pytest.raises(ForeignData):
        client.work.stats()
