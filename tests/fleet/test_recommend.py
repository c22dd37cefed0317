"""Recommendations: the order, and the reasons that are given for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.directory import AgentView
from coordq.fleet.recommend import Recommendation, recommend, wilson

ROUNDING = 1e-12


def agent(name: str, **given: Any) -> AgentView:
    """An idle agent on one worker, of which nothing else is known."""
    facts: dict[str, Any] = {
        "name": name,
        "state": "serving",
        "role": "",
        "capabilities": frozenset(given.pop("can", ())),
        "tasks": frozenset(),
        "persona": {},
        "interests": "",
        "zones": (),
        "max_load": 0,
        "weight": 1.0,
        "stand_ins": (),
        "stood_in_by": None,
        "workers": ("w1",),
        "running": 0,
        "slots": 8,
        "load": 0.0,
        "succeeded": 0,
        "failed": 0,
        "worked_ms": 0,
        "version": 1,
        "born_ms": 0,
        "changed_ms": 0,
        "since_ms": 0,
    }
    return AgentView(**facts | given)


def names(found: list[Recommendation]) -> list[str]:
    """In their order."""
    return [one.agent.name for one in found]


def test_who_is_free_comes_before_who_is_busy() -> None:
    """All else being equal; and equal ones by name."""
    views = [agent("busy", load=0.9), agent("b"), agent("a"), agent("half", load=0.5)]

    assert names(recommend(views, 4)) == ["a", "b", "half", "busy"]
    assert names(recommend(views, 2)) == ["a", "b"]


def test_who_has_shown_it_often_comes_before_who_was_lucky_once() -> None:
    """A share of successes is worth as much as was seen of it."""
    views = [
        agent("new"),
        agent("lucky", succeeded=1, worked_ms=1000),
        agent("proven", succeeded=196, failed=4, worked_ms=200_000),
        agent("poor", succeeded=50, failed=50, worked_ms=100_000),
    ]

    assert names(recommend(views, 4)) == ["proven", "poor", "lucky", "new"]


def test_what_is_welcome_counts_by_how_much_of_it_is_there() -> None:
    """Nobody is left out for lacking it."""
    views = [agent("none"), agent("one", can={"pdf"}), agent("both", can={"pdf", "ocr"})]

    found = recommend(views, 3, preferred=frozenset({"pdf", "ocr"}))

    assert names(found) == ["both", "one", "none"]
    assert [one.reasons[0] for one in found] == [
        "has ocr, pdf",
        "has pdf and lacks ocr",
        "lacks ocr, pdf",
    ]


def test_an_open_breaker_is_not_recommended_and_half_open_counts_half() -> None:
    """However well it did before."""
    good = {"succeeded": 100, "worked_ms": 1000}
    views = [agent("open", **good), agent("trial", **good), agent("plain", load=0.2)]

    found = recommend(views, 3, breakers={"open": "open", "trial": "half-open"})

    assert names(found) == ["plain", "trial"]
    assert found[1].score == pytest.approx(
        0.5
        * sum(
            weight * part
            for weight, part in zip((0.3, 0.3, 0.25, 0.15), found[1].parts, strict=True)
        )
    )
    assert "half open" in found[1].reasons[-1]


def test_the_reasons_are_sentences_about_this_agent() -> None:
    """With the figures from which the score was made."""
    slow = agent(
        "slow", running=3, load=0.375, succeeded=98, failed=2, worked_ms=120_000, workers=("a", "b")
    )
    fast = agent("fast", succeeded=10, worked_ms=5_000)
    out = agent("out", state="outside", workers=(), slots=0, load=0.25)

    found = {one.agent.name: one for one in recommend([slow, fast, out], 3)}

    assert found["slow"].reasons == (
        "38% busy: it runs 3 tasks, its 2 workers can take 8",
        "98 of 100 runs succeeded: at least 93% do",
        "takes 1.2 s on average, the fastest 500 ms",
    )
    assert found["fast"].reasons[-1] == "takes 500 ms on average, as fast as any"
    assert found["out"].reasons == (
        "25% busy, as it says",
        "has not run yet: nothing is known of how often it succeeds",
        "it is outside workers: what it does is not counted",
    )
    assert found["slow"].to_json()["parts"]["speed"] == pytest.approx(0.417)


def test_nobody_is_an_empty_answer() -> None:
    """It is for the caller to say what that means."""
    assert recommend([], 3) == []
    assert recommend([agent("a")], 3, breakers={"a": "open"}) == []


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_lower_bound_is_one(succeeded: int, failed: int) -> None:
    """Between 0 and what was seen; one success more raises it, one failure more does not."""
    runs = succeeded + failed
    bound = wilson(succeeded, runs)

    assert 0 <= bound <= (succeeded / runs if runs else 0) + ROUNDING
    assert wilson(succeeded + 1, runs + 1) > bound
    assert wilson(succeeded, runs + 1) <= bound + ROUNDING


def test_the_lower_bound_is_the_known_one() -> None:
    """Against values worked out by hand."""
    assert wilson(3, 3) == pytest.approx(0.4385, abs=1e-4)
    assert wilson(98, 100) == pytest.approx(0.9300, abs=1e-4)
    assert wilson(0, 10) == 0
