"""How soon a text finds its route, how often the right one, and what a cache does to both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from statistics import median, quantiles
from time import thread_time
from typing import Final

from coordq import clock
from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.decision import Decision
from coordq.fleet.semantic.embedder import available
from coordq.fleet.semantic.labelled import ASKS, HARD, NOWHERE, LabelledSet, shipped
from coordq.fleet.semantic.router import Router
from coordq.fleet.semantic.trial import judge, judge_stream
from coordq.interfaces.bench.measure import Figures
from coordq.interfaces.bench.server import Server

ROUTES: Final = 1_000
PHRASES: Final = 3
STREAM: Final = 3_000
STREAMS: Final = 3
_TEXTS: Final = 300
_WARM: Final = 50


def many(labelled: LabelledSet, count: int) -> dict[str, list[str]]:
    """So many routes of three phrases each: those that ship, each for many places."""
    texts = [text for route in labelled.file.routes.values() for text in route.texts]
    return {
        f"route-{number}": [
            f"{texts[(number * PHRASES + at) % len(texts)]} in district {number}"
            for at in range(PHRASES)
        ]
        for number in range(count)
    }


def routing(_server: Server) -> Figures:
    """For each embedder that is installed: the labelled set, a stream, and 1,000 routes."""
    labelled = shipped()
    figures: Figures = {}
    for name in available():
        figures |= {
            f"routing, {name}: {figure}": value
            for measured in (_accuracy, _stream, _speed)
            for figure, value in measured(name, labelled).items()
        }
    return figures


def _accuracy(name: str, labelled: LabelledSet) -> Figures:
    verdict = judge(Router(labelled.file.routes, embedder=name), labelled.texts)
    kinds = verdict.by_kind
    return {
        "right of all 375, %": verdict.accuracy * 100,
        "right of plain requests, %": kinds[ASKS] * 100,
        "right of hard ones, %": kinds[HARD] * 100,
        "left alone of those that belong nowhere, %": kinds[NOWHERE] * 100,
        "right among the nearest three, %": verdict.among_three * 100,
        "wrong of those taken, %": verdict.false_rate * 100,
    }


def _stream(name: str, labelled: LabelledSet) -> Figures:
    """Three streams, each from an empty cache. Each similar hit is compared, none put right."""
    figures: Figures = {}
    for similarity in (0.85, 0.95):
        caching = Caching(similarity=similarity, check_every=0)
        told = [
            judge_stream(
                Router(labelled.file.routes, embedder=name, fallback="desk", caching=caching),
                labelled.stream(STREAM, seed),
            )
            for seed in range(STREAMS)
        ]
        figures |= {
            f"hits at {similarity}, %": _percent(one.hits for one in told)
            / sum(one.texts for one in told),
            f"hits at {similarity} of new texts, %": _percent(one.new_hits for one in told)
            / sum(one.new for one in told),
            f"false routes at {similarity} of similar hits, %": _percent(one.false for one in told)
            / max(1, sum(one.similar for one in told)),
        }
    return figures


def _percent(counts: Iterable[int]) -> float:
    return 100.0 * sum(counts)


def _speed(name: str, labelled: LabelledSet) -> Figures:
    start = clock.monotonic()
    routes = many(labelled, ROUTES)
    router = Router(routes, embedder=name, caching=Caching(check_every=0, margin=0))
    built_s = clock.monotonic() - start
    texts = [one.text for one in islice(labelled.stream(STREAM, seed=5), _TEXTS)]
    uncached = _timed(texts, lambda text: router.route(text, fresh=True))
    for text in texts:
        router.route(text)
    exact = _timed(texts, router.route, partial(_was, "exact"))
    similar = _timed(
        [f"{text} thanks a lot" for text in texts], router.route, partial(_was, "similar")
    )
    changed = _timed([f"about matter {n}" for n in range(_TEXTS)], partial(_put, router))
    return {
        "index of 1,000 routes, s": built_s,
        **_middle("one route described anew", changed),
        **_middle("decision, not cached", uncached),
        "decision, not cached, p99, ms": quantiles((wall for wall, _ in uncached), n=100)[98],
        **_middle("decision, same text", exact),
        **_middle("decision, similar text", similar),
    }


def _put(router: Router, text: str) -> None:
    router.put("route-0", [text])


def _was(cached: str, decision: object) -> bool:
    return isinstance(decision, Decision) and decision.cached == cached


def _timed(
    texts: Iterable[str],
    what: Callable[[str], object],
    counts: Callable[[object], bool] = lambda _: True,
) -> list[tuple[float, float]]:
    """How many ms each took, by the clock and by the processor; the first few warm it up."""
    spent = []
    for text in texts:
        start, busy = clock.monotonic(), thread_time()
        found = what(text)
        took = (clock.monotonic() - start) * 1000, (thread_time() - busy) * 1000
        if counts(found):
            spent.append(took)
    return spent[min(_WARM, len(spent) // 2) :]


def _middle(what: str, spent: Iterable[tuple[float, float]]) -> Figures:
    walls, busy = zip(*spent, strict=True)
    return {f"{what}, p50, ms": median(walls), f"{what}, p50, ms of processor": median(busy)}
