"""When the leader could not look: was Redis away, or the leader itself?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.gap import NO_GAP, Gap, judge_gap

NOW = 1_000_000
BEAT = 2000


def judged(
    gap_ms: int, *ages_ms: int, ours: bool = True, grace: bool = False, other: bool = False
) -> Gap:
    """The gap, given how long ago each worker last beat."""
    beats = [(NOW - age_ms, BEAT) for age_ms in ages_ms]
    return judge_gap(NOW, NOW - gap_ms, beats, ours=ours, grace=grace, other_server=other)


def test_between_two_looks_there_is_no_gap() -> None:
    """Half a second is how often it looks."""
    assert judged(500, 100, 1900) == NO_GAP


def test_a_first_look_knows_of_no_gap() -> None:
    """Nobody has ever looked before."""
    found = judge_gap(NOW, 0, [(1, BEAT)], ours=False, grace=False, other_server=False)

    assert found == NO_GAP


def test_nobody_heard_is_an_outage() -> None:
    """All last beats are from before it, or from the moment in which it began."""
    gap = judged(8000, 8300, 7500, 9000)

    assert (gap.kind, gap.excuses, gap.heard) == ("outage", True, 0)


def test_who_is_back_before_us_does_not_make_it_our_fault() -> None:
    """Workers found Redis again a moment earlier; one of them says that it had been away."""
    gap = judged(8000, 300, 100, 9000, grace=True)

    assert (gap.kind, gap.excuses) == ("outage", True)


def test_others_heard_all_the_while_make_it_our_fault() -> None:
    """Redis was there for them."""
    gap = judged(8000, 300, 1700, 1900)

    assert (gap.kind, gap.excuses, gap.heard) == ("cut-off", True, 3)


def test_a_brief_beat_that_lay_in_a_buffer_is_no_sign_of_life() -> None:
    """It was sent within a beat of the pause, and taken at its end: nobody was heard in between."""
    gap = judged(8000, 7900, 6700, 5100)

    assert (gap.kind, gap.excuses, gap.heard) == ("outage", True, 0)


def test_who_beats_seldom_may_have_sent_its_brief_beat_late() -> None:
    """How long a beat may have lain in a buffer is a matter of its worker's promise."""
    beats = [(NOW - 5500, 20_000.0), (NOW - 8100, 500.0)]

    gap = judge_gap(NOW, NOW - 8000, beats, ours=True, grace=False, other_server=False)

    assert (gap.kind, gap.heard) == ("outage", 0)


@pytest.mark.parametrize(("gap_ms", "kind"), [(5900, "pause"), (6100, "outage")])
def test_who_seems_to_be_heard_makes_an_outage_worth_telling_later(gap_ms: int, kind: str) -> None:
    """In so short a time nobody can be surely heard, whether Redis was there or not."""
    gap = judged(gap_ms, gap_ms - 1200, gap_ms - 2500)

    assert (gap.kind, gap.excuses, gap.heard) == (kind, True, 0)


def test_another_server_means_that_the_old_one_was_away() -> None:
    """A failover: whoever is heard was heard by the new one."""
    for gap_ms in (8000, 1200, 500):
        gap = judged(gap_ms, 300, 1700, other=True)
        assert (gap.kind, gap.moved, gap.excuses) == ("outage", True, True)


def test_a_change_of_leader_is_nobodys_fault() -> None:
    """The beats in between count, and nothing is told."""
    gap = judged(3500, 1700, 300, 4000, ours=False)

    assert (gap.kind, gap.excuses, gap.doubtful) == ("pause", False, True)


def test_in_doubt_silences_start_anew() -> None:
    """Beats of the last moment only: that is also what the end of an outage looks like."""
    gap = judged(3500, 900, 300, 4000, ours=False)

    assert (gap.kind, gap.excuses) == ("pause", True)


@pytest.mark.parametrize("gap_ms", [1600, 2500, 3900])
def test_a_short_pause_excuses_and_is_not_told(gap_ms: int) -> None:
    """A starved leader must not write the story of an outage."""
    gap = judged(gap_ms, gap_ms + 300, gap_ms + 900)

    assert (gap.kind, gap.excuses) == ("pause", True)


@given(
    st.integers(0, 60_000),
    st.lists(st.integers(0, 120_000), max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_what_is_told_is_also_excused(
    gap_ms: int,
    ages_ms: list[int],
    ours: bool,  # noqa: FBT001 - drawn
    grace: bool,  # noqa: FBT001 - drawn
) -> None:
    """Nobody is judged by an event that says it was not their fault."""
    gap = judged(gap_ms, *ages_ms, ours=ours, grace=grace)

    assert gap.excuses or gap.kind in {"none", "pause"}
