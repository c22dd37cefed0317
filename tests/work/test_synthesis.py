"""Several answers to one question, put side by side: counted, never averaged, never smoothed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidInput
from coordq.work.synthesis import Answer, synthesize

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


def said(*values: Any) -> list[Answer]:
    """Agents a, b, c, ... each with one answer."""
    return [Answer("abcdefgh"[i], value) for i, value in enumerate(values)]


def test_equal_answers_stand_together_and_are_counted() -> None:
    """Agreement is how many said the same, in whatever order JSON puts its keys."""
    seen = synthesize(said({"risk": 1, "why": "x"}, {"why": "x", "risk": 1.0}, {"risk": 2}))
    assert [opinion.agents for opinion in seen.opinions] == [("a", "b"), ("c",)]
    assert seen.majority is seen.opinions[0]
    assert seen.dissent == (seen.opinions[1],)


def test_scores_are_not_averaged() -> None:
    """Three different numbers are three opinions: the mean is what nobody said."""
    seen = synthesize(said(0.2, 0.5, 0.8))
    assert [opinion.value for opinion in seen.opinions] == [0.2, 0.5, 0.8]
    assert seen.majority is None
    assert seen.to_json()["majority"] is None


def test_half_is_no_majority() -> None:
    """Two against two: a consensus must not be invented by who came first."""
    seen = synthesize(said("yes", "no", "yes", "no"))
    assert seen.majority is None
    assert seen.dissent == seen.opinions


def test_who_is_silent_does_not_agree() -> None:
    """Two of five who were asked are no majority, though nobody who spoke objects."""
    seen = synthesize(said("yes", "yes"), asked=["a", "b", "c", "d", "e"])
    assert seen.silent == ("c", "d", "e")
    assert not seen.unanimous
    assert seen.majority is None


def test_one_agent_has_one_voice() -> None:
    """An agent that repeats itself must not outvote two others."""
    answers = [
        Answer("loud", "no"),
        Answer("loud", "no"),
        Answer("loud", "no"),
        *said("yes", "yes"),
    ]
    seen = synthesize(answers)
    assert seen.majority is not None
    assert seen.majority.value == "yes"
    assert sum(len(opinion.answers) for opinion in seen.opinions) == len(answers)


def test_an_agent_that_contradicts_itself_stands_behind_neither() -> None:
    """Its answers are shown, but they make no majority."""
    seen = synthesize([Answer("torn", "yes"), Answer("torn", "no"), Answer("sure", "yes")])
    assert seen.torn == ("torn",)
    assert seen.majority is None


def test_evidence_stays_with_the_answer_it_was_given_for() -> None:
    """What an opinion rests on is everything its holders brought, each piece once."""
    first = Answer("a", "yes", evidence=("page 3", "log 7"), task="t1", about={"score": 0.9})
    second = Answer("b", "yes", evidence=("log 7", "page 9"))
    seen = synthesize([first, second, Answer("c", "no", evidence=("page 4",))])
    assert seen.opinions[0].evidence == ("page 3", "log 7", "page 9")
    assert seen.to_json()["opinions"][0]["answers"][0]["about"] == {"score": 0.9}


def test_sameness_may_be_told() -> None:
    """For words, spelling is not an opinion."""
    seen = synthesize(said("Yes", "yes ", "no"), same=lambda text: text.strip().casefold())
    assert [opinion.agents for opinion in seen.opinions] == [("a", "b"), ("c",)]
    assert seen.opinions[0].value == "Yes"


def test_true_is_not_one() -> None:
    """Python thinks so; JSON and people do not."""
    assert len(synthesize(said(*[True, 1, "1", None])).opinions) == 4


@given(st.lists(st.tuples(st.sampled_from("abcd"), JSON), max_size=8), st.randoms())
def test_nothing_is_lost_and_order_decides_nothing(
    given_answers: list[tuple[str, Any]], chance: Any
) -> None:
    """Every answer is in exactly one opinion, and the counts do not depend on who came first."""
    answers = [Answer(agent, value) for agent, value in given_answers]
    seen = synthesize(answers)
    kept = [answer for opinion in seen.opinions for answer in opinion.answers]
    assert sorted(map(id, kept)) == sorted(map(id, answers))
    shuffled = list(answers)
    chance.shuffle(shuffled)
    again = synthesize(shuffled)
    assert (seen.majority is None) == (again.majority is None)
    assert sorted(len(one.agents) for one in seen.opinions) == sorted(
        len(one.agents) for one in again.opinions
    )
    json.dumps(seen.to_json())


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (["yes"], "nobody stands behind it"),
        ([Answer("", "yes")], "nobody stands behind it"),
        ([Answer("a", {1, 2})], "must be JSON"),
        ([Answer("a", float("nan"))], "must be JSON"),
    ],
)
def test_what_is_no_answer_is_refused(answers: Any, words: str) -> None:
    """A voice without an agent, or a value that cannot be compared, would falsify the count."""
    with pytest.raises(InvalidInput, match=words):
        synthesize(answers)


def test_a_sameness_that_cannot_be_asked_is_named() -> None:
    """The error says whose answer it failed on."""
    with pytest.raises(InvalidInput, match="'b'"):
        synthesize(said("yes", 3), same=str.casefold)
