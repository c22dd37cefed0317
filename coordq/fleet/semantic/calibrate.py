"""How near is near enough: a threshold from labelled texts, for a share of wrong ones at most.

A threshold that suits one embedder and one kind of text says nothing about others, and what is
alike for an embedder need not mean the same. So measure: label some hundred texts of your own,
choose which share of wrong routes you can live with, and take the lowest threshold that keeps to
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from coordq.amounts import is_number
from coordq.errors import InvalidOption
from coordq.fleet.semantic import guards as guarding
from coordq.fleet.semantic.cache import upper
from coordq.fleet.semantic.embedder import Embedding, choose, embedded
from coordq.fleet.semantic.labelled import Labelled
from coordq.fleet.semantic.router import Router
from coordq.fleet.semantic.rows import Rows

FALSE_RATE: Final = 0.01
PAIRS_MAX: Final = 2_000_000
_LOWEST: Final = 0.5
"""Pairs less alike than this are never taken for one."""

Scored = tuple[float, bool]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, and what it did to the labelled texts it was taken from."""

    threshold: float | None
    """The lowest that keeps to the target; None when none does."""
    target: float
    """The share of wrong ones that was allowed."""
    considered: int
    """Texts or pairs that could be taken."""
    taken: int
    """Those at or above the threshold."""
    wrong: int
    """Those of them that should not have been taken."""

    @property
    def false_rate(self) -> float:
        """The share of the taken ones that is wrong."""
        return self.wrong / self.taken if self.taken else 0.0

    @property
    def false_rate_at_most(self) -> float | None:
        """The upper end of its 95 % interval: how little few labels prove."""
        return upper(self.wrong, self.taken)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "threshold": self.threshold,
            "target": self.target,
            "considered": self.considered,
            "taken": self.taken,
            "wrong": self.wrong,
            "false_rate": self.false_rate,
            "false_rate_at_most": self.false_rate_at_most,
        }


def threshold_for(
    router: Router, texts: Iterable[Labelled], *, false_rate: float = FALSE_RATE
) -> Calibration:
    """How near a route must be, for at most this share of the taken texts to be taken wrongly.

    Of the router's own threshold nothing is used. Raises InvalidOption.
    """
    target = _target(false_rate)
    scored: list[Scored] = []
    for one in texts:
        nearest = router.route(one.text, fresh=True).candidates[:1]
        scored += [(found.score, found.route == one.route) for found in nearest]
    return _lowest(scored, target, len(scored))


def similarity_for(
    pairs: Iterable[tuple[str, str, bool]],
    *,
    embedder: Embedding = None,
    guards: Iterable[str] = guarding.ALL,
    false_rate: float = FALSE_RATE,
) -> Calibration:
    """How close two texts must lie for one's route to be the other's, see `Caching.similarity`.

    pairs: two texts each, and whether they belong to the same route. Pairs that a guard keeps apart
    are never taken. Raises InvalidOption.
    """
    target, names = _target(false_rate), guarding.check_guards(guards)
    labelled = list(pairs)
    if len(labelled) > PAIRS_MAX:
        raise InvalidOption(
            f"{len(labelled):,} pairs are too many: pass at most {PAIRS_MAX:,}.", option="pairs"
        )
    texts = list(dict.fromkeys(text for one, other, _ in labelled for text in (one, other)))
    alike = _alike(texts, embedder)
    places = {text: place for place, text in enumerate(texts)}
    signatures = [guarding.signature(text, names) for text in texts]
    scored: list[Scored] = []
    for one, other, same in labelled:
        first, second = places[one], places[other]
        score = float(alike[first][second])
        if score >= _LOWEST and not guarding.differs(signatures[first], signatures[second], names):
            scored.append((score, same))
    return _lowest(scored, target, len(labelled))


def _alike(texts: Sequence[str], embedder: Embedding) -> list[Any]:
    """How alike each two texts are."""
    if not texts:
        return []
    vectors, rows = embedded(choose(embedder), texts), Rows()
    for vector in vectors:
        rows.add(vector)
    return [rows.scores(vector) for vector in vectors]


def _lowest(scored: list[Scored], target: float, considered: int) -> Calibration:
    """The lowest score at which the share of wrong ones, of all that score as much, is allowed."""
    best = Calibration(None, target, considered, 0, 0)
    taken = wrong = 0
    for score, equals in groupby(sorted(scored, reverse=True), key=lambda one: one[0]):
        rights = [right for _, right in equals]
        taken += len(rights)
        wrong += rights.count(False)
        if wrong <= target * taken:
            best = Calibration(score, target, considered, taken, wrong)
    return best


def _target(value: Any) -> float:
    if not is_number(value, 0) or value >= 1:
        raise InvalidOption(
            f"false_rate = {value!r} cannot be: write a share from 0 to below 1, such as 0.01.",
            option="false_rate",
        )
    return float(value)
