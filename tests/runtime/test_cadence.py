"""Which beats are brief: never where a full one would learn something that cannot wait."""

from __future__ import annotations

import pytest

from coordq.runtime.cadence import Cadence, Kind

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
    """So many beats, one letter each: k keeps, l looks, F is full."""
    said = ""
    for number in range(beats):
        now_s = first_s + number * pause_s
        kind = cadence.next(now_s)
        if kind is Kind.FULL:
            cadence.full(sent_s=now_s, heard_s=now_s + 0.01, now_ms=NOW_MS)
        elif kind is Kind.LOOK:
            cadence.looked(sent_s=now_s, heard_s=now_s + 0.01, now_ms=NOW_MS)
        else:
            cadence.kept(sent_s=now_s)
        said += {Kind.FULL: "F", Kind.LOOK: "l", Kind.KEEP: "k"}[kind]
    return said


@pytest.mark.parametrize("jitter", [0.98, 1.0, 1.02])
def test_every_third_beat_looks_and_none_needs_the_script(jitter: float) -> None:
    """That is what makes a thousand workers cheap; beats are never exactly on time."""
    cadence = Cadence(beat_s=BEAT_S, lease_s=10.0)

    assert kinds(cadence, 10, first_s=5.0, pause_s=BEAT_S * jitter) == "Fkklkklkkl"


def test_a_worker_begins_with_a_full_beat() -> None:
    """Redis does not know it, and it does not know what time it is there."""
    assert Cadence(beat_s=BEAT_S, lease_s=10.0).next(0.0) is Kind.FULL


@pytest.mark.parametrize("lease_s", [6.0, 9.99])
def test_a_lease_of_few_beats_leaves_no_time_for_brief_ones(lease_s: float) -> None:
    """Who has it so short wants to know of every lapse and every loss."""
    cadence = after_a_full_beat(lease_s=lease_s)

    assert kinds(cadence, 4, first_s=SENT_S + BEAT_S, pause_s=BEAT_S) == "FFFF"


def test_what_was_interrupted_goes_on_with_a_full_beat() -> None:
    """It was not answered, or others wait for what there is to tell."""
    cadence = after_a_full_beat()

    cadence.interrupt()

    assert cadence.next(SENT_S + BEAT_S) is Kind.FULL


@pytest.mark.parametrize(
    ("left_s", "kind"),
    [(5.0, Kind.KEEP), (2.5, Kind.KEEP), (1.9, Kind.LOOK), (0.1, Kind.LOOK), (-1, Kind.FULL)],
)
def test_a_lapse_before_the_next_beat_is_looked_at(left_s: float, kind: Kind) -> None:
    """It may have been kept meanwhile. Without a leader workers take it back at once."""
    now_s = SENT_S + BEAT_S
    cadence = after_a_full_beat(lapse_s=now_s + left_s)

    assert cadence.next(now_s) is kind


def test_all_claims_of_a_calm_fleet_are_kept_with_brief_beats() -> None:
    """Who looks sees the oldest lease four beats from its end: that is far enough for two."""
    cadence = after_a_full_beat(lapse_s=SENT_S + 3.97 * BEAT_S)

    assert kinds(cadence, 3, first_s=SENT_S + 1.02 * BEAT_S, pause_s=1.02 * BEAT_S) == "kkl"


def test_a_beat_that_is_late_is_full() -> None:
    """The machine is busy, or was stopped: what it knows may be old."""
    cadence = after_a_full_beat()

    assert cadence.next(SENT_S + 1.2 * BEAT_S) is Kind.KEEP
    assert cadence.next(SENT_S + 1.3 * BEAT_S) is Kind.FULL


def test_lateness_does_not_add_up() -> None:
    """Each beat a tenth late is a slow machine, and no reason for the script."""
    cadence = after_a_full_beat()

    assert kinds(cadence, 6, first_s=SENT_S + 1.1 * BEAT_S, pause_s=1.1 * BEAT_S) == "kklkkl"


def test_a_slow_answer_tells_too_little_about_the_time() -> None:
    """A moment that is a second behind would look like a second of silence."""
    cadence = after_a_full_beat(heard_s=SENT_S + 1.0)

    assert cadence.lag_s == 1.0
    assert cadence.next(SENT_S + BEAT_S) is Kind.FULL


def test_the_moment_counts_from_when_the_answer_was_heard() -> None:
    """It was true when Redis said so, which was earlier: so it is never ahead."""
    cadence = after_a_full_beat(heard_s=SENT_S + 0.4)

    assert cadence.redis_ms(SENT_S + 0.4) == NOW_MS
    assert cadence.redis_ms(SENT_S + 2.4) == NOW_MS + 2000


def test_a_look_sets_the_time_right() -> None:
    """Clocks drift, and Redis's may be set: what is counted on from is a few beats old at most."""
    cadence = after_a_full_beat()

    cadence.looked(sent_s=SENT_S + 6.0, heard_s=SENT_S + 6.1, now_ms=NOW_MS + 5000)

    assert cadence.redis_ms(SENT_S + 7.1) == NOW_MS + 6000
