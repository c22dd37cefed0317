"""Texts of which somebody has said where they belong, to judge routers by.

A labelled file is YAML, JSON or TOML. Its top may hold what a file of routes does (see `file.py`),
and

    asks:                       # requests, by route; a list within is one request in many wordings
      billing:
        - [I was charged twice, You charged me two times]
        - where is my invoice
    hard:                       # the same, counted apart: texts whose words belong elsewhere
      billing: [you keep taking money from my card]
    nowhere: [sing me a song]   # what no route should take

Two sets ship beside this file: `labelled.yaml`, by which thresholds, weights and guards were
chosen, and `heldout.yaml`, by which nothing was, so that figures can be taken by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any, Final

from coordq.errors import InvalidRoutes
from coordq.fleet.semantic.file import RoutesFile, file_of, read_table, refuse
from coordq.fleet.semantic.routes import TEXT_MAX

ASKS, HARD, NOWHERE = "asks", "hard", "nowhere"
KINDS: Final = (ASKS, HARD, NOWHERE)
_BEFORE: Final = ("", "please: ", "hi, ", "Hello, ", "quick one: ", "as said before, ")
_AFTER: Final = ("", "!", " thanks", ", please", " - thank you", "?")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text, and where it belongs."""

    text: str
    route: str | None
    """None: nowhere."""
    kind: str
    """One of `KINDS`."""
    ask: int
    """Texts of one number are wordings of one request."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Labelled texts, and the routes that their file declares, if any."""

    texts: tuple[Labelled, ...]
    file: RoutesFile

    def pairs(self) -> Iterator[tuple[str, str, bool]]:
        """Every two texts, and whether they belong to the same route."""
        for one, other in combinations(self.texts, 2):
            yield one.text, other.text, one.route == other.route

    def stream(self, length: int, seed: int = 0) -> Iterator[Labelled]:
        """Requests as they come in: few are asked often, each time in one of its wordings.

        Requests are drawn by Zipf's law (the k-th most asked one `1/k` as often as the first), the
        wording by chance, and most are dressed: greeted, thanked for, capitalised. The same seed
        gives the same stream.
        """
        chance = Random(seed)
        asked: dict[int, list[Labelled]] = {}
        for one in self.texts:
            if one.kind == ASKS:
                asked.setdefault(one.ask, []).append(one)
        requests = list(asked.values())
        chance.shuffle(requests)
        often = [1 / rank for rank in range(1, len(requests) + 1)]
        for wordings in chance.choices(requests, often, k=length):
            one = chance.choice(wordings)
            text = chance.choice(_BEFORE) + one.text.rstrip(".?!") + chance.choice(_AFTER)
            yield Labelled(text, one.route, one.kind, one.ask)

    def wordings(self, seed: int = 0) -> Iterator[Labelled]:
        """Each wording of each request once, as it is, in an order by chance."""
        once = [one for one in self.texts if one.kind == ASKS]
        Random(seed).shuffle(once)
        yield from once


def shipped() -> LabelledSet:
    """The set that coordq was tuned by: 375 texts, 25 routes."""
    return read_labelled(_beside("labelled.yaml"))


def held_out() -> LabelledSet:
    """Texts by which nothing was chosen: 237, for the same 25 routes."""
    return LabelledSet(read_labelled(_beside("heldout.yaml")).texts, shipped().file)


def _beside(name: str) -> Path:
    return Path(str(files("coordq.fleet.semantic") / name))


def read_labelled(path: Path) -> LabelledSet:
    """The texts of a file. Raises InvalidRoutes that names the place, and what to write."""
    data = read_table(path)
    parts = {kind: data.pop(kind, None) for kind in KINDS}
    routes = file_of(data, path, also=KINDS)
    made: list[Labelled] = []
    for kind in (ASKS, HARD):
        for route, asks in _mapping(path, kind, parts[kind]).items():
            _add(path, made, kind, str(route), asks)
    _add(path, made, NOWHERE, None, parts[NOWHERE] or [])
    if not made:
        raise refuse(path, ASKS, "write texts by route, such as billing: [I was charged twice]")
    return LabelledSet(tuple(made), routes)


def _add(path: Path, made: list[Labelled], kind: str, route: str | None, asks: Any) -> None:
    place = f"{kind}.{route}" if route else kind
    if not isinstance(asks, list):
        raise refuse(path, place, "write a list of texts")
    for ask in asks:
        number = made[-1].ask + 1 if made else 0
        wordings = ask if isinstance(ask, list) else [ask]
        for text in wordings:
            if not isinstance(text, str) or not text.strip() or len(text) > TEXT_MAX:
                raise refuse(path, place, f"{str(text)[:40]!r} is no text that can be routed")
            made.append(Labelled(text, route, kind, number))


def _mapping(path: Path, place: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(path, place, "write lists of texts by route")
    return value


def unknown(labelled: LabelledSet, names: set[str]) -> InvalidRoutes | None:
    """What is wrong when a text belongs to a route that is not there; None when nothing is."""
    for one in labelled.texts:
        if one.route is not None and one.route not in names:
            return InvalidRoutes(
                f"A text belongs to {one.route}, but there is no such route. Declare it, or name "
                f"one of {', '.join(sorted(names)[:8]) or 'those that you declare'}.",
                route=one.route,
            )
    return None
