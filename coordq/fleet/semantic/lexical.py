"""The default embedder: which words and parts of words a text shares with another.

It knows spelling, not meaning. "Refund my order" lies near "order was refunded", and as far from
"I want my money back" as from anything else. That needs a model: see `vectors.py`, or any callable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from zlib import crc32

from coordq.fleet.semantic.words import LIGHT, words

if TYPE_CHECKING:
    from coordq.fleet.semantic.embedder import Matrix

DIMENSIONS: Final = 1024
_GRAMS: Final = (3, 4)
"""Lengths of the parts of a word, its ends marked: `<wor`, `word`, `ord>`."""
_PARTS: Final = 1.5
"""What all parts of a word weigh together; the word itself weighs 1."""
_PAIR: Final = 0.25
"""What two words weigh that follow each other."""
_LIGHT: Final = 0.1
"""What a word weighs that says little."""
_WORD_MAX: Final = 64
"""Characters of a word whose parts count."""
_KNOWN_MAX: Final = 16_384
"""Words and pairs whose features are kept."""

_Feature = tuple[int, float]
_Packed = tuple[bytes, bytes]
"""Where some features stand, and what they weigh, as numpy holds them: quick to be joined."""


class Lexical:
    """Words, pairs of words and character n-grams, hashed into a vector with `crc32`.

    Nothing is learnt or downloaded, and every machine gets the same numbers. dimensions: more of
    them let fewer features fall together, and make a search slower.
    """

    name = "lexical"
    threshold = 0.2

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions
        self._known: dict[str, _Packed] = {}

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for each text; one without a word is all zeros, and near nothing."""
        import numpy as np

        matrix = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(matrix, texts, strict=True):
            features = self._features(words(text))
            if features:
                places, weights = map(b"".join, zip(*features, strict=True))
                row[:] = np.bincount(
                    np.frombuffer(places, dtype=np.intp),
                    np.frombuffer(weights),
                    minlength=self.dimensions,
                )
        return matrix

    def _features(self, found: Sequence[str]) -> list[_Packed]:
        features: list[_Packed] = []
        known = self._known.get
        last = ""
        for word in found:
            features.append(known(word) or self._learnt(word))
            if word not in LIGHT:
                if last:
                    pair = f"{last} {word}"
                    features.append(known(pair) or self._learnt(pair))
                last = word
        return features

    def _learnt(self, what: str) -> _Packed:
        """Of a word, or a pair; kept for the next time: most words of a text are not new."""
        import numpy as np

        features = [self._hashed(what, _PAIR)] if " " in what else self._of_word(what)
        places, weights = zip(*features, strict=True)
        packed = np.array(places, dtype=np.intp).tobytes(), np.array(weights).tobytes()
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[what] = packed
        return packed

    def _of_word(self, word: str) -> list[_Feature]:
        if word in LIGHT:
            return [self._hashed(word, _LIGHT)]
        marked = f"<{word[:_WORD_MAX]}>"
        parts = [marked[at : at + n] for n in _GRAMS for at in range(len(marked) - n + 1)]
        weight = _PARTS / len(parts) ** 0.5 if parts else 0.0
        return [self._hashed(word, 1.0), *(self._hashed(f"#{part}", weight) for part in parts)]

    def _hashed(self, feature: str, weight: float) -> _Feature:
        """Where a feature stands, and which way: what falls together by chance cancels out."""
        number = crc32(feature.encode())
        return number % self.dimensions, weight if number & 0x80000000 else -weight
