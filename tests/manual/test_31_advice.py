"""Chapter 32. Advice: which strategy fits so many agents, and what it does not give."""

from __future__ import annotations

import pytest

import coordq
from coordq.errors import ImpossibleWish
from tests.manual.conftest import Shell


def test_a_few_agents_agree_by_raft() -> None:
    """A majority decides; of five, two may stop."""
    advice = coordq.advise(5)

    assert (advice.strategy, advice.voters, advice.quorum, advice.tolerates) == ("raft", 5, 3, 2)


def test_many_agents_gossip() -> None:
    """When it is enough that all come to see the same."""
    advice = coordq.advise(300, consistency="eventual")

    assert (advice.strategy, advice.rounds) == ("gossip", 6)


def test_liars_are_outvoted_by_three_times_as_many_and_one() -> None:
    """Strictly fewer than a third may lie."""
    advice = coordq.advise(10, faults="byzantine")

    assert (advice.strategy, advice.quorum, advice.tolerates) == ("byzantine", 7, 3)


def test_every_answer_says_what_it_does_not_give() -> None:
    """And which rule it followed."""
    advice = coordq.advise(40)

    assert (advice.strategy, advice.rule) == ("hybrid", "wide")
    assert any("lies" in sentence for sentence in advice.lacks)


def test_what_nothing_can_give_is_refused_with_what_could_be_had() -> None:
    """Strong, and available in every part of a network that is in parts: nobody has that."""
    with pytest.raises(ImpossibleWish) as caught:
        coordq.advise(9, when_parted="available")

    assert len(caught.value.possible) == 2


def test_the_shell_is_advised_as_well(shell: Shell) -> None:
    """`coordq advise` needs no Redis."""
    assert "strategy\thierarchical" in shell("advise", "--agents", "1000")
