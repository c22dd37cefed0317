"""Schedules on every engine: what is promised on one is promised on all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordq.client.client import Client, connect
from coordq.work import agenda
from coordq.work.slots import overdue
from coordq.work.task import State
from tests.work.desk import Desk


@pytest.fixture
def client(engine_url: str, namespace: str) -> Iterator[Client]:
    """A client of each engine in turn."""
    with connect(engine_url, namespace=namespace) as client:
        yield client


def test_a_slot_is_fired_once_and_its_end_remembered(client: Client) -> None:
    """On the schedule's shard, wherever that lives."""
    client.schedules.add("s", "job", {"n": 1}, every=3600)
    shard = agenda.shard_of_schedule("s", client.engine.shards)
    desk = Desk(client.engine, shard)
    desk.redis("ZADD", desk.key("schedules"), desk.now_ms() - 5, "s")
    (view,) = client.engine.run(agenda.due(shard)).found
    due_ms = view.next_ms or 0
    found = overdue(view.schedule, anchor_ms=view.anchor_ms, due_ms=due_ms, now_ms=desk.now_ms())
    call = agenda.fire(
        view, shard=shard, epoch=1, slot_ms=due_ms, next_ms=found.next_ms, passed=found.passed
    )

    first, again = client.engine.run(call), client.engine.run(call)

    assert (first.outcome, first) == ("fired", again)
    claim = desk.take()
    assert (claim.id, claim.spec.slot_ms) == (first.detail, due_ms)
    assert desk.end(claim) == "ok"
    after = client.schedules.get("s")
    assert [(run.id, run.state) for run in after.runs] == [(claim.id, State.SUCCEEDED)]
    assert (after.fired, after.next_ms) == (1, found.next_ms)
    desk.audit()


def test_doors_work_on_all_shards(client: Client) -> None:
    """Ten schedules fall on several shards of a Cluster."""
    names = [f"s{number}" for number in range(10)]
    for name in names:
        client.schedules.add(name, "job", cron="@daily", tz="Asia/Tokyo")

    assert [view.name for view in client.schedules.ls()] == names
    assert client.schedules.trigger("s3").get().spec.schedule == "s3"
    client.schedules.pause("s4")
    assert client.schedules.get("s4").paused
    for name in names:
        client.schedules.rm(name)
    assert client.schedules.ls() == []
