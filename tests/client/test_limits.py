"""client.limits, in both doors and over several shards."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

import coordq
from coordq import Client
from coordq.errors import InvalidLimit, LimitNotFound
from coordq.ids import shard_of
from coordq.work.claim import claim
from tests.work.desk import ask


def claimed(client: Client) -> list[Any]:
    """Whatever may start now, on all shards."""
    return [
        one
        for shard in range(client.engine.shards)
        for one in client.engine.run(claim(shard, ask(50))).claims
    ]


def test_a_limit_is_set_seen_and_taken_away(client: Client) -> None:
    """And nothing of it stays."""
    view = client.limits.set("openai", rate="100/min", concurrency=4)

    assert (view.slot, view.own, view.parked, view.paused_ms) == ("openai", True, 0, 0)
    assert client.limits.get("openai:some key").own is False
    assert [one.slot for one in client.limits.ls()] == ["openai"]
    client.limits.rm("openai")
    assert client.limits.ls() == []


def test_a_limit_that_is_not_there_says_which_are(client: Client) -> None:
    """A misspelt name is found at once."""
    client.limits.set("openai", rate="100/min")

    with pytest.raises(LimitNotFound, match="openai"):
        client.limits.get("opneai")
    with pytest.raises(LimitNotFound, match="openai"):
        client.limits.rm("opneai")


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), "5", True, timedelta(days=400)])
def test_a_pause_has_a_length_that_makes_sense(client: Client, seconds: Any) -> None:
    """Or none, and lasts until it is ended."""
    with pytest.raises(InvalidLimit):
        client.limits.pause("openai", seconds)


def test_a_pause_is_seen_and_ended(client: Client) -> None:
    """There need not be such a limit."""
    client.limits.pause("openai")
    client.limits.pause("slow", timedelta(minutes=1))
    paused = {view.slot: view.paused_ms for view in client.limits.ls()}

    assert paused["openai"] is None
    assert 0 < (paused["slow"] or 0) <= 60_000
    client.limits.resume("openai")
    client.limits.resume("slow")
    assert client.limits.ls() == []


def test_tasks_of_one_limit_meet_on_one_shard(sharded_url: str) -> None:
    """So that it holds for all of them together."""
    with coordq.connect(sharded_url) as client:
        client.limits.set("openai", concurrency=3)
        handles = [
            client.work.enqueue("job", limits=[f"openai:{key}"]) for key in "ab" for _ in range(8)
        ]

        taken = Counter(one.spec.limits for one in claimed(client))

        assert taken == {("openai:a",): 3, ("openai:b",): 3}
        assert len({shard_of(handle.id) for handle in handles}) <= 2
        assert client.limits.get("openai:a").running == 3
        assert client.limits.get("openai:b").parked == 5


def test_shards_share_the_limit_of_a_queue(sharded_url: str) -> None:
    """Each keeps its part; a look adds them up."""
    with coordq.connect(sharded_url) as client:
        client.limits.set("queue:default", concurrency=8)
        client.work.enqueue_many([("job", {})] * 40)

        assert len(claimed(client)) == 8
        view = client.limits.get("queue:default")
        assert (view.running, view.parked) == (8, 32)
        assert view.limit is not None
        assert view.limit.concurrency == 8
        client.limits.rm("queue:default")
        assert len(claimed(client)) == 32


async def test_the_async_door_does_the_same(url: str) -> None:
    """With await."""
    async with coordq.connect_async(url) as client:
        await client.limits.set("openai", budget="5/day")
        await client.limits.pause("openai", 60)

        (view,) = await client.limits.ls()
        assert view.paused_ms
        await client.limits.resume("openai")
        assert (await client.limits.get("openai")).paused_ms == 0
        await client.limits.rm("openai")
