"""The embedder of the extra `[semantic]`: a small table of word vectors that comes in a wheel.

The `wordllama` wheel carries 32,000 vectors of 256 numbers and the tokenizer that cuts texts into
the pieces they belong to. Both are read from the wheel's files: the network is never asked, and
neither torch nor the package's own code is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import InvalidSetting

if TYPE_CHECKING:
    from coordq.fleet.semantic.embedder import Matrix

DIMENSIONS: Final = 256
PIECES_MAX: Final = 512
"""Pieces of a text that count; what comes after says little about where it belongs."""
_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec("wordllama") is not None and find_spec("tokenizers") is not None


class WordVectors:
    """Static vectors of words, averaged: they know that a refund is about money.

    They know no order and no negation: "enable" and "disable" lie close. Loading takes about 0.2 s
    and 50 MB. Raises InvalidSetting when the extra is not installed.
    """

    name = "wordllama"
    threshold = 0.25
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        folder = _folder()
        self._table = _table(folder / _WEIGHTS)
        self._tokenizer = _tokenizer(folder / _TOKENIZER)

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row for each text; one without a piece is all zeros."""
        import numpy as np

        matrix = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(matrix, texts, strict=True):
            pieces = self._tokenizer.encode(text, add_special_tokens=False).ids[:PIECES_MAX]
            if pieces:
                row[:] = self._table[pieces].mean(axis=0)
        return matrix


def _folder() -> Path:
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations or not find_spec("tokenizers"):
        raise InvalidSetting(
            "The embedder wordllama is not installed. Install coordq[semantic], or choose lexical.",
            embedder="wordllama",
        )
    return Path(spec.submodule_search_locations[0])


def _table(path: Path) -> Matrix:
    """The vectors: a length, a header in JSON, then the numbers."""
    import numpy as np

    raw = _read(path)
    start = 8 + int.from_bytes(raw[:8], "little")
    about = json.loads(raw[8:start])["embedding.weight"]
    first, last = about["data_offsets"]
    numbers = np.frombuffer(raw[start + first : start + last], dtype="<f2")
    return numbers.reshape(about["shape"]).astype(np.float32)


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(_read(path).decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidSetting(
            f"The installed wordllama has no {path.parent.name}/{path.name}. Install the version "
            "that coordq[semantic] asks for, or choose lexical.",
            embedder="wordllama",
        ) from error
