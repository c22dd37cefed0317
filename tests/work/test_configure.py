"""work/configure: a queue's settings, changed one by one, with effect at once."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.errors import ForeignData, InvalidName, InvalidOption
from coordq.work.queue import configure
from tests.work.desk import Desk


def test_what_is_not_given_stays_as_it_is(desk: Desk) -> None:
    """Pausing does not lift the limits."""
    desk.configure(high=100, low=50, max_bytes=10_000)
    queue = desk.configure(paused=True)

    assert (queue.paused, queue.strict) == (True, False)
    assert (queue.high, queue.low, queue.max_bytes) == (100, 50, 10_000)
    assert desk.configure(paused=False).high == 100


def test_the_low_mark_follows_the_high_one(desk: Desk) -> None:
    """Unless it is given."""
    assert desk.configure(high=100).low == 80
    assert desk.configure(high=100, low=10).low == 10


def test_a_configured_queue_exists(desk: Desk) -> None:
    """Limits may be set before the first task comes."""
    desk.configure("fresh", high=5)

    assert desk.queue("fresh").high == 5


def test_marks_are_divided_by_shards(desk: Desk) -> None:
    """A limit is the whole queue's, and each shard holds its part."""
    queue = desk.run(configure(0, "default", shards=4, high=10, low=1, max_bytes=1001))

    assert (queue.high, queue.low, queue.max_bytes) == (3, 1, 251)


@pytest.mark.parametrize(
    "settings",
    [
        {"high": -1},
        {"high": 1.5},
        {"low": "many"},
        {"max_bytes": 2**53},
        {"high": 5, "low": 6},
        {"high": float("nan")},
    ],
)
def test_nonsense_is_refused(desk: Desk, settings: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidOption):
        desk.configure(**settings)


def test_a_bad_name_is_refused(desk: Desk) -> None:
    """Names end up in keys."""
    with pytest.raises(InvalidName):
        desk.configure("no spaces please", paused=True)


def test_resuming_wakes_workers_for_every_line(desk: Desk) -> None:
    """They slept while it was paused, and their marks are used up."""
    desk.configure(paused=True)
    desk.put("a")
    desk.put("b", priority="low")
    for route in "ab":
        desk.redis("DEL", desk.key(f"marker:default:{route}"))

    desk.configure(paused=False)

    assert (desk.marks("a"), desk.marks("b")) == (8, 8)


def test_settings_that_are_no_settings_count_as_none(desk: Desk) -> None:
    """Strangers' data in our hash does not stop the queue."""
    desk.redis("HSET", desk.key("queue:default"), "settings", "junk")
    desk.put()

    assert desk.take().queue == "default"
    desk.redis("HDEL", desk.key("queue:default"), "settings")


def test_a_queue_of_the_wrong_type_is_foreign_data(desk: Desk) -> None:
    """The error names the trouble, and nothing is changed."""
    desk.audited = False
    desk.redis("SET", desk.key("queue:default"), "junk")
    before = desk.dump()

    with pytest.raises(ForeignData):
        desk.configure(paused=True)

    assert desk.dump() == before
