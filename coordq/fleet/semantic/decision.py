"""What a router decided, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Rule: TypeAlias = Literal["phrase", "nearest", "fallback", "none"]
Cached: TypeAlias = Literal["no", "exact", "similar"]

SHOWN: Final = 5
"""Candidates that an explanation tells of."""
_SENTENCES: Final = {
    "phrase": "the text is one of its phrases, word for word",
    "nearest": "it is nearest, and near enough",
    "fallback": "nobody is near enough, so it goes where such texts go",
    "none": "nobody is near enough, and there is no fallback",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route that was looked at."""

    route: str
    score: float
    """How near it is, -1 to 1; scores of different embedders cannot be compared."""
    phrase: str
    """Which of its texts lies nearest."""
    threshold: float
    """How near it had to be."""

    @property
    def near(self) -> bool:
        """Whether it is near enough."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a text belongs."""

    route: str | None
    """The best route, else the fallback, else None."""
    routes: tuple[str, ...]
    """As many of those near enough as were asked for, best first; else the fallback alone."""
    rule: Rule
    """Why `route`: its own words, the nearest, the fallback; or none."""
    candidates: tuple[Candidate, ...]
    """The nearest, best first, also those that are not near enough; ties by name."""
    embedder: str
    version: int
    """Of the routes that were there."""
    cached: Cached = "no"
    """Whether this was remembered: for this very text, or for one that lay close by."""
    similarity: float | None = None
    """How close that one lay."""

    @property
    def score(self) -> float:
        """How near the nearest lies, whether near enough or not; 0 when there are no routes."""
        return self.candidates[0].score if self.candidates else 0.0

    @property
    def margin(self) -> float:
        """By how much the nearest is ahead of the second."""
        second = self.candidates[1].score if len(self.candidates) > 1 else 0.0
        return round(self.score - second, 4)

    def explain(self) -> list[str]:
        """In sentences: who gets it, by which rule, near what, and why not the others."""
        told = [f"{self.route or 'nobody'}: {_SENTENCES[self.rule]}"]
        told += [self._about(place) for place in range(min(SHOWN, len(self.candidates)))]
        if self.cached == "exact":
            told.append("remembered: this very text was routed before")
        elif self.cached == "similar":
            told.append(
                f"remembered: a text with similarity {self.similarity:.2f}, alike in numbers, "
                "names and negation, was routed so; the scores are that text's"
            )
        told.append(f"scores are by {self.embedder}, routes at version {self.version}")
        return told

    def _about(self, place: int) -> str:
        one = self.candidates[place]
        words = f'{one.route} {one.score:.4f} for "{one.phrase}"'
        if not one.near:
            return f"{words}: below {one.threshold:g}"
        if one.route in self.routes:
            return f"{words}: chosen"
        behind = self.score - one.score
        return f"{words}: {behind:.4f} behind" if behind else f"{words}: as near, later by name"

    def to_json(self) -> dict[str, Any]:
        """For programs, and `coordq route --json`."""
        return {
            "route": self.route,
            "routes": list(self.routes),
            "rule": self.rule,
            "score": self.score,
            "margin": self.margin,
            "cached": self.cached,
            "similarity": self.similarity,
            "embedder": self.embedder,
            "version": self.version,
            "candidates": [
                {
                    "route": one.route,
                    "score": one.score,
                    "phrase": one.phrase,
                    "threshold": one.threshold,
                    "near": one.near,
                }
                for one in self.candidates
            ],
        }
