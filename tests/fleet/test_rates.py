"""From what queues and workers count to rates, percentiles and overhead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.rates import COUNTERS, Meter, percentile_ms


def counters(**amounts: int) -> dict[str, int]:
    """A queue's counters."""
    return {**dict.fromkeys(COUNTERS, 0), **amounts}


def info(**facts: Any) -> dict[str, Any]:
    """What a worker of four slots says."""
    return {"started_ms": 1, "slots": 4, "running": 0, "held_ms": 0, "worked_ms": 0, **facts}


def test_a_rate_is_right_from_the_second_look_on() -> None:
    """An average that has to warm up shows a restarted leader's fleet as idle."""
    meter = Meter()
    meter.look(0, {"mail": counters(enqueued=900, succeeded=500)}, {})

    facts = meter.look(5, {"mail": counters(enqueued=950, succeeded=520, failed=5)}, {})

    assert (facts["enqueued_s"], facts["ended_s"]) == (10, 5)
    assert facts["queues"]["mail"]["failed_s"] == 1


def test_what_is_a_minute_old_counts_a_third() -> None:
    """A burst is not seen for ever, and not forgotten at once."""
    meter = Meter()
    meter.look(0, {"mail": counters()}, {})
    at_once = meter.look(5, {"mail": counters(enqueued=600)}, {})["enqueued_s"]

    later = meter.look(65, {"mail": counters(enqueued=600)}, {})["enqueued_s"]

    assert at_once == 120
    assert later == pytest.approx(600 * 0.368 / (60 + 5 * 0.368), abs=0.02)


def test_a_new_leader_takes_nothing_for_new() -> None:
    """What was counted before it looked did not happen just now."""
    facts = Meter().look(0, {"mail": counters(enqueued=10**9)}, {"w": info(succeeded=10**9)})

    assert facts["enqueued_s"] == 0
    assert facts["workers"]["w"]["ended_s"] == 0


def test_counters_that_shrink_are_no_rate_below_nothing() -> None:
    """An auditor corrects, a failover rolls back, an operator flushes."""
    meter = Meter()
    meter.look(0, {"mail": counters(enqueued=100)}, {"w": info(held_ms=50, runs=[5, 9])})

    facts = meter.look(5, {"mail": counters(enqueued=7)}, {"w": info(held_ms=2, runs=[1])})

    assert facts["enqueued_s"] == 0
    assert facts["overhead_percent"] is None


def test_a_worker_that_was_started_anew_has_begun_at_nothing() -> None:
    """Under the same name, in a container: what it counts now is what it has done since."""
    meter = Meter()
    meter.look(0, {}, {"w": info(succeeded=100)})

    facts = meter.look(5, {}, {"w": info(started_ms=2, succeeded=20)})

    assert facts["workers"]["w"]["ended_s"] == 4


def test_a_queue_that_is_new_has_begun_at_nothing() -> None:
    """Its first burst is often its only one."""
    meter = Meter()
    meter.look(0, {}, {})

    facts = meter.look(5, {"mail": counters(enqueued=50)}, {})

    assert facts["enqueued_s"] == facts["queues"]["mail"]["enqueued_s"] == 10


def test_slots_that_are_gone_were_there() -> None:
    """When half of the fleet dies, the other half was not twice as busy before."""
    meter = Meter()
    meter.look(0, {}, {"a": info(), "b": info()})
    half = {"held_ms": 10_000, "worked_ms": 10_000}
    meter.look(5, {}, {"a": info(**half), "b": info(**half)})

    facts = meter.look(5.001, {}, {"a": info(**half)})

    assert facts["worked_percent"] == 50


def test_overhead_is_the_time_that_slots_were_held_for_nothing() -> None:
    """Of 10 s in which slots were held, handlers worked 9."""
    meter = Meter()
    meter.look(0, {}, {"a": info(), "b": info()})

    facts = meter.look(
        5,
        {},
        {
            "a": info(running=1, held_ms=6000, worked_ms=5900),
            "b": info(running=2, held_ms=4000, worked_ms=3100),
        },
    )

    assert facts["overhead_percent"] == 10
    assert facts["workers"]["b"]["overhead_percent"] == 22.5
    assert (facts["busy"], facts["slots"], facts["busy_percent"]) == (3, 8, 37.5)
    assert facts["worked_percent"] == 22.5  # 9 s of 5 s times 8 slots


def test_who_is_gone_is_forgotten_and_what_it_did_is_not() -> None:
    """The report must not grow for ever, and the fleet's last minute was what it was."""
    meter = Meter()
    meter.look(0, {}, {"a": info()})
    meter.look(5, {}, {"a": info(held_ms=1000, worked_ms=500)})

    facts = meter.look(6, {}, {})

    assert facts["workers"] == {}
    assert facts["overhead_percent"] == 50


def test_percentiles_come_from_what_was_added() -> None:
    """The slow start of yesterday is not the latency of now."""
    meter = Meter()
    meter.look(0, {}, {"a": info(runs=[0] * 20 + [50])})

    facts = meter.look(5, {}, {"a": info(runs=[0] * 10 + [98, 0, 0, 2] + [0] * 6 + [50])})

    assert facts["run_ms"]["p50"] == pytest.approx(0.77, abs=0.01)
    assert facts["run_ms"]["p99"] == pytest.approx(6.144, abs=0.01)
    assert facts["wait_ms"] == {"p50": None, "p95": None, "p99": None}


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_right_within_a_factor_of_two(took_us: list[int], percent: int) -> None:
    """That is what buckets that double promise."""
    counts = [0.0] * 40
    for one in took_us:
        counts[one.bit_length()] += 1
    ordered = sorted(took_us)
    exact_ms = ordered[max(0, -(-len(ordered) * percent // 100) - 1)] / 1000

    found_ms = percentile_ms(counts, percent)

    assert found_ms is not None
    assert exact_ms / 2 - 0.001 <= found_ms <= exact_ms * 2 + 0.001


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
        max_leaves=5,
    )
)
def test_whatever_a_stranger_says_of_itself_does_no_harm(value: Any) -> None:
    """An info of another version, or of no worker at all."""
    meter = Meter()
    odd = dict.fromkeys(("slots", "running", "held_ms", "runs", "waits", "started_ms"), value)
    meter.look(0, {}, {"w": info()})

    facts = meter.look(5, {}, {"w": odd, "v": odd})

    assert set(facts["workers"]) == {"w", "v"}


def test_a_look_at_the_same_moment_is_no_division_by_nothing() -> None:
    """Clocks have grain."""
    meter = Meter()
    meter.look(5, {"q": counters()}, {"w": info()})

    assert meter.look(5, {"q": counters(enqueued=1)}, {"w": info(held_ms=1)})["enqueued_s"] == 0
