"""Limits that cannot be kept are refused before a byte is sent, with what would do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from coordq.errors import InvalidInput, InvalidLimit, InvalidName
from coordq.work.limit import Limit, check_units, make, read_limit, slot_text
from coordq.work.signals import RateLimited
from tests.work.desk import order

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("x", {}, "limits nothing"),
    ("x", {"rate": "fast"}, "amount and a period"),
    ("x", {"rate": ""}, "amount and a period"),
    ("x", {"rate": "5"}, "amount and a period"),
    ("x", {"rate": "5/"}, "amount and a period"),
    ("x", {"rate": "/s"}, "is no number"),
    ("x", {"rate": "many/s"}, "'many' is no number"),
    ("x", {"rate": "0/s"}, "above 0"),
    ("x", {"rate": "-5/s"}, "above 0"),
    ("x", {"rate": "nan/s"}, "is no number"),
    ("x", {"rate": "1e12/s"}, "at most 1,000,000,000"),
    ("x", {"rate": "0.5/s"}, "counted whole"),
    ("x", {"rate": "5/fortnight"}, "no unit of time"),
    ("x", {"rate": "5/0s"}, "between a millisecond and a year"),
    ("x", {"rate": "5/1000week"}, "between a millisecond and a year"),
    ("x", {"rate": 5}, "give text"),
    ("x", {"rate": (5,)}, "give text"),
    ("x", {"rate": ("5", 1)}, "is no number"),
    ("x", {"rate": (5, "1")}, "seconds or a timedelta"),
    ("x", {"rate": (True, 1)}, "is no number"),
    ("x", {"rate": (5, float("inf"))}, "between a millisecond and a year"),
    ("x", {"budget": "0/day"}, "above 0"),
    ("x", {"budget": "lots"}, "amount and a period"),
    ("x", {"concurrency": -1}, "whole number"),
    ("x", {"concurrency": 1.5}, "whole number"),
    ("x", {"concurrency": True}, "whole number"),
    ("x", {"concurrency": "4"}, "whole number"),
    ("x", {"rate": "5/s", "burst": -1}, "whole number"),
    ("x", {"concurrency": 1, "burst": 2}, "goes with rate"),
    ("x", {"rate": "5/s", "burst": 2, "window": "sliding"}, "goes with rate"),
    ("x", {"rate": "5/s", "window": "square"}, "use one of bucket, sliding"),
    ("x", {"rate": "20000/s", "window": "sliding"}, "at most 10,000"),
    ("x", {"concurrency": 1, "window": "sliding"}, "needs a rate"),
    ("x", {"concurrency": 1, "on_conflict": "fight"}, "use one of queue"),
    ("x", {"rate": "5/s", "on_conflict": "skip"}, "needs concurrency"),
    ("x", {"concurrency": 101, "on_conflict": "cancel-oldest"}, "at most 100"),
    ("x", {"rates": "5/s"}, "has no 'rates'"),
    ("once", {"concurrency": 2}, "coordq's own"),
    ("x:", {"concurrency": 2}, "use 1 to 200"),
    ("x:" + "k" * 201, {"concurrency": 2}, "use 1 to 200"),
    ("x:\ud800", {"concurrency": 2}, "not Unicode"),
]


@pytest.mark.parametrize(("name", "given", "words"), BAD)
def test_a_limit_that_cannot_be_kept_is_refused(
    name: str, given: dict[str, Any], words: str
) -> None:
    """With a stable code, and words that help."""
    with pytest.raises(InvalidLimit, match=words) as caught:
        make(name, **given)

    assert caught.value.code == "invalid-limit"


@pytest.mark.parametrize("name", ["", " x", "x y", ":x", "-x", "x" * 101])
def test_a_limit_has_a_name_like_all_others(name: str) -> None:
    """It ends up in keys and on command lines."""
    with pytest.raises(InvalidName):
        make(name, concurrency=1)


@pytest.mark.parametrize(
    "options",
    [
        {"limits": "openai"},
        {"limits": ["openai", "openai"]},
        {"limits": [f"l{n}" for n in range(9)]},
        {"limits": ["queue:default"]},
        {"limits": ["once"]},
        {"limits": [5]},
        {"limits": ["bad name"]},
        {"limits": None},
        {"cost": -1},
        {"cost": "much"},
        {"cost": float("nan")},
        {"cost": True},
    ],
)
def test_what_a_task_cannot_count_against_is_refused(options: dict[str, Any]) -> None:
    """When it is enqueued, or when its handler is defined."""
    with pytest.raises(InvalidInput):
        order(**options)


@pytest.mark.parametrize("units", [-1, float("inf"), float("nan"), "5", None, True])
def test_what_is_no_amount_cannot_be_spent(units: Any) -> None:
    """A budget that was NaN once would be so for ever."""
    with pytest.raises(InvalidLimit):
        check_units("spend", units)


def test_a_remote_limit_has_a_name_that_can_be_paused() -> None:
    """Said where the handler raises it, not when the outcome is on its way."""
    with pytest.raises(InvalidName):
        RateLimited(5, key="not a name")


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        ("100/min", (100, 60)),
        ("5/s", (5, 1)),
        (" 1000 / hour ", (1000, 3600)),
        ("30/10s", (30, 10)),
        ("2/days", (2, 86_400)),
        ("7/0.5s", (7, 0.5)),
        ("10/ 2 minutes", (10, 120)),
        ((3, timedelta(hours=1)), (3, 3600)),
    ],
)
def test_rates_are_said_as_people_say_them(said: Any, rate: tuple[float, float]) -> None:
    """Text, or an amount and a period."""
    assert make("x", rate=said).rate == rate


def test_a_limit_is_read_as_it_was_written() -> None:
    """And a text that coordq did not write is none."""
    made = make("x", rate="5/s", burst=3, concurrency=2, on_conflict="skip", budget="2.5/day")

    assert read_limit("x", made.text().encode()) == made
    assert read_limit("x", b"nonsense") is None
    assert read_limit("x", b'0 0 0 b 0 q 0 0 {"rate": 7}') is None


def test_shards_share_what_counts_by_itself() -> None:
    """The others are kept whole, on the shard where all their tasks go."""
    shared, whole = make("queue:q", rate="10/s", concurrency=3), make("api", concurrency=3)

    assert shared.text(4).startswith("3 1000000 0 b 1 q 0 0 ")
    assert whole.text(4).startswith("0 0 0 b 3 q 0 0 ")
    assert isinstance(shared, Limit)


def test_a_key_may_hold_anything_that_is_text() -> None:
    """Spaces and commas separate things where it is stored."""
    assert slot_text("repo:my repo, the 2nd") == "repo:my%20repo%2C%20the%202nd"
