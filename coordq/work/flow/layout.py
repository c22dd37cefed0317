"""Where boxes go: in layers from the top, with few crossings, always the same for one graph.

Every line goes down by one layer at a time: where it is longer it passes through bends, which take
part in the ordering like narrow boxes. Layers are sorted by where their neighbours are, down and up
a few times, and then set beside each other with boxes as near to their parents as there is room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from coordq.work.flow.graph import Graph, Line

CHARACTER: Final = 7.3
"""Width of a character at 12 px, monospaced."""
BOX_HEIGHT: Final = 40.0
WIDTH_MIN: Final = 60.0
PADDING: Final = 24.0
GAP_ACROSS: Final = 24.0
GAP_DOWN: Final = 56.0
MARGIN: Final = 20.0
BEND_WIDTH: Final = 8.0
SWEEPS: Final = 6
BENDS_MAX: Final = 4000
"""Beyond, long lines go straight: nobody could follow them anyway."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box or a bend is: its middle, and its width."""

    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture, measured in pixels."""

    width: float
    height: float
    places: Mapping[str, Place]
    """Of each box, by id."""
    routes: Sequence[tuple[Line, tuple[tuple[float, float], ...]]]
    """Each line with the points that it goes through, from the lower edge of the parent."""


def width_of(words: Iterable[str]) -> float:
    """How wide a box with these lines of text is."""
    return max(WIDTH_MIN, max(map(len, words), default=0) * CHARACTER + PADDING)


def lay_out(graph: Graph) -> Layout:
    """The places of all boxes, and the ways of all lines."""
    depths = graph.depths()
    sizes = {box.id: width_of((box.title, box.notes)) for box in graph.boxes}
    ways = [
        (line, _bends(line, at, depths, len(graph.lines))) for at, line in enumerate(graph.lines)
    ]
    layers: list[list[str]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for box in graph.boxes:
        layers[depths[box.id]].append(box.id)
    for line, bends in ways:
        for offset, bend in enumerate(bends, 1):
            layers[depths[line.parent] + offset].append(bend)
            sizes[bend] = BEND_WIDTH
    chains = [(line.parent, *bends, line.child) for line, bends in ways]
    above, below = _neighbours(chains)
    _sort(layers, above, below)
    middle = _across(layers, above, below, sizes)
    return _measured(graph, ways, layers, middle, sizes)


def _bends(line: Line, at: int, depths: Mapping[str, int], lines: int) -> tuple[str, ...]:
    length = depths[line.child] - depths[line.parent]
    if lines * length > BENDS_MAX:
        return ()
    return tuple(f"{at}/{number}" for number in range(1, length))


def _neighbours(
    chains: Iterable[tuple[str, ...]],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for chain in chains:
        for first, second in pairwise(chain):
            below.setdefault(first, []).append(second)
            above.setdefault(second, []).append(first)
    return above, below


def _sort(
    layers: list[list[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]
) -> None:
    """Order each layer by the mean place of its neighbours, downwards and upwards in turn."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        order = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for depth in order:
            before = layers[depth - 1 if down else depth + 1]
            place = {one: float(at) for at, one in enumerate(before)}
            neighbours = above if down else below
            own = {one: at for at, one in enumerate(layers[depth])}
            middle = {
                one: _mean([place[n] for n in neighbours.get(one, ()) if n in place], own[one])
                for one in layers[depth]
            }
            layers[depth].sort(key=lambda one: (middle[one], own[one]))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _across(
    layers: Sequence[Sequence[str]],
    above: Mapping[str, list[str]],
    below: Mapping[str, list[str]],
    sizes: Mapping[str, float],
) -> dict[str, float]:
    """The middle of each box, so that none overlap and lines are as upright as there is room."""
    middle: dict[str, float] = {}
    for layer in layers:
        _pack(
            layer,
            {one: _mean([middle[n] for n in above.get(one, ())], 0) for one in layer},
            sizes,
            middle,
        )
    for layer in reversed(layers[:-1]):
        wished = {one: _mean([middle[n] for n in below.get(one, ())], middle[one]) for one in layer}
        _pack(layer, wished, sizes, middle)
    return middle


def _pack(
    layer: Sequence[str],
    wished: Mapping[str, float],
    sizes: Mapping[str, float],
    middle: dict[str, float],
) -> None:
    """Put a layer as near as may be to where it wants to be, in its order."""
    right = left = None
    leftmost: dict[str, float] = {}
    for one in layer:
        at = wished[one] if right is None else max(wished[one], right + sizes[one] / 2)
        leftmost[one] = at
        right = at + sizes[one] / 2 + GAP_ACROSS
    for one in reversed(layer):
        at = wished[one] if left is None else min(wished[one], left - sizes[one] / 2)
        middle[one] = (at + leftmost[one]) / 2
        left = at - sizes[one] / 2 - GAP_ACROSS


def _measured(
    graph: Graph,
    ways: Sequence[tuple[Line, tuple[str, ...]]],
    layers: Sequence[Sequence[str]],
    middle: Mapping[str, float],
    sizes: Mapping[str, float],
) -> Layout:
    """The picture, moved so that it begins at the margin."""
    left = min((middle[one] - sizes[one] / 2 for one in middle), default=0.0)
    right = max((middle[one] + sizes[one] / 2 for one in middle), default=0.0)
    down = BOX_HEIGHT + GAP_DOWN
    places = {
        one: Place(
            round(middle[one] - left + MARGIN, 1),
            round(MARGIN + BOX_HEIGHT / 2 + depth * down, 1),
            round(sizes[one], 1),
        )
        for depth, layer in enumerate(layers)
        for one in layer
    }
    routes = [
        (
            line,
            (
                (places[line.parent].x, places[line.parent].y + BOX_HEIGHT / 2),
                *((places[bend].x, places[bend].y) for bend in bends),
                (places[line.child].x, places[line.child].y - BOX_HEIGHT / 2),
            ),
        )
        for line, bends in ways
    ]
    boxes = {box.id: places[box.id] for box in graph.boxes}
    height = 2 * MARGIN + max(len(layers) * down - GAP_DOWN, 0)
    return Layout(round(right - left + 2 * MARGIN, 1), height, boxes, routes)
