"""The schedules door: what both clients promise."""

from __future__ import annotations

from datetime import timedelta

import pytest

import coordq
from coordq import Client, State
from coordq.errors import Conflict, InvalidOption, QueueFull, ReadOnly, ScheduleNotFound
from coordq.ids import shard_of
from coordq.work import agenda


def test_a_life_of_a_schedule(client: Client) -> None:
    """From add to rm."""
    added = client.schedules.add("s", "job", {"n": 1}, every=timedelta(hours=1), queue="slow")
    assert (added.change, added.state, added.name) == ("added", "active", "s")

    handle = client.schedules.trigger("s")
    assert (handle.get().queue, handle.get().args) == ("slow", {"n": 1})
    handle.cancel()

    (listed,) = client.schedules.ls()
    assert (listed.fired, listed.runs[0].state) == (1, State.CANCELLED)
    assert client.schedules.pause("s").next_ms is None
    assert client.schedules.resume("s").next_ms == added.next_ms
    client.schedules.rm("s")
    assert client.schedules.ls() == []


async def test_the_async_door_does_the_same(url: str) -> None:
    """Word for word, awaited."""
    async with coordq.connect_async(url) as client:
        added = await client.schedules.add("s", "job", {"n": 1}, every=3600)
        handle = await client.schedules.trigger("s")
        assert (await handle.get()).args == {"n": 1}
        (listed,) = await client.schedules.ls()
        assert (await client.schedules.get("s")).fired == listed.fired == 1
        assert (await client.schedules.pause("s")).state == "paused"
        assert (await client.schedules.resume("s")).next_ms == added.next_ms
        assert len(await client.schedules.next_runs("s", 3)) == 3
        await client.schedules.rm("s")
        with pytest.raises(ScheduleNotFound):
            await client.schedules.get("s")


def test_pausing_twice_is_pausing(client: Client) -> None:
    """And a resume after it is one resume."""
    client.schedules.add("s", "job", every=3600)
    paused = client.schedules.pause("s")

    assert client.schedules.pause("s") == paused
    active = client.schedules.resume("s")
    assert client.schedules.resume("s") == active


def test_a_replaced_schedule_stays_paused(client: Client) -> None:
    """A deploy does not undo what an operator has done."""
    client.schedules.add("s", "job", every=3600)
    client.schedules.pause("s")

    assert client.schedules.add("s", "job", every=60, replace=True).state == "paused"


def test_next_runs_are_as_many_as_are_left(client: Client) -> None:
    """Of a schedule with an end, or none at all."""
    now = client.schedules.add("probe", "job", every=3600).added_ms / 1000
    client.schedules.add("s", "job", every=60, start=now + 100, end=now + 300)

    moments = [when.timestamp() for when in client.schedules.next_runs("s", 10)]
    assert moments == pytest.approx([now + 100 + 60 * n for n in range(4)], abs=0.01)
    assert client.schedules.next_runs("s", 0) == []
    with pytest.raises(InvalidOption):
        client.schedules.next_runs("s", -1)


def test_a_trigger_meets_what_an_enqueue_meets(client: Client) -> None:
    """A full queue, and a fleet that takes no work."""
    client.schedules.add("s", "job", every=3600)
    client.work.limit("default", high=1)
    client.schedules.trigger("s")

    with pytest.raises(QueueFull):
        client.schedules.trigger("s")
    client.engine.execute(0, "SET", f"cq:{{{client.namespace}.0}}:readonly", "operator x")
    with pytest.raises(ReadOnly):
        client.schedules.trigger("s")


def test_an_unreadable_schedule_may_be_replaced(client: Client) -> None:
    """Whoever sets it down anew knows what it should be; by accident it is not done."""
    client.schedules.add("s", "job", every=3600)
    key = f"cq:{{{client.namespace}.0}}:schedule:s"
    client.engine.execute(0, "DEL", key)
    client.engine.execute(0, "SET", key, "junk")

    with pytest.raises(Conflict):
        client.schedules.add("s", "job", every=3600)
    assert client.schedules.add("s", "job", every=3600, replace=True).state == "active"


def test_many_schedules_are_all_listed(sharded_url: str) -> None:
    """Over the pages of a shard and over shards, by name."""
    names = [f"s{number:03}" for number in range(2 * agenda.PAGE)]
    with coordq.connect(sharded_url) as client:
        for name in names:
            client.schedules.add(name, "job", every=3600)
        task = client.schedules.trigger(names[0])

        assert [view.name for view in client.schedules.ls()] == names
        assert shard_of(task.id) == agenda.shard_of_schedule(names[0], 4), "a schedule's own shard"
        assert client.schedules.get(names[0]).runs[0].state is State.READY
