"""How much a silence means: phi, its bounds, and what damps it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.suspicion import (
    DEAD_BEATS,
    DEAD_PHI,
    HALF_LIFE_MS,
    PHI_MAX,
    SUSPECT_BEATS,
    SUSPECT_PHI,
    WINDOW,
    Damper,
    Rhythm,
)

intervals = st.lists(st.floats(1, 100_000), max_size=200)
beats = st.floats(50, 60_000)


def heard(rhythm: Rhythm, *gaps: float) -> Rhythm:
    """A rhythm after so many beats."""
    for gap in gaps:
        rhythm.hear(gap)
    return rhythm


@given(beats, intervals)
def test_decisions_stay_within_their_bounds(beat_ms: float, gaps: list[float]) -> None:
    """Whatever a worker did: what was promised about detection holds for it."""
    rhythm = heard(Rhythm(beat_ms), *gaps)

    assert SUSPECT_BEATS[0] * beat_ms <= rhythm.suspect_ms <= SUSPECT_BEATS[1] * beat_ms
    assert DEAD_BEATS[0] * beat_ms <= rhythm.dead_ms <= DEAD_BEATS[1] * beat_ms
    assert rhythm.suspect_ms < rhythm.dead_ms


@given(beats, intervals, st.floats(0, 10**7), st.floats(0, 10**7))
def test_phi_grows_with_the_silence(
    beat_ms: float, gaps: list[float], one: float, other: float
) -> None:
    """A longer silence never tells less."""
    rhythm = heard(Rhythm(beat_ms), *gaps)
    shorter, longer = sorted((one, other))

    assert 0 <= rhythm.phi(shorter) <= rhythm.phi(longer) <= PHI_MAX


def test_between_the_bounds_it_is_phi_that_decides() -> None:
    """The limits are where phi reaches 8 and 12, not numbers of their own."""
    rhythm = heard(Rhythm(1000), *([650, 1350] * 20))

    assert rhythm.phi(rhythm.suspect_ms) == pytest.approx(SUSPECT_PHI, abs=0.01)
    assert rhythm.phi(rhythm.dead_ms) == pytest.approx(DEAD_PHI, abs=0.01)


def test_phi_is_what_the_paper_says() -> None:
    """-log10 of the chance that a beat comes even later."""
    rhythm = heard(Rhythm(1000), *([600, 1400] * 20))
    later = math.erfc((2000 - 1000) / (400 * math.sqrt(2))) / 2

    assert rhythm.deviation_ms == pytest.approx(400)
    assert rhythm.phi(2000) == pytest.approx(-math.log10(later))
    assert rhythm.phi(1000) == pytest.approx(-math.log10(0.5))


def test_an_unsteady_worker_is_given_more_time() -> None:
    """Adaptive: that is what phi is for."""
    steady = heard(Rhythm(1000), *([1000] * 20))
    unsteady = heard(Rhythm(1000), *([600, 1400] * 10))

    assert steady.suspect_ms < unsteady.suspect_ms
    assert steady.phi(2500) > unsteady.phi(2500)


def test_a_worker_is_judged_before_it_was_heard_twice() -> None:
    """One that dies right after its first beat is missed as any other."""
    fresh = Rhythm(2000)

    assert fresh.suspect_ms == pytest.approx(2000 + 5.612 * 500)
    assert fresh.dead_ms == 6000


def test_beats_out_of_turn_are_not_the_rhythm() -> None:
    """A worker that has something to say beats early; that must not make it look fast."""
    rhythm = heard(Rhythm(1000), *([1000, 10, 990] * 20))

    assert rhythm.mean_ms > 900


def test_a_worker_of_0_1_is_learnt_from_its_beats() -> None:
    """It does not say how often it beats: at first a third of its lease is believed."""
    rhythm = Rhythm(3333, promised=False)
    patient_ms = rhythm.dead_ms
    heard(rhythm, *([2000] * 5))

    assert patient_ms == pytest.approx(3 * 3333)
    assert rhythm.beat_ms == 2000
    assert rhythm.dead_ms == 6000


def test_only_the_last_intervals_count() -> None:
    """A bad hour is forgotten."""
    rhythm = heard(Rhythm(1000), *([3000] * 50), *([1000] * WINDOW))

    assert rhythm.mean_ms == pytest.approx(1000)
    assert rhythm.deviation_ms == 250


def test_three_recoveries_in_a_row_are_flapping() -> None:
    """Two are bad luck. It is said once."""
    damper = Damper()

    assert [damper.recover(ms) for ms in (0, 5000, 10_000, 15_000)] == [False, False, True, False]
    assert damper.flapping


def test_recoveries_far_apart_are_no_flapping() -> None:
    """Each is forgotten little by little."""
    damper = Damper()

    assert not any(damper.recover(turn * 3 * HALF_LIFE_MS) for turn in range(20))


def test_a_flapping_worker_calms_down() -> None:
    """After some minutes without suspicion, and that is said once."""
    damper = Damper()
    for ms in (0, 1, 2):
        damper.recover(ms)

    assert not damper.calm(HALF_LIFE_MS)
    assert damper.calm(3 * HALF_LIFE_MS)
    assert not damper.calm(3 * HALF_LIFE_MS)
