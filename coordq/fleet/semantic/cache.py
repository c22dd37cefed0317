"""Decisions that were taken before: for the very same text, or for one that lies close by.

It keeps where texts went, never what was answered; of a text it keeps a digest, a vector, and what
the guards compare. A decision for a similar text is only ever a guess, so every so many of them are
compared with what would have been decided, and the share that was wrong is part of the report.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidOption
from coordq.fleet.semantic import guards
from coordq.fleet.semantic.close import Close
from coordq.fleet.semantic.decision import Decision

if TYPE_CHECKING:
    from coordq.fleet.semantic.embedder import Matrix

SIMILARITY: Final = 0.85
SIZE: Final = 1_024
SIZE_MAX: Final = 65_536
MARGIN: Final = "margin"
"""What reports call the guard against decisions that were close."""
_TRIED: Final = 4
"""Close texts that are held against the guards before it is a miss."""
_Z: Final = 1.96
"""Of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Caching:
    """How decisions are remembered. Raises InvalidOption for what cannot be."""

    size: int = SIZE
    """Decisions kept; those not used for longest go first. 0: none."""
    similarity: float = SIMILARITY
    """How close, 0 to 1, a text must lie to one routed before. More than 1: only the same text
    counts. See `calibrate.similarity_for`."""
    margin: float = 0.15
    """How clear, 0 to 1, a decision must have been to count for a text at similarity 0.85: the
    score was so far from the threshold, and the second so far behind. Nearer texts need less, the
    very same nothing; see `needed`."""
    guards: Iterable[str] = guards.ALL
    """What close texts must share besides; see `guards.GUARDS`."""
    check_every: int = 20
    """Each so-many-th decision for a similar text, from the first on, is taken anew as well and
    compared. 0: none is, and the false-route rate is not known."""

    def __post_init__(self) -> None:
        _check("size", self.size, 0, SIZE_MAX)
        _check("check_every", self.check_every, 0, 2**31)
        _check_number("similarity", self.similarity)
        _check_number("margin", self.margin)
        if not 0 < self.similarity < 2:  # noqa: PLR2004 - above 1 it is switched off
            raise InvalidOption(
                f"similarity = {self.similarity} cannot be: write more than 0, and up to 1; more "
                "than 1 for the same text only.",
                option="similarity",
            )
        if not 0 <= self.margin <= 1:
            raise InvalidOption(
                f"margin = {self.margin} cannot be: write a number from 0 to 1.", option="margin"
            )
        object.__setattr__(self, "guards", guards.check_guards(self.guards))

    def needed(self, similarity: float) -> float:
        """How clear a decision must have been to count for a text that is so similar.

        Of a text, what it does not share with the other may lie near any phrase: `(1 - s²)^½` long.
        """
        unlike = max(0.0, 1 - similarity * similarity) / (1 - SIMILARITY * SIMILARITY)
        return self.margin * math.sqrt(unlike)


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What the cache has done since it was made. Rates are 0 to 1, None when nothing is known."""

    entries: int
    exact: int
    """Hits: the same text was there."""
    similar: int
    """Hits: a similar one was there, and the guards let it pass."""
    misses: int
    guarded: dict[str, int] = field(default_factory=dict)
    """Texts close enough that a guard kept apart, by guard; they ended as misses unless another
    text was close too."""
    checked: int = 0
    """Similar hits that were compared with the decision taken anew."""
    wrong: int = 0
    """Those of them that would have gone elsewhere. They were put right."""

    @property
    def hit_rate(self) -> float | None:
        """Both kinds of hits, by all texts."""
        return _share(self.exact + self.similar, self.exact + self.similar + self.misses)

    @property
    def false_rate(self) -> float | None:
        """Wrong ones among the similar hits that were checked; exact hits are never wrong."""
        return _share(self.wrong, self.checked)

    @property
    def false_rate_at_most(self) -> float | None:
        """The upper end of its 95 % interval (Wilson): few checks prove little."""
        return upper(self.wrong, self.checked)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "entries": self.entries,
            "exact": self.exact,
            "similar": self.similar,
            "misses": self.misses,
            "guarded": dict(self.guarded),
            "checked": self.checked,
            "wrong": self.wrong,
            "hit_rate": self.hit_rate,
            "false_rate": self.false_rate,
            "false_rate_at_most": self.false_rate_at_most,
        }


@dataclass(slots=True)
class _Entry:
    decision: Decision
    same: Decision
    """The same, for the very text."""
    slot: int
    signature: guards.Signature
    clearance: float
    """By how much scores must differ before it goes elsewhere."""


class Cache:
    """Decisions by text, bounded; all of one version of the routes. Not thread-safe."""

    def __init__(self, settings: Caching) -> None:
        self._settings = settings
        self._guards = tuple(settings.guards)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._keys: dict[int, bytes] = {}
        self._rows = Close()
        self._exact = self._similar = self._misses = self._checked = self._wrong = 0
        self._guarded: dict[str, int] = {}

    def same(self, text: str) -> Decision | None:
        """What was decided for this very text."""
        key = digest(text)
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._exact += 1
        self._entries.move_to_end(key)
        return entry.same

    def like(self, text: str, vector: Matrix, decide: Callable[[], Decision]) -> Decision | None:
        """What was decided for a text close by; `decide` takes the decision anew, to compare."""
        found = self._close(text, vector)
        if found is None:
            self._misses += 1
            return None
        key, similarity = found
        decision = self._entries[key].decision
        self._entries.move_to_end(key)
        every = self._settings.check_every
        due = every and self._similar % every == 0
        self._similar += 1
        if due:
            self._checked += 1
            right = decide()
            if right.route != decision.route:
                self._wrong += 1
                if key in self._entries:  # where there is room for one, `decide` has replaced it
                    self._forget(key)
                return right
        rule = "nearest" if decision.rule == "phrase" else decision.rule
        return replace(decision, rule=rule, cached="similar", similarity=similarity)

    def keep(self, text: str, vector: Matrix, decision: Decision) -> None:
        """Remember a decision that was taken, not one that was remembered."""
        if not self._settings.size:
            return
        key = digest(text)
        if key in self._entries:
            self._forget(key)
        while len(self._entries) >= self._settings.size:
            self._forget(next(iter(self._entries)))
        slot = self._rows.add(vector)
        self._keys[slot] = key
        same = replace(decision, cached="exact")
        signature = guards.signature(text, self._guards)
        self._entries[key] = _Entry(decision, same, slot, signature, clearance(decision))

    def clear(self) -> None:
        """Forget all decisions; the counts go on."""
        self._entries.clear()
        self._keys.clear()
        self._rows = Close()

    def report(self) -> CacheReport:
        """How often it knew, and how often it was wrong."""
        return CacheReport(
            entries=len(self._entries),
            exact=self._exact,
            similar=self._similar,
            misses=self._misses,
            guarded=dict(self._guarded),
            checked=self._checked,
            wrong=self._wrong,
        )

    def _close(self, text: str, vector: Matrix) -> tuple[bytes, float] | None:
        """The nearest text that the guards let pass; the elder of equals."""
        if self._settings.similarity > 1:
            return None
        near = self._rows.near(vector, self._settings.similarity)
        if not near:
            return None
        mine = guards.signature(text, self._guards)
        for slot, score in near[:_TRIED]:
            key = self._keys[slot]
            entry = self._entries[key]
            guard = guards.differs(mine, entry.signature, self._guards)
            if guard is None and entry.clearance < self._settings.needed(score):
                guard = MARGIN
            if guard is None:
                return key, score
            self._guarded[guard] = self._guarded.get(guard, 0) + 1
        return None

    def _forget(self, key: bytes) -> None:
        entry = self._entries.pop(key)
        del self._keys[entry.slot]
        self._rows.remove(entry.slot)


def digest(text: str) -> bytes:
    """What stands for a text; no two differ in their texts and agree in this."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def clearance(decision: Decision) -> float:
    """By how much scores must differ before another route is chosen, or none."""
    if not decision.candidates:
        return 1.0
    best = decision.candidates[0]
    from_threshold = abs(best.score - best.threshold)
    if decision.rule == "phrase" or not best.near:
        return from_threshold
    return min(from_threshold, decision.margin)


def upper(wrong: int, checked: int) -> float | None:
    """The upper end of the 95 % interval (Wilson) of a share; None without a count."""
    if not checked:
        return None
    share, square = wrong / checked, _Z * _Z
    middle = share + square / (2 * checked)
    spread: float = _Z * ((share * (1 - share) + square / (4 * checked)) / checked) ** 0.5
    return min(1.0, (middle + spread) / (1 + square / checked))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _check(option: str, value: Any, low: int, high: int) -> None:
    if not is_whole(value, low, high):
        raise InvalidOption(
            f"{option} = {value!r} cannot be: write a whole number from {low} to {high}.",
            option=option,
        )


def _check_number(option: str, value: Any) -> None:
    if not is_number(value):
        raise InvalidOption(f"{option} = {value!r} is no number: write one.", option=option)
