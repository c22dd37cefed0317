"""What a schedule may be, and what one that cannot be followed is told."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordq.errors import InvalidInput
from coordq.ids import shard_of
from coordq.work.backoff import Backoff
from coordq.work.schedule import Schedule, from_text, make
from coordq.work.spec import read_spec

BAD = [
    ({}, "invalid-schedule", "Give either every= or cron="),
    ({"every": 60, "cron": "* * * * *"}, "invalid-schedule", "give one"),
    ({"every": 0}, "invalid-schedule", "from 1 to"),
    ({"every": 0.5}, "invalid-schedule", "from 1 to"),
    ({"every": -60}, "invalid-schedule", "from 1 to"),
    ({"every": math.nan}, "invalid-schedule", "is no number"),
    ({"every": math.inf}, "invalid-schedule", "ten years"),
    ({"every": 10**30}, "invalid-schedule", "ten years"),
    ({"every": "5m"}, "invalid-schedule", "seconds or a timedelta: every=300"),
    ({"every": "often"}, "invalid-schedule", "seconds or a timedelta."),
    ({"every": True}, "invalid-schedule", "seconds or a timedelta"),
    ({"cron": ""}, "invalid-schedule", '"0 9 * * mon-fri"'),
    ({"cron": 5}, "invalid-schedule", "five fields"),
    ({"cron": "* " * 300}, "invalid-schedule", "200 characters"),
    ({"cron": "0 9 * *"}, "invalid-schedule", "it has 4 fields; five are needed: minute hour"),
    ({"cron": "0 0 9 * * *"}, "invalid-schedule", "for seconds use `every`"),
    ({"cron": "@reboot"}, "invalid-schedule", "@hourly, @daily"),
    ({"cron": "60 9 * * *"}, "invalid-schedule", "the minute '60' is not possible: use 0-59"),
    ({"cron": "0 9-5 * * *"}, "invalid-schedule", "the hour '9-5' is not possible: use 0-23"),
    ({"cron": "0 9 0 * *"}, "invalid-schedule", "the day-of-month '0' is not possible: use 1-31"),
    ({"cron": "0 9 30 2 *"}, "invalid-schedule", "no month that it names has a day 30"),
    ({"cron": "0 9 * juno *"}, "invalid-schedule", "the month 'juno' is not possible: use 1-12"),
    ({"cron": "0 9 * * fri-mon"}, "invalid-schedule", "ranges from low to high"),
    ({"cron": "*/0 * * * *"}, "invalid-schedule", "the minute '*/0'"),
    ({"cron": "٣ * * * *"}, "invalid-schedule", "the minute"),
    ({"every": 60, "tz": "Europe/Berln"}, "invalid-schedule", "did you mean 'Europe/Berlin'?"),
    ({"every": 60, "tz": "New York"}, "invalid-schedule", "did you mean 'America/New_York'?"),
    ({"every": 60, "tz": "../../etc/passwd"}, "invalid-schedule", "There is no time zone"),
    ({"every": 60, "tz": ""}, "invalid-schedule", "'Europe/Berlin'"),
    ({"every": 60, "tz": 3}, "invalid-schedule", "'Europe/Berlin'"),
    ({"every": 60, "overlap": "cancel"}, "invalid-schedule", "skip, queue, cancel-oldest"),
    ({"every": 60, "missed": "al"}, "invalid-schedule", "Did you mean 'all'?"),
    ({"every": 60, "missed": None}, "invalid-schedule", "use skip, one, all"),
    ({"every": 60, "start": "noon"}, "invalid-schedule", "start='noon': give a datetime"),
    ({"every": 60, "end": -1}, "invalid-schedule", "seconds since 1970"),
    ({"every": 60, "end": datetime(1, 1, 1)}, "invalid-schedule", "end="),  # noqa: DTZ001
    ({"every": 60, "start": 200.0, "end": 100.0}, "invalid-schedule", "end must lie after start"),
    ({"every": 60, "jitter": 60}, "invalid-schedule", "jitter=60 must be less than every=60"),
    ({"every": 60, "jitter": -1}, "invalid-schedule", "jitter=-1"),
    ({"every": 60, "delay": 5}, "invalid-schedule", "'delay' does not belong to a schedule"),
    ({"every": 60, "unique": "k"}, "invalid-schedule", 'overlap="skip"'),
    ({"every": 60, "id": "x"}, "invalid-schedule", "every run has its own"),
    ({"every": 60, "force": True}, "invalid-schedule", "the slot stays due"),
    ({"every": 60, "durability": "replica"}, "invalid-schedule", "has its slot due again"),
    ({"every": 60, "on_full": "shed"}, "invalid-schedule", "wait, refuse or force"),
    ({"every": 60, "queu": "slow"}, "invalid-option", "did you mean 'queue'?"),
    ({"every": 60, "priority": "urgent"}, "invalid-option", "critical, high, normal, low"),
    ({"every": 60, "timeout": -1}, "invalid-time", "negative"),
    ({"every": 60, "args": {"a": object}}, "invalid-arguments", "job"),
    ({"every": 60, "args": {"a": "x" * 2**21}}, "payload-too-large", "1,048,576"),
    ({"every": 60, "name": "a b"}, "invalid-name", "schedule name 'a b'"),
    ({"every": 60, "task": "a/b"}, "invalid-name", "task name 'a/b'"),
]
KEPT = [
    {"every": 90},
    {"every": timedelta(minutes=1.5), "jitter": 0.25},
    {"cron": "@daily", "tz": "America/New_York", "overlap": "queue", "missed": "all"},
    {"cron": "0 9 * * mon-fri", "start": datetime(2026, 1, 1, tzinfo=UTC), "end": 2**31 + 0.5},
    {
        "every": 60,
        "queue": "slow",
        "backoff": Backoff.steps([1, 10]),
        "timeout": timedelta(hours=1),
    },
    {"every": 60, "capabilities": ("b", "a"), "headers": {"x": "ü"}, "role": "r"},
]


def scheduled(name: str = "s", task: str = "job", args: Any = None, **given: Any) -> Schedule:
    """What the client makes of such wishes."""
    own = ("every", "cron", "tz", "overlap", "missed", "start", "end", "jitter")
    timing = {key: given.pop(key) for key in own if key in given}
    return make(name, task, args, options=given, **timing)


@pytest.mark.parametrize(("given", "code", "words"), BAD, ids=lambda one: str(one)[:60])
def test_what_cannot_be_followed_is_refused_with_what_would_be_right(
    given: dict[str, Any], code: str, words: str
) -> None:
    """Found when it is set down, not at three in the morning."""
    with pytest.raises(InvalidInput) as refused:
        scheduled(**given)

    assert refused.value.code == code
    assert words in refused.value.message


@pytest.mark.parametrize("given", KEPT, ids=lambda one: str(one)[:60])
def test_a_schedule_is_kept_as_text_and_comes_back(given: dict[str, Any]) -> None:
    """The leader that fires it is not the process that made it."""
    made = scheduled(**given, args={"text": "ünï\n"})

    assert from_text("s", made.to_text().encode()) == made
    assert json.loads(made.to_text())["args"] == {"text": "ünï\n"}


def test_equal_schedules_are_equal_texts() -> None:
    """Adding the same again, from another machine, must change nothing."""
    one = scheduled(every=60, args={"a": 1, "b": 2}, queue="q", priority="low", timeout=60)
    other = scheduled(
        priority="low", queue="q", args={"b": 2, "a": 1}, every=timedelta(minutes=1), timeout=60
    )

    assert one.to_text() == other.to_text()
    assert scheduled(cron="0  9 * * *").to_text() == scheduled(cron="0 9 * * *").to_text()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b'{"task":"job"}',
        scheduled(every=60).to_text().replace("skip", "jump").encode(),
        scheduled(every=60).to_text().replace("}", ',"colour":"red"}', 1).encode(),
        scheduled(every=60).to_text().replace("UTC", "Mars/Olympus").encode(),
        scheduled(every=60).to_text().replace("60000", '"soon"').encode(),
    ],
)
def test_a_strangers_text_is_no_schedule(text: bytes) -> None:
    """It is left out, whatever it holds."""
    with pytest.raises((ValueError, TypeError)):
        from_text("s", text)


def test_a_run_says_who_made_it_and_for_when() -> None:
    """In its record, which outlives the schedule."""
    order = scheduled(every=60, queue="slow", timeout=5).order(1_700_000_000_000, shard=3)
    spec = read_spec(order.template.text.encode())

    assert shard_of(order.id) == 3
    assert (spec.schedule, spec.slot_ms) == ("s", 1_700_000_000_000)
    assert (spec.queue, spec.name, spec.timeout_ms, order.template.delay) == (
        "slow",
        "job",
        5000,
        "0",
    )


def test_jitter_is_the_same_for_all_who_ask() -> None:
    """A call that is repeated, or another leader, finds the same moment; slots differ."""
    made = scheduled(every=60, jitter=30)
    delays = {
        slot: int(made.order(slot, shard=0).template.delay.removeprefix("@")) - slot
        for slot in range(60_000, 60_000 * 21, 60_000)
    }

    assert all(0 <= delay < 30_000 for delay in delays.values())
    assert len(set(delays.values())) > 10
    assert made.order(60_000, shard=0).template.delay == f"@{60_000 + delays[60_000]}"
    assert made.order(0, shard=0).template.delay == "0", "by hand is now"
