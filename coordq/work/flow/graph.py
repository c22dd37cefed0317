"""A flow as a picture is made of it: boxes and lines, of a plan or of a flow that runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from coordq.ids import child_id
from coordq.work.flow.order import layers, ordered
from coordq.work.flow.reserved import EXPAND, RESERVED, SYNTHESIZE

if TYPE_CHECKING:
    from coordq.work.flow.plan import FlowPlan
    from coordq.work.flow.view import FlowView

FOLD_FROM: Final = 6
"""So many tasks that are alike and stand side by side become one box."""
SKIPPED: Final = "skipped"

SIGNS: Final[Mapping[str, str]] = {
    "": "",
    "waiting": "·",
    "scheduled": "◷",
    "ready": "○",
    "running": "▶",
    "suspended": "‖",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "skipped": "↷",
    "gone": "?",
}
"""Each state in one character."""
_OWN: Final = {EXPAND: "map", SYNTHESIZE: "synthesis"}
"""What tasks of coordq's own are called."""
_WORST: Final = ("failed", "running", "suspended", "ready", "scheduled", "waiting", "cancelled")
"""What a box of several tasks is shown as: the first of these that one of them is."""


@dataclass(frozen=True, slots=True)
class Box:
    """A task, or several that are alike."""

    id: str
    key: str
    name: str
    kind: str = "task"
    state: str = ""
    """"" in a plan, where nothing has happened yet."""
    states: Mapping[str, int] = field(default_factory=dict)
    """Of several: how many are in each state."""

    @property
    def count(self) -> int:
        """How many tasks it stands for."""
        return sum(self.states.values()) or 1

    @property
    def title(self) -> str:
        """What is written on it: its key, and its task where that has another name."""
        word = self.name
        if self.name.startswith(RESERVED):
            word = _OWN.get(self.name, self.kind)
        named = "" if word == self.key else f" ({word})"
        several = f" ×{self.count}" if self.states else ""  # noqa: RUF001 - times, not the letter x
        return f"{self.key}{named}{several}"

    @property
    def notes(self) -> str:
        """Of several: how many are in each state, in signs; "" when that is nothing new."""
        told = {state: amount for state, amount in self.states.items() if state}
        if len(told) < 2:  # noqa: PLR2004 - all alike
            return ""
        return " ".join(f"{amount}{SIGNS.get(state, '?')}" for state, amount in told.items())


@dataclass(frozen=True, slots=True)
class Line:
    """An edge, or the way from a task to its alternative."""

    parent: str
    child: str
    on: str = "success"
    """success, failure, always, or fallback."""
    policy: str = "fail"
    condition: str | None = None

    @property
    def label(self) -> str:
        """What is written on it; "" for a plain edge."""
        words = [] if self.on == "success" else [self.on]
        if self.condition is not None:
            words.append(self.condition)
        if self.on == "success" and self.policy != "fail":
            words.append(f"or {self.policy}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes and the lines between them."""

    name: str
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]

    def parents(self) -> dict[str, list[Line]]:
        """The lines into each box."""
        found: dict[str, list[Line]] = {box.id: [] for box in self.boxes}
        for line in self.lines:
            found[line.child].append(line)
        return found

    def before(self) -> dict[str, list[str]]:
        """The parents of each box, by id."""
        return {one: [line.parent for line in lines] for one, lines in self.parents().items()}

    def order(self) -> tuple[str, ...]:
        """The ids, each after its parents. Raises InvalidFlow for a graph with a cycle."""
        keys = {box.id: box.key for box in self.boxes}
        return ordered(self.name, self.before(), keys.__getitem__)

    def depths(self) -> dict[str, int]:
        """How far down each box stands: 0 without parents, else below the lowest of them."""
        return layers(self.before(), self.order())

    def folded(self, least: int = FOLD_FROM) -> Graph:
        """The graph with tasks that are alike in one box: as a map makes them.

        Alike are tasks of one name whose parents and children are alike, by edges that are alike.
        """
        alike = self._alike()
        stand_in: dict[str, str] = {}
        boxes: list[Box] = []
        for group in alike:
            if len(group) < least:
                boxes += group
                continue
            box = _one_of(group)
            stand_in.update({one.id: box.id for one in group})
            boxes.append(box)
        place = {box.id: at for at, box in enumerate(self.boxes)}
        boxes.sort(key=lambda box: place[box.id])
        moved = (
            replace(
                line,
                parent=stand_in.get(line.parent, line.parent),
                child=stand_in.get(line.child, line.child),
            )
            for line in self.lines
        )
        return Graph(self.name, tuple(boxes), tuple(dict.fromkeys(moved)))

    def _alike(self) -> Iterable[list[Box]]:
        """Boxes that look the same upwards, to all that leads to them, and downwards."""
        order = self.order()
        above = self._shapes(order, upwards=True)
        below = self._shapes(order[::-1], upwards=False)
        groups: dict[tuple[int, int], list[Box]] = {}
        for box in self.boxes:
            groups.setdefault((above[box.id], below[box.id]), []).append(box)
        return groups.values()

    def _shapes(self, order: tuple[str, ...], *, upwards: bool) -> dict[str, int]:
        """A number for each box; the same for boxes from which the same can be seen that way.

        Whoever sees the same upwards stands equally far down: so no two that share a box can come
        after each other, and the folded graph has no cycle.
        """
        boxes = {box.id: box for box in self.boxes}
        around: dict[str, list[Line]] = {one: [] for one in order}
        for line in self.lines:
            around[line.child if upwards else line.parent].append(line)
        numbers: dict[object, int] = {}
        found: dict[str, int] = {}
        for one in order:
            seen = frozenset(
                (
                    found[line.parent if upwards else line.child],
                    line.on,
                    line.policy,
                    line.condition,
                )
                for line in around[one]
            )
            shape = boxes[one].name, boxes[one].kind, seen
            found[one] = numbers.setdefault(shape, len(numbers))
        return found


def _one_of(group: list[Box]) -> Box:
    """One box for all of a group, in the place of the first."""
    states = Counter(box.state for box in group)
    worst = next((state for state in _WORST if state in states), group[0].state)
    first = group[0]
    stem, dot, number = first.key.rpartition(".")
    key = stem if dot and number.isdecimal() else first.name
    return replace(first, key=key, state=worst, states=dict(states))


def graph_of_plan(plan: FlowPlan) -> Graph:
    """The picture of a flow that has not been run."""
    boxes = tuple(Box(one.id, one.key, one.template.spec.name, one.kind) for one in plan.nodes)
    lines = [
        Line(edge.parent, node.id, edge.on, edge.policy, str(edge.condition or "") or None)
        for node in plan.nodes
        for edge in node.parents
    ]
    lines += [Line(one.id, one.fallback, "fallback") for one in plan.nodes if one.fallback]
    return Graph(plan.name, boxes, tuple(lines))


def graph_of_view(view: FlowView) -> Graph:
    """The picture of a flow as it stands; its nodes and edges must have been asked for."""
    boxes = tuple(Box(one.id, one.key, one.name, one.kind, one.state) for one in view.nodes)
    known = {box.id for box in boxes}
    lines = [
        Line(edge.parent, edge.child, edge.on, edge.policy, edge.condition)
        for edge in view.edges
        if edge.parent in known and edge.child in known
    ]
    lines += [Line(one.id, one.fallback, "fallback") for one in view.nodes if one.fallback in known]
    return Graph(view.name, boxes, tuple(_through_maps(boxes, lines)))


def _through_maps(boxes: Iterable[Box], lines: list[Line]) -> Iterable[Line]:
    """Lines from a map over a result to the tasks it made, in place of those round them."""
    maps = {box.key: box.id for box in boxes if box.name == EXPAND}
    made: dict[str, str] = {}
    for box in boxes if maps else ():
        stem, _, number = box.key.rpartition(".")
        if stem in maps and number.isdecimal() and box.id == child_id(maps[stem], number):
            made[box.id] = maps[stem]
    inside = {(made[line.parent], line.child) for line in lines if line.parent in made}
    yield from (Line(maker, one) for one, maker in made.items())
    yield from (line for line in lines if (line.parent, line.child) not in inside)
