"""A queue's setting `fair`: whether tenants take turns, or the oldest task of all comes next."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.errors import InvalidOption
from coordq.work import tenant as tenants
from coordq.work.queue import Queue
from tests.work.desk import Desk
from tests.work.gate import allow
from tests.work.test_fair import put, served, weigh
from tests.work.test_priority import MINUTE_MS
from tests.work.test_priority import put as put_urgent


def put_aged(desk: Desk, minutes: int, *, priority: str = "normal", **options: Any) -> str:
    """A task that was made so long ago."""
    return put_urgent(desk, priority, minutes * MINUTE_MS, **options)


def aged(desk: Desk, **ages: list[int]) -> None:
    """Tasks of tenants, each so many minutes old."""
    for tenant, minutes in ages.items():
        for age in sorted(minutes, reverse=True):
            put_aged(desk, age, tenant=tenant)


def ranked(desk: Desk) -> list[str]:
    """Tenants of the fair line, who is next first."""
    return [name.decode() for name in desk.redis("ZRANGE", desk.key("fair:default:2job~"), 0, -1)]


@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_without_turns_the_oldest_task_comes_next(desk: Desk, at_once: int) -> None:
    """Whosever it is, and however many a claim takes."""
    desk.configure(fair=False)
    weigh(desk, a=5)
    aged(desk, a=[9, 3, 2], b=[8, 7, 1], c=[5])

    assert served(desk, 7, at_once) == ["a", "b", "b", "c", "a", "a", "b"]
    assert desk.queue().ready == 0
    assert ranked(desk) == []


def test_turns_can_be_stopped_and_begun_while_tasks_wait(desk: Desk) -> None:
    """The setting counts from the next claim; nothing is moved, and nobody owes a turn."""
    aged(desk, a=list(range(20, 30)), b=[9, 8, 7, 6])
    assert set(served(desk, 4)) == {"a", "b"}

    assert not desk.configure(fair=False).fair
    assert served(desk, 3) == ["a", "a", "a"]
    assert desk.configure(fair=True).fair

    assert sorted(served(desk, 2)) == ["a", "b"]


def test_a_setting_that_stays_moves_nobody(desk: Desk) -> None:
    """Who has waited for its turn has waited for it."""
    aged(desk, a=[9, 8, 7], b=[6, 5])
    before = ranked(desk)
    scores = [desk.redis("ZSCORE", desk.key("fair:default:2job~"), name) for name in before]

    desk.configure(fair=True, high=100)

    assert scores == [desk.redis("ZSCORE", desk.key("fair:default:2job~"), name) for name in before]
    assert desk.queue().fair


def test_the_setting_stands_beside_the_others(desk: Desk) -> None:
    """And is as it was when another one is changed; what was written before it counts on."""
    desk.configure(high=10, fair=False)
    assert (desk.configure(strict=True).fair, desk.configure(low=5).high) == (False, 10)
    assert desk.redis("HGET", desk.key("queue:default"), "settings") == b"0 1 10 5 0 1"

    desk.configure(fair=True)

    assert desk.redis("HGET", desk.key("queue:default"), "settings") == b"0 1 10 5 0"


def test_priorities_count_before_age(desk: Desk) -> None:
    """As they do among plain tasks: the line of all tenants ranks by its oldest task."""
    desk.configure(fair=False, strict=True)
    put_aged(desk, 90, tenant="a")
    put_aged(desk, 1, tenant="b", priority="critical")
    put_aged(desk, 50)

    assert served(desk, 3) == ["b", "a", ""]


def test_who_loses_its_worker_is_next(desk: Desk) -> None:
    """Its task goes to the head of its line with the age that it had."""
    desk.configure(fair=False)
    aged(desk, a=[9, 8], b=[5])
    held = desk.take()

    desk.release(held)

    assert ranked(desk) == ["a", "b"]
    assert desk.take().id == held.id


def test_who_is_parked_comes_back_at_its_age(desk: Desk) -> None:
    """A limit that lets go brings the oldest first, before younger ones of others."""
    desk.configure(fair=False)
    allow(desk, "tenant:a", concurrency=1)
    aged(desk, a=[9, 8], b=[5, 4])

    assert served(desk, 4, 4) == ["a", "b", "b"]


def test_who_was_cancelled_brings_nobody_forward(desk: Desk) -> None:
    """What is left of it in its line is passed over, at its own age."""
    desk.configure(fair=False)
    ids = [put_aged(desk, age, tenant="a") for age in (90, 80)]
    put_aged(desk, 85, tenant="b")
    desk.cancel(ids[0])

    assert served(desk, 2, 2) == ["b", "a"]


def test_weights_and_counts_are_kept_meanwhile(desk: Desk) -> None:
    """For the day when turns are taken again."""
    desk.configure(fair=False)
    put(desk, "a", 2)
    weigh(desk, a=4)
    desk.take()

    assert desk.run(tenants.one(0, "a")) == tenants.TenantView("a", 4, served=1, backlog=1)
    assert desk.glance(put(desk, "a")[0]).turn is None


@pytest.mark.parametrize("fair", [1, 0, "yes", 2.0])
def test_a_setting_that_is_neither_is_refused(desk: Desk, fair: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidOption, match="say True or False"):
        desk.configure(fair=fair)


def test_a_queue_is_fair_when_all_its_shards_are() -> None:
    """A switch that reached some of them only must be seen."""
    from coordq.work.queue import merge_queues, read_queue

    parts: list[Queue] = [
        read_queue("q", [b"settings", settings], -1) for settings in (b"0 0 0 0 0", b"0 0 0 0 0 1")
    ]

    assert [part.fair for part in parts] == [True, False]
    assert not merge_queues(parts).fair
