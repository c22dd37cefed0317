"""From a text to the routes it concerns: the phrase itself, the nearest, or the fallback."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from coordq.amounts import is_whole
from coordq.errors import InvalidOption
from coordq.fleet.semantic.cache import Cache, CacheReport, Caching
from coordq.fleet.semantic.decision import Candidate, Decision, Rule
from coordq.fleet.semantic.embedder import Embedding, choose, embedded
from coordq.fleet.semantic.index import Index
from coordq.fleet.semantic.routes import (
    Route,
    Routes,
    check_text,
    check_threshold,
    checked,
)
from coordq.fleet.semantic.words import folded
from coordq.names import check_name

if TYPE_CHECKING:
    from coordq.fleet.semantic.embedder import Matrix

TOP_MAX: Final = 16
"""Routes that one decision can name."""


class Router:
    """Routes, an index of what they say of themselves, and a cache of decisions. Thread-safe.

    routes: texts by name; see `update`. embedder: "lexical" (the default: words and parts of words,
    no meaning), "wordllama" (with coordq[semantic]), an object or a function of a list of texts.
    threshold: how near a text must be to a route that takes it; by default what suits the embedder.
    fallback: where texts go that nobody is near; it need not be a route. caching: how decisions are
    remembered; `Caching(size=0)` for not at all.

    The same routes and text give the same decision, however the routes came to be there. Threads
    that route at once may ask an embedder at once.

    Raises InvalidRoutes, InvalidName, InvalidSetting, InvalidEmbedding.
    """

    def __init__(
        self,
        routes: Routes | None = None,
        *,
        embedder: Embedding = None,
        threshold: float | None = None,
        fallback: str | None = None,
        caching: Caching | None = None,
        version: int = 0,
    ) -> None:
        self.embedder = choose(embedder)
        self.threshold = check_threshold(
            self.embedder.threshold if threshold is None else threshold
        )
        self.fallback = None if fallback is None else check_name("route", fallback)
        self.version = version
        self._routes: dict[str, Route] = {}
        self._phrases: dict[str, list[str]] = {}
        self._index = Index()
        self._dimensions: int | None = None
        self._cache = Cache(caching or Caching())
        self._lock = Lock()  # of what is held; never while an embedder is at work
        self._changing = Lock()  # of changes to it, one at a time
        self._replace(checked(routes or {}), version)

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def routes(self) -> Mapping[str, Route]:
        """A copy of what is there, by name."""
        with self._lock:
            return dict(sorted(self._routes.items()))

    def update(self, routes: Routes, version: int) -> bool:
        """Hold exactly these routes from now on; true when that changed anything.

        Only phrases of routes that changed are embedded. With the version that is held already
        nothing is looked at. Remembered decisions are forgotten when a route changed.
        """
        with self._changing:
            if version == self.version and self._routes:
                return False
            return self._replace(checked(routes), version)

    def put(self, name: str, texts: Any) -> None:
        """Add one route, or describe it anew: texts, or `{"texts": [...], "threshold": 0.4}`."""
        with self._changing:
            self._replace(checked({**self._routes, name: texts}), self.version + 1)

    def drop(self, name: str) -> bool:
        """Take one route away; false when it was not there."""
        with self._changing:
            rest = {key: route for key, route in self._routes.items() if key != name}
            return len(rest) < len(self._routes) and self._replace(rest, self.version + 1)

    def route(
        self,
        text: str,
        *,
        top: int = 1,
        among: Collection[str] | None = None,
        fresh: bool = False,
    ) -> Decision:
        """Where a text belongs.

        top: name up to so many routes that are near enough, 1 to 16. among: look at these routes
        only. fresh: take the decision anew. With either nothing is remembered.

        Raises InvalidArguments, PayloadTooLarge, InvalidOption, InvalidEmbedding.
        """
        check_text(text)
        check_top(top)
        only = None if among is None else frozenset(among)
        if fresh or only is not None:
            vector = self._vector(text)
            with self._lock:
                found = self._decide(text, vector, only)
        else:
            found = self._known(text) or self._unknown(text, self._vector(text))
        return found if len(found.routes) <= top else replace(found, routes=found.routes[:top])

    def report(self) -> CacheReport:
        """What the cache has done: its hit rate, and its false-route rate."""
        with self._lock:
            return self._cache.report()

    # -- one decision --------------------------------------------------------------------------

    def _known(self, text: str) -> Decision | None:
        with self._lock:
            return self._cache.same(text)

    def _unknown(self, text: str, vector: Matrix) -> Decision:
        def decide() -> Decision:
            decision = self._decide(text, vector)
            self._cache.keep(text, vector, decision)
            return decision

        with self._lock:
            return self._cache.like(text, vector, decide) or decide()

    def _decide(self, text: str, vector: Matrix, among: frozenset[str] | None = None) -> Decision:
        found = [self._candidate(*one) for one in self._index.nearest(vector, TOP_MAX, among)]
        own = self._phrases.get(folded(text).strip(), ())
        said = sorted(name for name in own if among is None or name in among)
        candidates = self._said_first(said, text, found)[:TOP_MAX]
        near = tuple(one.route for one in candidates if one.near)
        rule: Rule = "phrase" if said else "nearest" if near else "none"
        if not near and self.fallback is not None:
            near, rule = (self.fallback,), "fallback"
        return Decision(
            route=near[0] if near else None,
            routes=near,
            rule=rule,
            candidates=tuple(candidates),
            embedder=self.embedder.name,
            version=self.version,
        )

    def _said_first(self, said: list[str], text: str, found: list[Candidate]) -> list[Candidate]:
        """Whoever has the text for a phrase comes first, and is as near as can be."""
        first = [self._candidate(1.0, name, text.strip()) for name in said]
        return first + [one for one in found if one.route not in said]

    def _candidate(self, score: float, name: str, phrase: str) -> Candidate:
        own = self._routes[name].threshold
        return Candidate(name, score, phrase, self.threshold if own is None else own)

    def _vector(self, text: str) -> Matrix:
        vector: Matrix = self._embed([text])[0]
        return vector

    def _embed(self, texts: list[str]) -> Matrix:
        """All vectors that this router ever sees are of one length."""
        matrix = embedded(self.embedder, texts, self._dimensions)
        self._dimensions = matrix.shape[1]
        return matrix

    # -- the routes ----------------------------------------------------------------------------

    def _replace(self, wanted: Mapping[str, Route], version: int) -> bool:
        """Hold these and no others; embeds before it changes anything, so it is all or nothing."""
        new = [route for name, route in wanted.items() if self._routes.get(name) != route]
        gone = [name for name in self._routes if name not in wanted]
        phrases = [phrase for route in new for phrase in route.texts]
        vectors: Any = self._embed(phrases) if phrases else ()
        said = _by_phrase(wanted)
        with self._lock:
            self.version = version
            if not new and not gone:
                return False
            for name in gone:
                self._index.drop(name)
            at = 0
            for route in new:
                end = at + len(route.texts)
                self._index.put(route.name, route.texts, vectors[at:end])
                at = end
            self._routes, self._phrases = dict(wanted), said
            self._cache.clear()
            return True


def _by_phrase(routes: Mapping[str, Route]) -> dict[str, list[str]]:
    """Who says what of itself, word for word."""
    said: dict[str, list[str]] = {}
    for route in routes.values():
        for phrase in dict.fromkeys(folded(text).strip() for text in route.texts):
            said.setdefault(phrase, []).append(route.name)
    return said


def check_top(top: Any) -> None:
    """Refuse what is no number of routes. Raises InvalidOption."""
    if not is_whole(top, 1, TOP_MAX):
        raise InvalidOption(
            f"top = {top!r} cannot be: write a whole number from 1 to {TOP_MAX}.", option="top"
        )
