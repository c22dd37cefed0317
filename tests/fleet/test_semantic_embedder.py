"""Embedders: the two that coordq brings, and what a stranger's may give."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidEmbedding, InvalidSetting
from coordq.fleet.semantic.embedder import Embedder, available, choose, embedded
from coordq.fleet.semantic.lexical import Lexical
from coordq.fleet.semantic.rows import Rows

installed = pytest.mark.parametrize("name", available())


def score(embedder: Embedder, one: str, other: str) -> float:
    """How alike two texts are."""
    rows = Rows()
    first, second = embedded(embedder, [one, other])
    rows.add(first)
    return float(rows.scores(second)[0])


@installed
def test_alike_texts_lie_nearer_than_others(name: str) -> None:
    """The least that anybody expects."""
    embedder = choose(name)

    near = score(embedder, "please refund my order", "I want a refund of the order")
    far = score(embedder, "please refund my order", "the weather is nice in Oslo")

    assert near > embedder.threshold > far


@pytest.mark.skipif("wordllama" not in available(), reason="coordq[semantic] is not installed")
def test_the_model_knows_meaning_and_the_default_does_not() -> None:
    """What the docs say of both: one knows spelling, the other that a car is a vehicle."""
    texts = ("my car is broken", "the vehicle was damaged")

    assert score(choose("wordllama"), *texts) > 0.4
    assert score(choose("lexical"), *texts) < 0.1


@installed
def test_a_text_has_one_vector_whatever_stands_beside_it(name: str) -> None:
    """Else an index that grew one route at a time would differ from one made at once."""
    embedder = choose(name)
    texts = ["one text", "another, longer one", "", "and a third"]

    together = embedded(embedder, texts)
    alone = [embedded(embedder, [text])[0] for text in texts]

    assert all((one == other).all() for one, other in zip(together, alone, strict=True))


@given(st.text(max_size=300))
def test_the_default_takes_any_text(text: str) -> None:
    """Also one of signs, of another script, or of half a character."""
    embedded(Lexical(), [text])


def test_the_default_is_the_same_on_every_machine_and_day() -> None:
    """Python salts its own hashes; these are written down."""
    row = Lexical(16).embed(["pay the bill"])[0]

    assert np.flatnonzero(row).tolist() == [0, 1, 2, 3, 4, 6, 8, 10, 11, 12, 14, 15]
    assert score(Lexical(), "pay the bill", "the bill was paid") == 0.5535


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda _: None, "shape"),
        (lambda _: "words", "no matrix of numbers"),
        (lambda texts: [[1.0, 2.0]] * (len(texts) + 1), "for 1 texts"),
        (lambda texts: [1.0 for _ in texts], "shape"),
        (lambda texts: [[float("nan")] * 4 for _ in texts], "not finite"),
        (lambda texts: [[float("inf")] * 4 for _ in texts], "not finite"),
        (lambda texts: [[] for _ in texts], "vectors of 0 numbers"),
        (lambda texts: [[1.0] * 20_000 for _ in texts], "16384 will do"),
        (lambda _: [[1.0], [1.0, 2.0]], "no matrix of numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused(given: Any, told: str) -> None:
    """A function of a user's own may give anything; the error names it."""
    with pytest.raises(InvalidEmbedding, match=told) as caught:
        embedded(choose(given), ["text"])

    assert caught.value.code == "invalid-embedding"


def test_vectors_that_change_their_length_are_refused() -> None:
    """Such as those of a service that was given another model meanwhile."""
    with pytest.raises(InvalidEmbedding, match="of 3 numbers after some of 2"):
        embedded(choose(lambda texts: [[1.0] * 3 for _ in texts]), ["text"], 2)


@pytest.mark.parametrize("wish", ["bert", 17, ["lexical"]])
def test_an_embedder_that_nobody_has_is_refused(wish: Any) -> None:
    """With the names of those that are there."""
    with pytest.raises(InvalidSetting, match=r"lexical|embed"):
        choose(wish)


def test_a_missing_extra_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as a ModuleNotFoundError."""
    monkeypatch.setattr("coordq.fleet.semantic.vectors.find_spec", lambda _: None)

    with pytest.raises(InvalidSetting, match=r"coordq\[semantic\]"):
        choose("wordllama")
    assert available() == ("lexical",)


def test_numpy_is_loaded_by_those_who_route() -> None:
    """`import coordq` and the client stay as fast as they were."""
    code = (
        "import sys, coordq.client.client, coordq.client.client_async, coordq.interfaces.cli.root; "
        "assert not {'numpy', 'tokenizers'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
