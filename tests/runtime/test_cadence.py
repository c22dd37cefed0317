"""Which beats are brief: never where a full one would learn something that cannot wait."""

from __future__ import annotations

import pytest

from coordq.runtime.cadence import Cadence

BEAT_S = 2.0
SENT_S = 1000.0
HEARD_S = 1000.01
NOW_MS = 1_700_000_000_000


def after_a_full_beat(
    *, lease_s: float = 10.0, heard_s: float = HEARD_S, lapse_s: float | None = None
) -> Cadence:
    """A worker whose full beat has just been answered."""
    cadence = Cadence(beat_s=BEAT_S, lease_s=lease_s)
    cadence.full(sent_s=SENT_S, heard_s=heard_s, now_ms=NOW_MS)
    if lapse_s is not None:
        cadence.lapse_s = lapse_s
    return cadence


def kinds(cadence: Cadence, beats: int, *, first_s: float, pause_s: float) -> str:
    """So many beats, one letter each: b is brief, F is full."""
    said = ""
    for number in range(beats):
        now_s = first_s + number * pause_s
        if cadence.may_be_brief(now_s):
            cadence.brief(short=False)
            said += "b"
        else:
            cadence.full(sent_s=now_s, heard_s=now_s + 0.01, now_ms=NOW_MS)
            said += "F"
    return said


@pytest.mark.parametrize("jitter", [0.98, 1.0, 1.02])
def test_two_brief_beats_follow_a_full_one(jitter: float) -> None:
    """That is what makes a thousand workers cheap; beats are never exactly on time."""
    cadence = Cadence(beat_s=BEAT_S, lease_s=10.0)

    assert kinds(cadence, 9, first_s=5.0, pause_s=BEAT_S * jitter) == "FbbFbbFbb"


def test_a_worker_begins_with_a_full_beat() -> None:
    """Redis does not know it, and it does not know what time it is there."""
    assert not Cadence(beat_s=BEAT_S, lease_s=10.0).may_be_brief(0.0)


@pytest.mark.parametrize("lease_s", [6.0, 9.99])
def test_a_lease_of_few_beats_leaves_no_time_for_brief_ones(lease_s: float) -> None:
    """Who has it so short wants to know of every lapse and every loss."""
    cadence = after_a_full_beat(lease_s=lease_s)

    assert kinds(cadence, 4, first_s=SENT_S + BEAT_S, pause_s=BEAT_S) == "FFFF"


def test_what_was_interrupted_goes_on_with_a_full_beat() -> None:
    """It was not answered, or others wait for what there is to tell."""
    cadence = after_a_full_beat()

    cadence.interrupt()

    assert not cadence.may_be_brief(SENT_S + BEAT_S)


def test_after_a_claim_was_not_kept_it_is_asked_which() -> None:
    """Its work must stop, and only a full beat knows what to stop."""
    cadence = after_a_full_beat()

    cadence.brief(short=True)

    assert not cadence.may_be_brief(SENT_S + 2 * BEAT_S)


@pytest.mark.parametrize(("left_s", "brief"), [(5.0, True), (2.5, True), (1.9, False), (-1, False)])
def test_a_lapse_before_the_next_beat_makes_this_one_full(left_s: float, brief: bool) -> None:  # noqa: FBT001 - a row
    """Without a leader workers take claims back, and that at once."""
    now_s = SENT_S + BEAT_S
    cadence = after_a_full_beat(lapse_s=now_s + left_s)

    assert cadence.may_be_brief(now_s) is brief


def test_all_claims_of_a_calm_fleet_are_kept_with_brief_beats() -> None:
    """A full beat sees the oldest lease four beats from its end: that is far enough for two."""
    cadence = after_a_full_beat(lapse_s=SENT_S + 3.97 * BEAT_S)

    assert kinds(cadence, 3, first_s=SENT_S + 1.02 * BEAT_S, pause_s=1.02 * BEAT_S) == "bbF"


def test_a_beat_that_is_late_is_full() -> None:
    """The machine is busy, or was stopped: what it knows may be old."""
    cadence = after_a_full_beat()

    assert cadence.may_be_brief(SENT_S + 1.2 * BEAT_S)
    assert not cadence.may_be_brief(SENT_S + 1.3 * BEAT_S)


def test_a_slow_answer_tells_too_little_about_the_time() -> None:
    """A moment that is a second behind would look like a second of silence."""
    cadence = after_a_full_beat(heard_s=SENT_S + 1.0)

    assert cadence.lag_s == 1.0
    assert not cadence.may_be_brief(SENT_S + BEAT_S)


def test_the_moment_counts_from_when_the_answer_was_heard() -> None:
    """It was true when Redis said so, which was earlier: so it is never ahead."""
    cadence = after_a_full_beat(heard_s=SENT_S + 0.4)

    assert cadence.redis_ms(SENT_S + 0.4) == NOW_MS
    assert cadence.redis_ms(SENT_S + 2.4) == NOW_MS + 2000
