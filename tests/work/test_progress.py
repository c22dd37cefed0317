"""How far a task is: what a handler may say, and what a reader can tell from it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidInput
from coordq.interfaces.show import progress_line
from coordq.work.progress import BLOCKERS_MAX, MESSAGE_MAX, Progress, read_progress, say

NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)


@given(
    NUMBERS, st.none() | NUMBERS, st.text(max_size=20), st.lists(st.text(max_size=5), max_size=3)
)
def test_what_is_said_is_what_is_read(
    done: float, total: float | None, message: str, blockers: list[str]
) -> None:
    """Through JSON and back: nothing a handler said gets lost on the way."""
    said = say(done, total, message, blockers=blockers, remaining=timedelta(seconds=3))
    assert read_progress(json.loads(json.dumps(said.to_json()))) == said


def test_the_fraction_stays_between_nothing_and_all() -> None:
    """A handler may find more work than it thought; a bar must not run over."""
    assert [Progress(done, 10).fraction for done in (-5, 0, 4, 10, 12)] == [0, 0, 0.4, 1, 1]
    assert Progress(3).fraction is None
    assert Progress(3, 0).fraction is None


def test_the_rest_is_reckoned_from_the_pace_unless_the_task_knows_better() -> None:
    """A third in ten seconds leaves twenty; an estimate of its own comes first."""
    assert Progress(1, 3).left_s(10) == pytest.approx(20)
    assert Progress(1, 3, remaining_s=7).left_s(10) == 7
    assert Progress(0, 3).left_s(10) is None
    assert Progress(5).left_s(10) is None


def test_long_words_are_cut_and_not_refused() -> None:
    """Progress is no reason to fail a task."""
    said = say(1, message="x" * 9999, blockers=["y" * 9999] * 99)
    assert len(said.message) == MESSAGE_MAX
    assert [len(one) for one in said.blockers] == [MESSAGE_MAX] * BLOCKERS_MAX


@pytest.mark.parametrize(
    "given_",
    [
        {"done": "3"},
        {"done": True},
        {"done": 1, "total": float("nan")},
        {"done": 1, "remaining": float("inf")},
        {"done": 1, "remaining": -1},
        {"done": 1, "remaining": "soon"},
        {"done": 1, "unit": 3},
        {"done": 1, "blockers": "a key"},
        {"done": 1, "blockers": [3]},
    ],
)
def test_what_makes_no_sense_is_refused_in_the_handler(given_: dict[str, Any]) -> None:
    """Where it can be seen, and before anybody reads it."""
    with pytest.raises(InvalidInput, match="progress"):
        say(**given_)


@pytest.mark.parametrize("facts", [None, {}, {"done": "x"}, {"done": None, "total": 3}])
def test_what_coordq_did_not_write_is_no_progress(facts: dict[str, Any] | None) -> None:
    """A stranger's key is shown as nothing, not as a traceback."""
    assert read_progress(facts) is None
    assert progress_line(facts) == ""


def test_a_person_reads_it_in_one_line() -> None:
    """Amounts with their unit, what is done, what it waits for, how long it takes."""
    said = say(30, 100, "fetching", unit="files", blockers=["a key"], remaining=40)
    assert progress_line(said.to_json()) == (
        "30 of 100 files (30 %): fetching; waits for a key; 40.0s left, it says"
    )
    assert progress_line(say(3, unit="files").to_json()) == "3 files"
