"""A flow as an SVG picture: one text, without anything it would have to fetch or run."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import Final

from coordq.work.flow.graph import SIGNS, Box, Graph, Line
from coordq.work.flow.layout import BOX_HEIGHT, Layout, Place, lay_out

_COLOURS: Final = {
    "": ("#ffffff", "#6b7280"),
    "waiting": ("#ffffff", "#9ca3af"),
    "scheduled": ("#f3f0ff", "#7c5cd6"),
    "ready": ("#e8f0fe", "#4f7fd0"),
    "running": ("#cfe2ff", "#1f5fd0"),
    "suspended": ("#fff3cd", "#b98900"),
    "succeeded": ("#d9f2df", "#2e8b4f"),
    "failed": ("#f8d7da", "#b4232f"),
    "cancelled": ("#e2e3e5", "#6c757d"),
    "skipped": ("#f4f4f4", "#9aa0a6"),
}
"""Fill and stroke of each state."""
_ROUND: Final = {"task": 5, "approval": 20, "signal": 20, "timer": 20}
LABEL_MAX: Final = 40
"""Characters of a label on a line; all of it is in its title, which browsers show on hover."""
LABEL_CHARACTER: Final = 6.1
"""Width of a character of a label."""
LABEL_HEIGHT: Final = 12.0
LABEL_PARTS: Final = (0.7, 0.45, 0.92, 0.22)
"""How far down a piece of a line its label may be, best first."""
CELL: Final = 256.0
"""No label is wider."""

Points = tuple[tuple[float, float], ...]
Label = tuple[float, float, float]
"""Middle and width."""
_HEAD: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
    'viewBox="0 0 {width:g} {height:g}" font-family="ui-monospace, Menlo, Consolas, monospace" '
    'font-size="12" role="img">'
)
_ARROW: Final = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#6b7280"/></marker></defs>'
)


def svg(graph: Graph, *, fold: bool = True) -> str:
    """The picture. fold: whether tasks that are alike share one box."""
    graph = graph.folded() if fold else graph
    layout = lay_out(graph)
    parts = [
        _HEAD.format(width=layout.width, height=layout.height),
        f"<title>{_safe(graph.name)}</title>",
        _ARROW,
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_line(line, points) for line, points in layout.routes),
        *(_box(box, layout.places[box.id]) for box in graph.boxes),
        *_labels(layout),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box, place: Place) -> str:
    fill, stroke = _COLOURS.get(box.state, _COLOURS[""])
    dashes = ' stroke-dasharray="4 3"' if box.state == "skipped" else ""
    left, top = place.x - place.width / 2, place.y - BOX_HEIGHT / 2
    head = " ".join(filter(None, (SIGNS.get(box.state, "?"), box.title)))
    words = [head, box.notes] if box.notes else [head]
    first = place.y + 4 - 8 * (len(words) - 1)
    texts = "".join(
        f'<text x="{place.x:g}" y="{first + 16 * at:g}" text-anchor="middle">{_safe(one)}</text>'
        for at, one in enumerate(words)
    )
    return (
        f"<g><title>{_safe(f'{box.key}: {box.state}' if box.state else box.key)}</title>"
        f'<rect x="{left:g}" y="{top:g}" width="{place.width:g}" height="{BOX_HEIGHT:g}" '
        f'rx="{_ROUND.get(box.kind, 5)}" fill="{fill}" stroke="{stroke}"{dashes}/>{texts}</g>'
    )


def _line(line: Line, points: Points) -> str:
    dashes = ' stroke-dasharray="5 4"' if line.on in ("fallback", "failure") else ""
    stroke = "#b4232f" if line.on == "failure" else "#6b7280"
    x, y = points[0]
    path = [f"M{x:g} {y:g}"]
    for to_x, to_y in points[1:]:
        half = (y + to_y) / 2
        path.append(f"C{x:g} {half:g} {to_x:g} {half:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="{stroke}"{dashes} '
        'marker-end="url(#arrow)"/>'
    )


def _labels(layout: Layout) -> list[str]:
    """What is written on lines: near the child, and beside each other."""
    taken = _Taken()
    found = []
    for line, points in layout.routes:
        if not line.label:
            continue
        short = line.label if len(line.label) <= LABEL_MAX else f"{line.label[: LABEL_MAX - 1]}…"
        x, y = taken.place(points, len(short) * LABEL_CHARACTER, layout.width)
        found.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-size="10" fill="#374151" '
            f'stroke="#ffffff" stroke-width="3" paint-order="stroke">{_safe(short)}'
            f"<title>{_safe(line.label)}</title></text>"
        )
    return found


class _Taken:
    """Where labels are already, by cells, so that only near ones are looked at."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[Label]] = {}

    def place(self, points: Points, wide: float, across: float) -> tuple[float, float]:
        """Where on a line a label of this width covers no other; if nowhere, near the child."""
        places: list[Label] = []
        for (x0, y0), (x1, y1) in reversed(list(pairwise(points))):
            for part in LABEL_PARTS:
                bend = part * part * (3 - 2 * part)  # how far a curve has come across, so far down
                x = min(x0 + (x1 - x0) * bend, across - wide / 2 - 2)
                y = y0 + (y1 - y0) * part
                places.append((round(max(x, wide / 2 + 2), 1), round(y, 1), wide))
        x, y, _ = label = next(filter(self._is_free, places), places[0])
        self._cells.setdefault((int(x / CELL), int(y / CELL)), []).append(label)
        return x, y

    def _is_free(self, label: Label) -> bool:
        x, y = int(label[0] / CELL), int(label[1] / CELL)
        return not any(
            _touch(label, other)
            for row in (y - 1, y, y + 1)
            for column in (x - 1, x, x + 1)
            for other in self._cells.get((column, row), ())
        )


def _touch(one: Label, other: Label) -> bool:
    beside = abs(one[0] - other[0]) > (one[2] + other[2]) / 2 + 4
    return not beside and abs(one[1] - other[1]) < LABEL_HEIGHT


def _safe(text: str) -> str:
    """Text as XML takes it: escaped, and without the characters that it forbids."""
    allowed = "".join(one if one >= " " and one not in "\ufffe\uffff" else " " for one in text)
    return escape(allowed.encode(errors="replace").decode())
