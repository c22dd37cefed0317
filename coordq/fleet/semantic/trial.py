"""How good a router is: on labelled texts, and on a stream of them through its cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coordq.fleet.semantic.decision import Decision
from coordq.fleet.semantic.labelled import KINDS, Labelled
from coordq.fleet.semantic.router import Router


@dataclass(frozen=True, slots=True)
class Miss:
    """A text that did not go where it belongs."""

    text: str
    wanted: str | None
    got: str | None
    score: float
    """Of the nearest route, whoever that was."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"text": self.text, "wanted": self.wanted, "got": self.got, "score": self.score}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How labelled texts were routed. A text that only the fallback took was taken by nobody."""

    texts: int
    right: int
    """Went where they belong; those that belong nowhere were taken by nobody."""
    taken: int
    """Somebody was near enough."""
    wrong: int
    """Taken by a route to which they do not belong."""
    among_three: float
    """The share of texts that belong somewhere whose route was among the nearest three."""
    by_kind: dict[str, float]
    """The share that was right, by kind of text."""
    misses: tuple[Miss, ...]

    @property
    def accuracy(self) -> float:
        """The share that was right, 0 to 1."""
        return self.right / self.texts if self.texts else 0.0

    @property
    def false_rate(self) -> float:
        """The share of the taken ones that were taken wrongly."""
        return self.wrong / self.taken if self.taken else 0.0

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "texts": self.texts,
            "right": self.right,
            "taken": self.taken,
            "wrong": self.wrong,
            "accuracy": self.accuracy,
            "false_rate": self.false_rate,
            "among_three": self.among_three,
            "by_kind": dict(self.by_kind),
            "misses": [miss.to_json() for miss in self.misses],
        }


def judge(router: Router, texts: Iterable[Labelled]) -> Verdict:
    """Route labelled texts, and compare."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    misses: list[Miss] = []
    taken = wrong = close = belong = 0
    for one in texts:
        decision = router.route(one.text, fresh=True)
        got = taker(decision)
        asked[one.kind] += 1
        right[one.kind] += got == one.route
        taken += got is not None
        wrong += got is not None and got != one.route
        belong += one.route is not None
        close += one.route in {near.route for near in decision.candidates[:3]}
        if got != one.route:
            misses.append(Miss(one.text, one.route, got, decision.score))
    return Verdict(
        texts=asked.total(),
        right=right.total(),
        taken=taken,
        wrong=wrong,
        among_three=close / belong if belong else 0.0,
        by_kind={kind: right[kind] / asked[kind] for kind in KINDS if asked[kind]},
        misses=tuple(misses),
    )


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """What a cache did to a stream of texts."""

    texts: int
    new: int
    """Texts that had not been there before, letter by letter."""
    new_hits: int
    """Those of them for which the decision for a similar one was taken."""
    reworded: int
    """New texts of requests that had been there before, in other words."""
    reworded_hits: int
    """Those of them for which the decision for a similar text was taken."""
    hits: int
    """All texts for which a decision was remembered."""
    similar: int
    """Those of them for which it was that for a similar text."""
    false: int
    """Similar hits that went elsewhere than without the cache; each was compared."""
    mislabelled: int
    """Similar hits that did not go where the label says, the router's own mistakes among them."""

    @property
    def hit_rate(self) -> float:
        """Of all texts."""
        return self.hits / self.texts if self.texts else 0.0

    @property
    def new_hit_rate(self) -> float:
        """Of texts that had not been there before."""
        return self.new_hits / self.new if self.new else 0.0

    @property
    def reworded_hit_rate(self) -> float:
        """Of requests that had been there before in other words: how well it knows a paraphrase."""
        return self.reworded_hits / self.reworded if self.reworded else 0.0

    @property
    def false_rate(self) -> float:
        """Of similar hits."""
        return self.false / self.similar if self.similar else 0.0


def judge_stream(router: Router, texts: Iterable[Labelled]) -> StreamVerdict:
    """Route a stream, and compare each hit for a similar text with the decision taken anew."""
    seen: set[str] = set()
    asked: set[int] = set()
    told: Counter[str] = Counter()
    for one in texts:
        new, again = one.text not in seen, one.ask in asked
        seen.add(one.text)
        asked.add(one.ask)
        decision = router.route(one.text)
        told["texts"] += 1
        told["reworded"] += new and again
        told["hits"] += decision.cached != "no"
        if decision.cached == "similar":
            told["similar"] += 1
            told["new_hits"] += new
            told["reworded_hits"] += new and again
            told["false"] += decision.route != router.route(one.text, fresh=True).route
            told["mislabelled"] += taker(decision) != one.route
    counts = ("texts", "new_hits", "reworded", "reworded_hits", "hits", "similar", "false")
    return StreamVerdict(
        new=len(seen), mislabelled=told["mislabelled"], **{name: told[name] for name in counts}
    )


def taker(decision: Decision) -> str | None:
    """The route that was near enough; None for the fallback, which takes what is left."""
    return decision.route if decision.rule in ("phrase", "nearest") else None
