"""What a child spends its time on: exact while it lasts, and the same when nothing happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from coordq import clock
from coordq.client.client import Client
from coordq.ids import new_id
from coordq.runtime.ledger import BUCKETS, Histogram, Ledger, Word
from coordq.runtime.stopwatch import Stopwatch, shortened
from coordq.work.claim import Claim
from coordq.work.spec import Spec
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until


class Hour:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Hour:
    """The clock that the stopwatch reads."""
    hour = Hour()
    monkeypatch.setattr(clock, "monotonic", hour)
    return hour


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Where a stopwatch notes its sums."""
    ledger = Ledger.create(slots=1, shards=1)
    yield ledger
    ledger.close()


def sums(watch: Stopwatch, ledger: Ledger, *begun: float) -> tuple[int, int]:
    """Held and worked, in milliseconds."""
    watch.note(ledger, begun)
    return ledger.get(Word.HELD_MS), ledger.get(Word.WORKED_MS)


def test_a_long_run_counts_while_it_lasts(hour: Hour, ledger: Ledger) -> None:
    """A handler that works for an hour is not an hour of overhead until it is done."""
    watch = Stopwatch()
    watch.hold(2)
    hour.now += 1
    began = hour.now
    hour.now += 2

    assert sums(watch, ledger, began) == (6000, 2000)

    watch.ran(2)
    hour.now += 1
    watch.hold(0)
    hour.now += 50

    assert sums(watch, ledger) == (8000, 2000)


def test_runs_are_counted_in_buckets_that_double(ledger: Ledger) -> None:
    """Bucket n: less than 2**n microseconds."""
    watch = Stopwatch()
    for took_s in (0.0, 0.001, 0.0015, 60):
        watch.ran(took_s)

    watch.note(ledger)

    counts = ledger.histogram(Histogram.RUNS)
    assert {at: amount for at, amount in enumerate(counts) if amount} == {0: 1, 10: 1, 11: 1, 26: 1}
    assert ledger.histogram(Histogram.WAITS) == [0] * BUCKETS


def test_of_very_many_runs_some_speak_for_all(ledger: Ledger) -> None:
    """The sum is exact, the histogram is not: of so many it need not be."""
    watch = Stopwatch()
    for _ in range(10_000):
        watch.ran(0.001)

    assert sums(watch, ledger)[1] in {9999, 10_000}
    assert sum(ledger.histogram(Histogram.RUNS)) == pytest.approx(10_000, rel=0.01)


def claim(*, version: int = 2) -> Claim:
    """A claim of a task that was made just now."""
    task_id = new_id()
    return Claim(task_id, 7, version, 1, 0, Spec("default", "job"), b"{}", f"{task_id}|7")


def test_waits_count_from_the_birth_of_fresh_tasks(ledger: Ledger) -> None:
    """Of a task that was retried or delayed nobody knows here since when it is ready."""
    watch = Stopwatch()
    fresh, moved = claim(), claim(version=4)
    born_ms = int(fresh.id[:9], 32)

    watch.waited([fresh], born_ms + 8)
    watch.waited([moved], born_ms + 8)
    watch.waited([fresh], born_ms - 5000)
    watch.note(ledger)

    counts = ledger.histogram(Histogram.WAITS)
    assert {at: amount for at, amount in enumerate(counts) if amount} == {0: 1, 13: 1}


def test_of_those_claimed_together_one_speaks_for_all(ledger: Ledger) -> None:
    """They stood in line together: asking each would cost more than it tells."""
    watch = Stopwatch()
    many = [claim() for _ in range(40)]

    watch.waited(many, int(many[-1].id[:9], 32) + 100)
    watch.note(ledger)

    assert sum(ledger.histogram(Histogram.WAITS)) == len(many)


def test_histograms_travel_without_their_empty_end() -> None:
    """An info is sent with every beat of a busy worker."""
    assert shortened([0, 3, 0, 1, 0, 0]) == [0, 3, 0, 1]
    assert shortened([0, 0]) == []


def test_a_worker_tells_its_times_and_says_nothing_new_while_it_idles(
    client: Client, new_fleet: NewFleet
) -> None:
    """Those of children that are gone are kept, and an idle worker's info is sent once."""
    fleet = new_fleet(max_tasks=3, beat_s=0.2, lease_s=60)
    for _ in range(7):
        client.work.run("echo", {"text": "x"}, wait_for=60)

    info: Any = wait_until(
        lambda: (now := _info(client))["succeeded"] == 7 and now, what="the sums"
    )

    assert sum(info["runs"]) == sum(info["waits"]) == 7
    assert 0 <= info["worked_ms"] <= info["held_ms"]
    fleet.wait_for("is replaced", times=2)
    wait_until(lambda: _says_nothing_new(client), what="a beat without news")


def _says_nothing_new(client: Client) -> bool:
    """Whether an idle worker says after its next beat what it says now."""
    info, beats = _info(client), _beats(client)
    wait_until(lambda: _beats(client) > beats, what="another beat")
    return info["running"] == 0 and _settled(info) and _info(client) == info


def _info(client: Client) -> dict[str, Any]:
    (worker,) = client.work.workers()
    return worker.info


def _settled(info: dict[str, Any]) -> bool:
    """All children serve."""
    children = info["children"]
    assert isinstance(children, list)
    return [child["state"] for child in children] == ["serving"]


def _beats(client: Client) -> float:
    key = f"cq:{{{client.namespace}.0}}:workers"
    return float(client.engine.execute(0, "ZRANGE", key, 0, 0, "WITHSCORES")[1])
