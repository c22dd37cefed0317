"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidOption, InvalidTime
from coordq.work.backoff import DELAY_MAX_S, FACTOR_MAX, Backoff
from coordq.work.signals import Reject, Retry, Snooze

delays = st.floats(0, DELAY_MAX_S)
jitters = st.sampled_from(["full", "equal", "none"])
policies = st.one_of(
    st.builds(
        Backoff.exponential, delays, factor=st.floats(1, FACTOR_MAX), max=delays, jitter=jitters
    ),
    st.builds(Backoff.linear, delays, step=delays, max=delays, jitter=jitters),
    st.builds(Backoff.fixed, delays, jitter=jitters),
    st.builds(Backoff.steps, st.lists(delays, min_size=1, max_size=50), jitter=jitters),
)


def test_exponential_doubles_up_to_its_maximum() -> None:
    """The default shape: quick at first, patient later, never longer than the maximum."""
    backoff = Backoff.exponential(1, max=10, jitter="none")

    assert [backoff.delay(attempt) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_linear_adds_a_step_each_time() -> None:
    """For services whose quota refills evenly."""
    backoff = Backoff.linear(1, step=2, max=6, jitter="none")

    assert [backoff.delay(attempt) for attempt in range(1, 5)] == [1, 3, 5, 6]


def test_fixed_is_the_same_every_time() -> None:
    """For polling."""
    assert [Backoff.fixed(5).delay(attempt) for attempt in (1, 2, 99)] == [5, 5, 5]


def test_steps_are_taken_one_by_one_and_the_last_repeats() -> None:
    """For schedules that a human has thought about."""
    backoff = Backoff.steps([1, timedelta(minutes=1), 3600])

    assert [backoff.delay(attempt) for attempt in range(1, 6)] == [1, 60, 3600, 3600, 3600]


def test_full_jitter_spreads_over_the_whole_wait() -> None:
    """A thousand tasks that failed together do not come back together."""
    chance = random.Random(1).random
    waits = [Backoff.fixed(100, jitter="full").delay(1, chance) for _ in range(1000)]

    assert min(waits) < 5
    assert max(waits) > 95


def test_equal_jitter_keeps_half_of_the_wait() -> None:
    """When coming back at once would be rude."""
    chance = random.Random(1).random
    waits = [Backoff.fixed(100, jitter="equal").delay(1, chance) for _ in range(1000)]

    assert 50 <= min(waits) < 55
    assert max(waits) > 95


@given(policies, st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_every_wait_lies_between_nothing_and_a_year(
    backoff: Backoff, attempt: int, chance: float
) -> None:
    """Whatever the policy and however late the attempt: no overflow, nothing negative."""
    assert 0 <= backoff.delay(attempt, lambda: chance) <= DELAY_MAX_S


@given(policies, st.integers(1, 5_000))
def test_waits_that_grow_never_shrink(backoff: Backoff, attempt: int) -> None:
    """Except for listed steps, a later failure never means a shorter ceiling."""
    if backoff.kind != "steps":
        assert backoff.ceiling(attempt) <= backoff.ceiling(attempt + 1)


@given(policies)
def test_a_policy_survives_its_token(backoff: Backoff) -> None:
    """What a producer asked for is what a worker that lacks the code will do."""
    assert Backoff.decode(backoff.encode()) == backoff


@given(policies)
def test_a_token_fits_into_the_record(backoff: Backoff) -> None:
    """The record's spec line is split at spaces and at the first '='."""
    assert not set(backoff.encode()) & set(" =\n|")


def test_what_a_kind_does_not_use_makes_no_difference() -> None:
    """Equal behaviour is an equal value."""
    assert Backoff(base=5, factor=7, max=9, step=3, kind="fixed") == Backoff.fixed(5, jitter="full")


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": -1},
        {"base": float("nan")},
        {"base": float("inf")},
        {"base": "1"},
        {"base": True},
        {"base": DELAY_MAX_S + 1},
        {"max": -0.1},
        {"factor": 0.5},
        {"factor": float("nan")},
        {"factor": 1e9},
        {"factor": "2"},
        {"jitter": "some"},
        {"kind": "cubic"},
        {"kind": "steps"},
        {"kind": "steps", "delays": (1,) * 51},
        {"delays": (1, 2)},
        {"step": -5},
    ],
    ids=repr,
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """At once, where it is written, and not when the first task fails."""
    with pytest.raises(InvalidOption):
        Backoff(**wrong)


@pytest.mark.parametrize(
    "text",
    [
        "e",
        "e:1:2:3",
        "e:1000:2:600000:x",
        "e:-1:2:3:f",
        "e:1:nan:3:f",
        "e:1:2:3:f:",
        "q:1:n",
        "s::n",
        "s:1,,2:n",
        "c:1.5:n",
        "c:99999999999999:n",
        "e:1_000:2:3:f",
        "l:1:2:n",
        "c:१:n",
        "",
    ],
)
def test_a_token_we_did_not_write_is_refused(text: str) -> None:
    """A record that somebody else wrote must not turn into a surprising wait."""
    with pytest.raises(InvalidOption):
        Backoff.decode(text)


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "5", True, 1e12, None])
def test_a_signal_that_cannot_be_waited_for_is_refused(wrong: Any) -> None:
    """The handler that raised it fails with a clear message, rather than sleeping for ever."""
    with pytest.raises(InvalidTime):
        Snooze(wrong)
    if wrong is not None:
        with pytest.raises(InvalidTime):
            Retry(wrong)


def test_signals_take_timedeltas_as_well() -> None:
    """Units in the type are better than units in a comment."""
    assert Snooze(timedelta(minutes=2)).seconds == 120
    assert Retry(timedelta(seconds=3)).after == 3
    assert Retry().after is None


def test_a_reason_is_text() -> None:
    """It ends up in a list that a human reads."""
    with pytest.raises(InvalidOption):
        Reject(404)  # type: ignore[arg-type]
