"""What is close is found without looking at all, and nothing that is close is missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordq.fleet.semantic.close import Close
from coordq.fleet.semantic.lexical import Lexical
from coordq.fleet.semantic.rows import Rows

WORDS = ["refund", "refunds", "charge", "invoice", "parcel", "delivery", "late", "card", "order"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
steps = st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=40)
LEXICAL = Lexical()


def both(vectors: list[np.ndarray]) -> tuple[Close, Rows]:
    """The same vectors, for those who want what is close, and for those who want all scores."""
    close, rows = Close(), Rows()
    for vector in vectors:
        close.add(vector)
        rows.add(vector)
    return close, rows


def expected(rows: Rows, vector: np.ndarray, least: float) -> list[tuple[int, float]]:
    """What is close, by looking at all."""
    scores = enumerate(rows.scores(vector).tolist())
    return sorted((one for one in scores if one[1] >= least), key=lambda one: (-one[1], one[0]))


@settings(max_examples=60)
@given(steps, texts, st.sampled_from([0.2, 0.5, 0.85, 1.0]))
def test_near_is_what_a_look_at_all_finds(
    changes: list[tuple[str, bool]], asked: str, least: float
) -> None:
    """To the last digit and in the same order, whatever was added and removed before."""
    close, rows = Close(), Rows()
    held: list[int] = []
    for text, removes in changes:
        if removes and held:
            slot = held.pop(0)
            close.remove(slot)
            rows.remove(slot)
        vector = LEXICAL.embed([text])[0]
        slot = close.add(vector)
        assert rows.add(vector) == slot
        held.append(slot)
    vector = LEXICAL.embed([asked])[0]

    assert close.near(vector, least) == expected(rows, vector, least)


@pytest.mark.parametrize("width", [1, 3, 8, 255, 256, 257, 300, 1024])
@pytest.mark.parametrize("least", [0.05, 0.85, 0.999])
def test_vectors_of_any_width_are_found(width: int, least: float) -> None:
    """Also those without zeros, of which blocks say little, and whose last block is short."""
    chance = np.random.default_rng(width)
    first = chance.normal(size=width)
    vectors = [
        (first + chance.normal(size=width) * far).astype(np.float32)
        for far in (0.0, 0.01, 0.1, 0.5, 1.0, 5.0) * 20
    ]
    close, rows = both(vectors)
    asked = first.astype(np.float32)

    assert close.near(asked, least) == expected(rows, asked, least)
    assert close.near(asked, least)


def test_nothing_is_close_to_a_text_without_words_or_in_an_empty_place() -> None:
    """A zero vector has no direction."""
    close = Close()
    assert close.near(np.ones(1024, dtype=np.float32), 0.1) == []

    close.add(np.zeros(1024, dtype=np.float32))

    assert close.near(np.zeros(1024, dtype=np.float32), 0.1) == []
    assert close.near(np.ones(1024, dtype=np.float32), 0.1) == []
