"""A flow in a terminal: a tree of rows, each task below the last of those that it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordq.work.flow.graph import SIGNS, Box, Graph, Line

LEAD_MAX: Final = 60
"""Characters before a row; what stands deeper is not moved further in, as in a long chain."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Branches and text are apart, so that whoever prints them may dim or colour them."""

    branches: str
    """The lines that lead to it: `│  ├─ `."""
    sign: str
    """Its state in one character."""
    text: str
    note: str
    """How it comes to run, and after what else; "" for a plain edge."""
    state: str

    def __str__(self) -> str:
        sign = f"{self.sign} " if self.sign else ""
        note = f"  {self.note}" if self.note else ""
        return f"{self.branches}{sign}{self.text}{note}"


def rows(graph: Graph, *, fold: bool = True) -> list[Row]:
    """The rows of a flow, from the top. fold: whether tasks that are alike share one row.

    A task with several parents stands below the one that is furthest down; the others are named.
    """
    graph = graph.folded() if fold else graph
    depths, parents = graph.depths(), graph.parents()
    place = {box.id: at for at, box in enumerate(graph.boxes)}
    boxes = {box.id: box for box in graph.boxes}
    under: dict[str, list[str]] = {}
    for child, lines in parents.items():
        above = max(
            lines, key=lambda line: (depths[line.parent], -place[line.parent]), default=None
        )
        under.setdefault("" if above is None else above.parent, []).append(child)
    found: list[Row] = []
    todo = [(one, "", "", "") for one in reversed(under.get("", ()))]
    while todo:
        node, parent, lead, branch = todo.pop()
        found.append(_row(boxes, boxes[node], parents[node], parent, branch))
        below = under.get(node, [])
        todo += reversed(
            [
                (
                    one,
                    node,
                    lead if len(lead) >= LEAD_MAX else f"{lead}{'   ' if last else '│  '}",
                    f"{lead}{'└─ ' if last else '├─ '}",
                )
                for at, one in enumerate(below)
                for last in (at == len(below) - 1,)
            ]
        )
    return found


def _row(boxes: dict[str, Box], box: Box, lines: list[Line], parent: str, branches: str) -> Row:
    own = [line.label for line in lines if line.parent == parent and line.label]
    others = [_named(boxes[line.parent], line) for line in lines if line.parent != parent]
    words = [f"[{', '.join(own)}]"] if own else []
    if box.notes:
        words.append(box.notes)
    if others:
        words.append(f"also after {', '.join(others)}")
    return Row(branches, SIGNS.get(box.state, "?"), box.title, "  ".join(words), box.state)


def _named(box: Box, line: Line) -> str:
    return f"{box.key} [{line.label}]" if line.label else box.key


def text(graph: Graph, *, fold: bool = True) -> str:
    """The rows as plain text."""
    return "\n".join(str(row) for row in rows(graph, fold=fold))
