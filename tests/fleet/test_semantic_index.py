"""Scores and searches that do not depend on how an index came to be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordq.fleet.semantic.index import Index
from coordq.fleet.semantic.lexical import Lexical
from coordq.fleet.semantic.rows import Rows, whole

WORDS = ["red", "green", "blue", "pay", "ship", "sign", "test", "ask", "send"]
LEXICAL = Lexical(64)

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
phrases = st.lists(texts, min_size=1, max_size=3)
names = st.sampled_from("abcdefgh")
changes = st.lists(st.tuples(names, st.none() | phrases), max_size=30)
vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=8, max_size=8).filter(any)


def built(held: dict[str, list[str]], order: Any = sorted) -> Index:
    """An index made at once."""
    index = Index()
    for name in order(held):
        index.put(name, held[name], LEXICAL.embed(held[name]))
    return index


@settings(max_examples=60)
@given(changes, texts, st.integers(1, 9))
def test_an_index_that_grew_finds_what_one_made_at_once_finds(
    steps: list[tuple[str, list[str] | None]], asked: str, most: int
) -> None:
    """Routes come, change and go in any order; to the last digit the answers are the same."""
    index, held = Index(), dict[str, list[str]]()
    for name, said in steps:
        if said is None:
            index.drop(name)
            held.pop(name, None)
        else:
            index.put(name, said, LEXICAL.embed(said))
            held[name] = said
    vector = LEXICAL.embed([asked])[0]

    found = index.nearest(vector, most)

    assert found == built(held).nearest(vector, most)
    assert found == built(held, lambda of: sorted(of, reverse=True)).nearest(vector, most)
    assert len(found) == min(most, len(held))
    assert found == sorted(found, key=lambda one: (-one[0], one[1]))


@given(vectors, vectors)
def test_a_score_is_the_cosine_to_four_digits(one: list[float], other: list[float]) -> None:
    """Whole numbers cost less than what is rounded away."""
    rows = Rows()
    rows.add(np.array(one, dtype=np.float32))

    (score,) = rows.scores(np.array(other, dtype=np.float32))

    true = math.fsum(a * b for a, b in zip(one, other, strict=True)) / (
        math.hypot(*one) * math.hypot(*other)
    )
    # each direction is off by sqrt(8) / 2 of 4000 at the most, and the score by half a digit
    assert score == pytest.approx(true, abs=0.0008)


@pytest.mark.parametrize("dimensions", [1, 2, 384, 1024, 16_384])
def test_sums_stay_exact_in_a_float32(dimensions: int) -> None:
    """2**24 is where whole numbers end to be exact, for the longest vectors that are allowed."""
    rng = np.random.default_rng(dimensions)
    for vector in (np.ones(dimensions), rng.normal(size=dimensions), rng.normal(size=dimensions)):
        numbers, _ = whole(vector.astype(np.float32))

        assert float(np.sum(numbers.astype(np.float64) ** 2)) < 2**24


def test_extreme_vectors_have_a_direction_too() -> None:
    """The square of 1e-30 is no float32, and that of 1e30 neither."""
    rows = Rows()
    for length in (1e-30, 1.0, 1e30):
        rows.add(np.array([length, 0, length], dtype=np.float32))

    assert rows.scores(np.array([1, 0, 1], dtype=np.float32)).tolist() == [1.0, 1.0, 1.0]


def test_nothing_is_near_a_zero_vector() -> None:
    """A text without words lies nowhere; that is no error."""
    rows = Rows()
    rows.add(np.zeros(3, dtype=np.float32))
    rows.add(np.ones(3, dtype=np.float32))

    assert rows.scores(np.zeros(3, dtype=np.float32)).tolist() == [0.0, 0.0]
    assert rows.scores(np.ones(3, dtype=np.float32)).tolist() == [0.0, 1.0]


def test_slots_are_used_again() -> None:
    """Agents come and go for months; what is searched stays as large as what is held."""
    rows = Rows()
    slots = [rows.add(np.ones(3, dtype=np.float32)) for _ in range(200)]
    for slot in slots[:150]:
        rows.remove(slot)
    again = [rows.add(np.ones(3, dtype=np.float32)) for _ in range(150)]
    assert sorted(again) == slots[:150]
    for slot in slots:
        rows.remove(slot)

    assert len(rows) == 0
