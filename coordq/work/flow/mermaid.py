"""A flow as Mermaid text, which GitHub and many editors draw."""

from __future__ import annotations

from typing import Final

from coordq.work.flow.graph import SIGNS, Box, Graph, Line

_SHAPES: Final = {
    "task": ("[", "]"),
    "approval": ("{{", "}}"),
    "signal": (">", "]"),
    "timer": ("([", "])"),
}
_COLOURS: Final = {
    "ready": "fill:#e8f0fe,stroke:#4f7fd0",
    "running": "fill:#cfe2ff,stroke:#1f5fd0",
    "suspended": "fill:#fff3cd,stroke:#b98900",
    "succeeded": "fill:#d9f2df,stroke:#2e8b4f",
    "failed": "fill:#f8d7da,stroke:#b4232f",
    "cancelled": "fill:#e2e3e5,stroke:#6c757d",
    "skipped": "fill:#f4f4f4,stroke:#9aa0a6,stroke-dasharray:4 3",
}
_SPECIAL: Final = str.maketrans(
    {one: f"#{ord(one)};" for one in '"#<>&`%\\'} | {"\n": " ", "\r": " "}
)


def mermaid(graph: Graph, *, fold: bool = True) -> str:
    """The text, from `flowchart TD` on. fold: whether tasks that are alike share one box."""
    graph = graph.folded() if fold else graph
    names = {box.id: f"n{at}" for at, box in enumerate(graph.boxes)}
    lines = ["flowchart TD"]
    lines += (f"    {names[box.id]}{_box(box)}" for box in graph.boxes)
    lines += (
        f"    {names[line.parent]} {_arrow(line)} {names[line.child]}" for line in graph.lines
    )
    for state in sorted({box.state for box in graph.boxes} & _COLOURS.keys()):
        members = ",".join(names[box.id] for box in graph.boxes if box.state == state)
        lines += (f"    classDef {state} {_COLOURS[state]}", f"    class {members} {state}")
    return "\n".join(lines) + "\n"


def _box(box: Box) -> str:
    first, last = _SHAPES.get(box.kind, _SHAPES["task"])
    words = [SIGNS.get(box.state, "?"), box.title, box.notes]
    return f'{first}"{_escaped(" ".join(filter(None, words)))}"{last}'


def _arrow(line: Line) -> str:
    arrow = "-.->" if line.on in ("fallback", "failure") else "-->"
    return f'{arrow}|"{_escaped(line.label)}"|' if line.label else arrow


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)
