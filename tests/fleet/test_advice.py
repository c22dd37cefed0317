"""The adviser: the strategy for a fleet, its sizes, and what it does not give."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import ImpossibleWish, InvalidOption
from coordq.fleet.advice import STRATEGIES, TODAY, advise
from coordq.fleet.wishes import CONSISTENCIES, FAULTS, VOTERS_MAX, WHEN_PARTED


@pytest.mark.parametrize(
    ("wish", "strategy", "rule", "sizes"),
    [
        ({"agents": 3}, "raft", "few", (3, 2, 1)),
        ({"agents": 4}, "raft", "few", (3, 2, 1)),
        ({"agents": 5}, "raft", "few", (5, 3, 2)),
        ({"agents": 7}, "raft", "few", (7, 4, 3)),
        ({"agents": 7, "tolerate": 1}, "raft", "few", (3, 2, 1)),
        ({"agents": 8}, "raft", "control-group", (5, 3, 2)),
        ({"agents": 30}, "raft", "control-group", (5, 3, 2)),
        ({"agents": 30, "tolerate": 3}, "raft", "control-group", (7, 4, 3)),
        ({"agents": 31}, "hybrid", "wide", (5, 3, 2)),
        ({"agents": 40}, "hybrid", "wide", (5, 3, 2)),
        ({"agents": 211}, "hybrid", "wide", (5, 3, 2)),
        ({"agents": 212}, "hierarchical", "levels", (5, 3, 2)),
        ({"agents": 5000, "tolerate": 3}, "hierarchical", "levels", (7, 4, 3)),
        ({"agents": 100, "independent": True}, "hierarchical", "apart", (5, 3, 2)),
        ({"agents": 6, "independent": True}, "hierarchical", "apart", (3, 2, 1)),
        ({"agents": 5, "independent": True}, "raft", "few", (5, 3, 2)),
        ({"agents": 2, "consistency": "eventual"}, "gossip", "spread", (0, 0, 1)),
        ({"agents": 1000, "consistency": "eventual"}, "gossip", "spread", (0, 0, 999)),
        ({"agents": 50, "consistency": "eventual", "when_parted": "available"},
         "gossip", "spread", (0, 0, 49)),
        ({"agents": 5, "consistency": "mixed"}, "hybrid", "both", (5, 3, 2)),
        ({"agents": 500, "consistency": "mixed"}, "hybrid", "both", (5, 3, 2)),
        ({"agents": 4, "faults": "byzantine"}, "byzantine", "byzantine", (4, 3, 1)),
        ({"agents": 6, "faults": "byzantine"}, "byzantine", "byzantine", (4, 3, 1)),
        ({"agents": 31, "faults": "byzantine"}, "byzantine", "byzantine", (31, 21, 10)),
        ({"agents": 31, "faults": "byzantine", "tolerate": 2}, "byzantine", "byzantine", (7, 5, 2)),
        ({"agents": 32, "faults": "byzantine"}, "hybrid", "verdicts", (10, 7, 3)),
        ({"agents": 7, "faults": "byzantine", "consistency": "eventual"},
         "byzantine", "byzantine", (7, 5, 2)),
    ],
)  # fmt: skip
def test_the_matrix(
    wish: dict[str, Any], strategy: str, rule: str, sizes: tuple[int, int, int]
) -> None:
    """Raft 3 to 7, gossip for the many, 3f+1 for liars, hybrid beyond, groups of groups at last."""
    advice = advise(**wish)

    assert (advice.strategy, advice.rule) == (strategy, rule)
    assert (advice.voters, advice.quorum, advice.tolerates) == sizes


@pytest.mark.parametrize(
    ("wish", "says", "possible"),
    [
        ({"agents": 1}, "nothing to coordinate", "2 agents"),
        ({"agents": 2}, "both of them", "3 agents, of which one may stop"),
        ({"agents": 2, "consistency": "mixed"}, "both of them", "eventual with 2"),
        ({"agents": 3, "faults": "byzantine"}, r"3f\+1", "4 agents, of which one may lie"),
        ({"agents": 3, "faults": "byzantine"}, r"3f\+1", "faults crash with 3 agents"),
        ({"agents": 2, "faults": "byzantine"}, r"3f\+1", "4 agents"),
        ({"agents": 9, "faults": "byzantine", "tolerate": 3}, "takes 10 agents", "tolerate 2"),
        ({"agents": 99, "faults": "byzantine", "tolerate": 11}, "takes 34 agents", "tolerate 10"),
        ({"agents": 9, "faults": "byzantine", "consistency": "eventual",
          "when_parted": "available"}, "two thirds", "only a part"),
        ({"agents": 9, "when_parted": "available"}, "in parts", "only the side with a majority"),
        ({"agents": 9, "consistency": "mixed", "when_parted": "available"}, "in parts",
         "consistency eventual"),
        ({"agents": 3, "tolerate": 2}, "takes 5 voters, not 3", "tolerate 1"),
        ({"agents": 100, "tolerate": 4}, "takes 9 voters", "tolerate 3"),
        ({"agents": 5, "consistency": "eventual", "tolerate": 5}, "has to be left", "tolerate 4"),
    ],
)  # fmt: skip
def test_what_nothing_can_give_is_refused_with_what_could_be(
    wish: dict[str, Any], says: str, possible: str
) -> None:
    """An adviser that always has an answer is none."""
    with pytest.raises(ImpossibleWish, match=says) as caught:
        advise(**wish)

    assert caught.value.code == "impossible-wish"
    assert any(possible in way for way in caught.value.possible)
    assert all(way in str(caught.value) for way in caught.value.possible)


@pytest.mark.parametrize(
    "wish",
    [
        {"agents": 0},
        {"agents": -3},
        {"agents": 2.5},
        {"agents": True},
        {"agents": "many"},
        {"agents": 10**9},
        {"agents": 5, "faults": "lies"},
        {"agents": 5, "faults": None},
        {"agents": 5, "consistency": "total"},
        {"agents": 5, "when_parted": "both"},
        {"agents": 5, "tolerate": -1},
        {"agents": 5, "tolerate": 1.5},
        {"agents": 5, "independent": 1},
    ],
)
def test_what_is_no_wish_is_refused(wish: dict[str, Any]) -> None:
    """With the option that is wrong."""
    with pytest.raises(InvalidOption) as caught:
        advise(**wish)

    assert caught.value.option in wish


WISHES = st.fixed_dictionaries(
    {"agents": st.integers(1, 3000)},
    optional={
        "faults": st.sampled_from(FAULTS),
        "consistency": st.sampled_from(CONSISTENCIES),
        "tolerate": st.integers(0, 12),
        "when_parted": st.sampled_from(WHEN_PARTED),
        "independent": st.booleans(),
    },
)


@given(WISHES)
def test_every_answer_keeps_the_bounds_it_names(wish: dict[str, Any]) -> None:
    """A quorum that two halves could both have, or that needs the dead, would be the worst."""
    try:
        advice = advise(**wish)
    except ImpossibleWish:
        return

    assert advice.strategy in STRATEGIES
    assert advice.why
    assert advice.lacks
    assert advice.to_json()["today"] == TODAY
    assert 0 <= advice.watchers < advice.agents or advice.watchers == 0
    if not advice.voters:
        return
    voters, quorum, faults = advice.voters, advice.quorum, advice.tolerates
    assert voters <= advice.agents
    assert voters - faults >= quorum, "it goes on without those who failed"
    if advice.faults == "byzantine":
        assert voters == 3 * faults + 1
        assert 2 * quorum - voters > faults, "two quorums share an honest one"
    else:
        assert voters <= VOTERS_MAX
        assert 2 * quorum > voters, "two quorums share a voter"
    if wish.get("tolerate") is not None:
        assert faults >= wish["tolerate"]


@given(st.integers(212, 100_000))
def test_groups_of_a_hierarchy_hold_everybody(agents: int) -> None:
    """And each can decide."""
    advice = advise(agents)

    assert advice.groups * advice.group_size >= agents > advice.groups
    assert 3 <= advice.group_voters <= VOTERS_MAX
    assert advice.group_size <= 16


@given(st.integers(1, 300), st.integers(0, 3))
def test_more_agents_never_tolerate_less(agents: int, more: int) -> None:
    """At one strategy."""
    try:
        few = advise(agents, faults="byzantine")
    except ImpossibleWish:
        return
    many = advise(agents + more, faults="byzantine")

    assert many.strategy != few.strategy or many.tolerates >= few.tolerates
