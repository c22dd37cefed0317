"""What turns texts into vectors: a protocol, and the ways to name one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from coordq.errors import InvalidEmbedding, InvalidSetting
from coordq.fleet.semantic.lexical import Lexical
from coordq.fleet.semantic.vectors import WordVectors, installed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[np.float32]

DIMENSIONS_MAX: Final = 16_384
NAMES: Final = ("lexical", "wordllama")
"""Those that coordq brings; see `choose`."""


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors; the nearer two of them, the more alike the texts.

    The same text gets the same vector whatever stands beside it. Lengths do not matter: only
    directions are compared.
    """

    name: str
    """What decisions and reports call it."""
    threshold: float
    """How near, -1 to 1, a text must be to a route that takes it, unless a router says so. It
    depends on the embedder: 0.3 is much for one and little for another. See `calibrate`."""

    def embed(self, texts: Sequence[str], /) -> Any:
        """A row of numbers for each text: a numpy array, or anything that becomes one."""
        ...


Embedding: TypeAlias = "Embedder | str | Callable[[Sequence[str]], Any] | None"
"""How callers name an embedder."""


class Called:
    """Somebody's own function, as an embedder."""

    def __init__(
        self, function: Callable[[Sequence[str]], Any], *, name: str = "", threshold: float = 0.5
    ) -> None:
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.threshold = threshold
        self._function = function

    def embed(self, texts: Sequence[str]) -> Any:
        return self._function(texts)


def choose(wish: Embedding = None) -> Embedder:
    """The embedder that is meant: a name, an object, a function of texts, or None for `lexical`.

    Raises InvalidSetting for a name that nobody has, or whose extra is not installed.
    """
    if wish is None or wish == Lexical.name:
        return Lexical()
    if wish == WordVectors.name:
        return WordVectors()
    if isinstance(wish, str):
        raise InvalidSetting(
            f"There is no embedder {wish!r}. Name {' or '.join(NAMES)}, or pass a callable.",
            embedder=wish,
        )
    if isinstance(wish, Embedder):
        return wish
    if callable(wish):
        return Called(wish)
    raise InvalidSetting(
        f"{type(wish).__name__} is no embedder. Pass a name, an object with name, threshold and "
        "embed(texts), or a function of a list of texts.",
        embedder=type(wish).__name__,
    )


def available() -> tuple[str, ...]:
    """Names of the embedders that are installed here."""
    return NAMES if installed() else (Lexical.name,)


def embedded(embedder: Embedder, texts: Sequence[str], dimensions: int | None = None) -> Matrix:
    """The texts' vectors, checked. Raises InvalidEmbedding for what cannot be compared."""
    import numpy as np

    if isinstance(embedder, Lexical | WordVectors):  # whose numbers need no second look
        return embedder.embed(texts)
    given = embedder.embed(list(texts))
    try:
        matrix = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise _invalid(embedder, f"gave what is no matrix of numbers: {error}") from error
    if matrix.ndim != 2 or len(matrix) != len(texts):  # noqa: PLR2004 - rows and columns
        raise _invalid(embedder, f"gave the shape {matrix.shape} for {len(texts)} texts")
    width = matrix.shape[1]
    if not 0 < width <= DIMENSIONS_MAX:
        raise _invalid(embedder, f"gave vectors of {width} numbers; 1 to {DIMENSIONS_MAX} will do")
    if dimensions is not None and width != dimensions:
        raise _invalid(embedder, f"gave vectors of {width} numbers after some of {dimensions}")
    if not np.isfinite(matrix).all():
        raise _invalid(embedder, "gave numbers that are not finite")
    return matrix


def _invalid(embedder: Embedder, what: str) -> InvalidEmbedding:
    return InvalidEmbedding(
        f"The embedder {embedder.name} {what}. It must give a row of numbers for each text, all "
        "of one length.",
        embedder=embedder.name,
    )
