"""enqueue_many: order, batches, shards, and what happens when not all of it fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

import coordq
from coordq import Client
from coordq.errors import DuplicateTask, InvalidArguments, PayloadTooLarge, QueueFull
from coordq.ids import shard_of
from tests.client.hands import take


@pytest.fixture
def sharded(sharded_url: str) -> Iterator[Client]:
    """A client of a namespace with four shards."""
    with coordq.connect(sharded_url) as client:
        yield client


def test_handles_come_back_in_order(client: Client) -> None:
    """The handle at place n is the task at place n."""
    handles = client.work.enqueue_many([("job", {"n": n}) for n in range(1_100)])

    for number in (0, 499, 500, 1_099):
        assert handles[number].get().args == {"n": number}


def test_tasks_are_ready_in_order(client: Client) -> None:
    """A bulk enqueue is first in, first out, like single ones."""
    handles = client.work.enqueue_many([("job", {"n": n}) for n in range(600)])

    assert [held.id for held in take(client, want=1_000)] == [handle.id for handle in handles]


def test_items_may_have_options_of_their_own(client: Client) -> None:
    """(name, args, options): what one item asks for comes before what is asked for all."""
    first, second = client.work.enqueue_many(
        [("job", {}), ("job", {}, {"queue": "mail", "priority": "high"})], queue="bulk"
    )

    assert (first.get().queue, first.get().priority) == ("bulk", "normal")
    assert (second.get().queue, second.get().priority) == ("mail", "high")


def test_items_may_come_from_a_generator(client: Client) -> None:
    """Rows can be streamed from a file or a database cursor."""
    handles = client.work.enqueue_many(("job", {"n": n}) for n in range(10))

    assert len(handles) == 10


def test_nothing_to_enqueue_is_fine(client: Client) -> None:
    """An empty list is an empty answer."""
    assert client.work.enqueue_many([]) == []


def test_one_bad_item_stops_all_of_it(client: Client) -> None:
    """All items are checked before the first is sent: a bad last one leaves nothing half done."""
    items = [("job", {"n": n}) for n in range(700)]

    with pytest.raises(InvalidArguments):
        client.work.enqueue_many([*items, ("job", {"x": object()})])
    assert client.work.stats().queues == ()


def test_large_arguments_are_split_by_size(client: Client) -> None:
    """A batch holds about 1 MiB: 30 tasks of 100 KiB do not become one huge request."""
    text = "x" * 100_000
    handles = client.work.enqueue_many([("job", {"n": n, "text": text}) for n in range(30)])

    assert [handle.get().args["n"] for handle in handles] == list(range(30))  # type: ignore[index]


def test_one_oversized_item_stops_all_of_it(client: Client) -> None:
    """More than 1 MiB of arguments is refused before anything is sent."""
    with pytest.raises(PayloadTooLarge, match="1,048,576 are allowed"):
        client.work.enqueue_many([("job", {}), ("job", {"text": "x" * 2_000_000})])
    assert client.work.stats().queues == ()


def test_duplicates_within_a_bulk_share_a_handle(client: Client) -> None:
    """A unique key works inside one call as it does between calls."""
    first, second = client.work.enqueue_many([("job", {}, {"unique": "u"})] * 2)

    assert (first.created, second.created) == (True, False)
    assert first.id == second.id


def test_a_rejected_duplicate_raises(client: Client) -> None:
    """on_duplicate="reject" raises for a bulk as well."""
    client.work.enqueue("job", unique="u")

    with pytest.raises(DuplicateTask):
        client.work.enqueue_many([("job", {}, {"unique": "u"})], on_duplicate="reject")


def test_refusing_is_all_or_nothing(client: Client) -> None:
    """on_full="refuse": a batch that does not fit leaves no part of itself behind."""
    client.work.limit("small", high=5)

    with pytest.raises(QueueFull) as caught:
        client.work.enqueue_many([("job", {})] * 6, queue="small", on_full="refuse")
    assert client.work.queue("small").ready == 0
    assert caught.value.retry_after > 0


def test_waiting_takes_what_fits_first(client: Client) -> None:
    """on_full="wait" with no time left: the head of the bulk is in, the rest raises QueueFull."""
    client.work.limit("small", high=5)

    with pytest.raises(QueueFull):
        client.work.enqueue_many(
            [("job", {"n": n}) for n in range(8)], queue="small", on_full="wait", wait=0
        )
    assert [task.args for task in client.work.ls(queue="small")] == [{"n": n} for n in range(5)]


def test_forcing_ignores_the_mark(client: Client) -> None:
    """on_full="force" is for work that must not be lost to backpressure."""
    client.work.limit("small", high=1)
    client.work.enqueue_many([("job", {})] * 5, queue="small", on_full="force")

    assert client.work.queue("small").ready == 5


def test_shards_take_turns(sharded: Client) -> None:
    """A bulk spreads over the shards evenly, and its handles still come back in order."""
    handles = sharded.work.enqueue_many([("job", {"n": n}) for n in range(2_500)])

    spread = Counter(shard_of(handle.id) for handle in handles)
    assert set(spread.values()) == {625}
    assert handles[1_777].get().args == {"n": 1_777}
    assert sharded.work.queue("default").ready == 2_500


def test_equal_keys_meet_on_one_shard(sharded: Client) -> None:
    """A unique key is unique in the namespace, not in a shard."""
    handles = sharded.work.enqueue_many([("job", {}, {"unique": f"u{n % 10}"}) for n in range(100)])

    assert len({handle.id for handle in handles}) == 10


def test_a_partly_full_namespace_takes_what_fits(sharded: Client) -> None:
    """Marks are divided among shards: a bulk fills each to its part and raises for the rest."""
    sharded.work.limit("small", high=8)

    with pytest.raises(QueueFull):
        sharded.work.enqueue_many([("job", {})] * 40, queue="small", wait=0)
    assert sharded.work.queue("small").ready == 8


async def test_async_bulk_over_shards_keeps_its_order(sharded_url: str) -> None:
    """The async client spreads and orders in the same way."""
    async with coordq.connect_async(sharded_url) as aclient:
        handles = await aclient.work.enqueue_many([("job", {"n": n}) for n in range(1_000)])

        assert [(await handle.get()).args for handle in handles[::333]] == [
            {"n": n} for n in range(0, 1_000, 333)
        ]
        assert (await aclient.work.queue("default")).ready == 1_000


async def test_async_bulk_takes_what_fits_first(client: Client, url: str) -> None:
    """Partial bulks behave alike on both doors."""
    client.work.limit("small", high=5)
    async with coordq.connect_async(url) as aclient:
        with pytest.raises(QueueFull):
            await aclient.work.enqueue_many([("job", {})] * 8, queue="small", wait=0)

    assert client.work.queue("small").ready == 5
