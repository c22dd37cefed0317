"""How soon a text finds its route, how often the right one, and what a cache does to both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from statistics import median, quantiles
from time import thread_time
from typing import Final

from coordq import clock
from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.decision import Decision
from coordq.fleet.semantic.embedder import available, choose
from coordq.fleet.semantic.labelled import (
    ASKS,
    HARD,
    NOWHERE,
    Labelled,
    LabelledSet,
    held_out,
    shipped,
)
from coordq.fleet.semantic.router import Router
from coordq.fleet.semantic.trial import StreamVerdict, judge, judge_stream
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
    """For each embedder that is installed: labelled texts, streams, and 1,000 routes.

    All but one figure are by texts that nothing was tuned by.
    """
    tuned, held = shipped(), held_out()
    figures: Figures = {}
    for name in available():
        by_tuned = judge(Router(tuned.file.routes, embedder=name), tuned.texts)
        measured = {
            "right of the 375 texts it was tuned by, %": by_tuned.accuracy * 100,
            **_accuracy(name, held),
            **_stream(name, held),
            **_speed(name, tuned),
        }
        figures |= {f"routing, {name}: {figure}": value for figure, value in measured.items()}
    return figures


def _accuracy(name: str, held: LabelledSet) -> Figures:
    verdict = judge(Router(held.file.routes, embedder=name), held.texts)
    kinds = verdict.by_kind
    return {
        f"held out: right of all {verdict.texts}, %": verdict.accuracy * 100,
        "held out: right of plain requests, %": kinds[ASKS] * 100,
        "held out: right of hard ones, %": kinds[HARD] * 100,
        "held out: left alone of those that belong nowhere, %": kinds[NOWHERE] * 100,
        "held out: right among the nearest three, %": verdict.among_three * 100,
        "held out: wrong of those taken, %": verdict.false_rate * 100,
    }


def _stream(name: str, held: LabelledSet) -> Figures:
    """Streams, each from an empty cache. Each similar hit is compared, none put right."""
    figures: Figures = {}
    for similarity in (0.85, 0.95):
        caching = Caching(similarity=similarity, check_every=0)

        def judged(texts: Iterable[Labelled], caching: Caching = caching) -> StreamVerdict:
            routes = held.file.routes
            return judge_stream(
                Router(routes, embedder=name, fallback="desk", caching=caching), texts
            )

        told = [judged(held.stream(STREAM, seed)) for seed in range(STREAMS)]
        once = [judged(held.wordings(seed)) for seed in range(STREAMS)]
        at = f"at {similarity}"
        figures |= {
            f"held out: hits {at}, %": _share(told, "hits", "texts"),
            f"held out: hits {at} of new texts, %": _share(told, "new_hits", "new"),
            f"held out: hits {at} of other wordings alone, %": _share(
                once, "reworded_hits", "reworded"
            ),
            f"held out: false routes {at} of similar hits, %": _share(
                [*told, *once], "false", "similar"
            ),
        }
    return figures


def _share(told: Sequence[StreamVerdict], part: str, whole: str) -> float:
    """Of all streams together, in %."""
    parts, wholes = (sum(int(getattr(one, name)) for one in told) for name in (part, whole))
    return 100.0 * parts / max(1, wholes)


def _speed(name: str, labelled: LabelledSet) -> Figures:
    start = clock.monotonic()
    routes = many(labelled, ROUTES)
    router = Router(routes, embedder=name, caching=Caching(check_every=0, margin=0))
    built_s = clock.monotonic() - start
    texts = [one.text for one in islice(labelled.stream(STREAM, seed=5), _TEXTS)]
    uncached = _timed(texts, lambda text: router.route(text, fresh=True))
    for text in texts:
        router.route(text)
    exact = _timed([*texts, *texts], router.route, partial(_was, "exact"))
    similar = _timed(
        [f"{text} thanks a lot" for text in texts], router.route, partial(_was, "similar")
    )
    changed = _timed([f"about matter {n}" for n in range(_TEXTS)], partial(_put, router))
    (width,) = choose(name).embed(["how wide"])[0].shape
    return {
        "index of 1,000 routes, s": built_s,
        **_middle("one route described anew", changed),
        **_middle("decision, not cached", uncached),
        **_middle("decision, same text", exact),
        **_middle("decision, similar text", similar),
        **_middle(f"bare numpy dot, {ROUTES * PHRASES} x {width}", _dot(ROUTES * PHRASES, width)),
        **_middle(f"bare numpy dot, {len(texts)} x {width}", _dot(len(texts), width)),
    }


def _dot(rows: int, width: int) -> list[tuple[float, float]]:
    """What the machine needs at this moment to compare a vector with so many, and nothing else."""
    import numpy as np

    matrix = np.ones((rows, width), dtype=np.float32)
    vector = np.ones(width, dtype=np.float32)
    return _timed([""] * _TEXTS, lambda _: np.vecdot(matrix, vector))


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
    return {
        f"{what}, p50, ms": median(walls),
        f"{what}, p99, ms": quantiles(walls, n=100)[98],
        f"{what}, p50, ms of processor": median(busy),
    }
