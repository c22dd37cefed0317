"""Counters that have drifted are counted anew: at once, or in pages while a queue stands still."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.client.audit import run
from tests.work.damages import audited, words
from tests.work.desk import Desk, bulk, order

LARGE = 2_100
"""More entries than a queue may have to be counted in one step."""


def fill(desk: Desk, amount: int, **options: Any) -> None:
    """Tasks, 500 a call."""
    for first in range(0, amount, 500):
        desk.place_all(bulk(min(500, amount - first), **options))


@pytest.mark.parametrize("delay", [0, 600])
def test_a_large_queue_that_stands_still_is_counted_in_pages(desk: Desk, delay: int) -> None:
    """Exactly, with tasks that moved, moved on, and stand in their line twice."""
    fill(desk, LARGE, delay=delay)
    for at, kind in enumerate(() if delay else ("release", "retry", "succeeded", "cancelled")):
        desk.end(desk.take_one(in_line(desk, 7 * at)), kind, delay_ms=60_000)
    if not delay:
        desk.take_one(in_line(desk, 500))
    desk.configure(paused=True)
    right = desk.queue()
    for field in ("ready", "scheduled", "running", "bytes"):
        desk.redis("HINCRBY", desk.key("queue:default"), field, 3)

    found = audited(desk)

    now = desk.queue()
    assert len(found.findings) == 4
    assert found.unsettled == []
    assert (now.ready, now.scheduled, now.running, now.bytes) == (
        right.ready,
        right.scheduled,
        right.running,
        right.bytes,
    )


def test_a_large_queue_of_tenants_is_counted_line_by_line(desk: Desk) -> None:
    """The lines of all tenants are pages of one queue."""
    fill(desk, LARGE, tenant="large")
    for number in range(20):
        fill(desk, 3, tenant=f"small-{number}")
    desk.claim(10)
    right = desk.queue().ready
    desk.redis("HINCRBY", desk.key("queue:default"), "ready", 3)

    found = audited(desk)

    assert [one.wrong.partition(" was")[0] for one in found.findings] == ["ready"]
    assert (desk.queue().ready, found.unsettled) == (right, [])


def in_line(desk: Desk, at: int) -> str:
    """Who stands there. Claimed by id, its entry stays behind."""
    return str(desk.redis("LINDEX", desk.key("line:default:2job"), at)[:22].decode())


def test_a_large_queue_that_moves_is_left_for_later(desk: Desk) -> None:
    """Pages of different moments do not add up: better an old mistake than a new one."""
    fill(desk, LARGE)
    desk.redis("HINCRBY", desk.key("queue:default"), "ready", 3)
    steps = run(desk.engine, look=False)

    while (report := next(steps)) and report.unsettled == []:
        desk.end(desk.take(), "succeeded")
        desk.put()  # it stays large, however many steps the audit takes

    assert report.unsettled == ["default"]
    assert desk.queue().ready == desk.redis("LLEN", desk.key("line:default:2job")) + 3
    assert words(audited(desk))[0][1].startswith("ready was booked as")


def test_what_runs_in_a_large_queue_is_counted_while_it_moves(desk: Desk) -> None:
    """Each counter by itself: leases are few, however long the lines."""
    fill(desk, LARGE)
    desk.redis("HINCRBY", desk.key("queue:default"), "running", 3)

    found = [words(report) for report in run(desk.engine, look=False) if desk.take()][-1]

    assert [wrong.split()[0] for _, wrong in found] == ["running"]


def test_a_small_queue_beside_a_large_one_is_counted_in_one_step(desk: Desk) -> None:
    """It does not have to wait until the large one stands still."""
    fill(desk, LARGE)
    desk.put(queue="tiny")
    desk.redis("HINCRBY", desk.key("queue:tiny"), "ready", 3)

    found = [words(report) for report in run(desk.engine, look=False) if desk.take()][-1]

    assert found == [("tiny", "ready was booked as 4, and is 1")]


def test_more_dead_letters_and_limits_than_fit_a_page_are_read(desk: Desk) -> None:
    """Every page of every book."""
    fill(desk, 700, total_timeout=90)
    for held in desk.claim(600).claims:
        desk.end(held, "failed")
    desk.redis("ZREM", desk.key("dead"), *desk.redis("ZRANGE", desk.key("dead"), 0, 9))
    desk.redis("ZADD", desk.key("dead"), *[word for n in range(10) for word in (1, order().id)])

    assert len(audited(desk).findings) == 20
