"""Pictures of flows: true, the same each time, and harmless whatever tasks are called."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.ids import child_id
from coordq.work.flow.build import Flow
from coordq.work.flow.draw import rows, text
from coordq.work.flow.graph import SIGNS, Box, Graph, Line, graph_of_plan, graph_of_view
from coordq.work.flow.layout import BOX_HEIGHT, lay_out
from coordq.work.flow.mermaid import mermaid
from coordq.work.flow.svg import LABEL_CHARACTER, LABEL_HEIGHT, svg
from coordq.work.flow.view import ENDED, EdgeView, NodeView, read_flow
from coordq.work.task import State

VIEW = read_flow("0" * 22, {b"name": b"f", b"state": b"running"})
SVG = "{http://www.w3.org/2000/svg}"


def audit() -> Graph:
    """A flow with everything in it."""
    flow = Flow("audit")
    files = flow.task("list_files")
    looked = flow.map("look", range(8), into="n", after=files)
    report = looked.reduce("summarize", if_failed="continue")
    flow.branch(report, ("size < 3", "fast"), otherwise="slow")
    flow.task("deep", {"x": report}, fallback="quick")
    flow.task("publish", {"y": flow["fast"] | flow["slow"]}, after=flow.timer(5, after=files))
    flow.approval("ok", after=flow["publish"])
    flow.on_failure("page")
    return graph_of_plan(flow.plan())


def in_states(graph: Graph, **states: str) -> Graph:
    """The graph with tasks in these states, by key; all others have succeeded."""
    boxes = (replace(box, state=states.get(box.key, "succeeded")) for box in graph.boxes)
    return replace(graph, boxes=tuple(boxes))


def test_a_terminal_shows_a_tree() -> None:
    """Each task once, below the last of those that it waits for; equal tasks share a row."""
    assert text(audit()).splitlines() == [
        "list_files",
        "├─ look ×8",  # noqa: RUF001 - times
        "│  └─ summarize  [or continue]",
        "│     ├─ fast  [size < 3]",
        "│     │  └─ publish  also after timer, slow",
        "│     │     └─ ok (approval)",
        "│     │        └─ page  [failure]  also after deep [failure]",
        "│     ├─ slow  [not (size < 3)]",
        "│     └─ deep",
        "│        └─ deep.fallback (quick)  [fallback]",
        "└─ timer",
    ]


def test_states_are_signs() -> None:
    """Of many tasks in one row, too: how many are in each state, and the one that matters most."""
    states = {f"look.{at}": "running" for at in range(3)} | {"look.5": "failed", "fast": "skipped"}
    shown = {row.text: row for row in rows(in_states(audit(), **states))}
    many = shown["look ×8"]  # noqa: RUF001 - times

    assert (many.sign, many.state, many.note) == ("✗", "failed", "3▶ 4✓ 1✗")
    assert (shown["fast"].sign, shown["list_files"].sign) == ("↷", "✓")


def test_every_state_has_a_sign_of_its_own() -> None:
    """So that a picture without colours can be read."""
    states = {*(state.value for state in State), *ENDED}

    assert states <= SIGNS.keys()
    assert len(set(SIGNS.values())) == len(SIGNS)


def test_only_what_is_alike_is_folded() -> None:
    """Tasks of one name with other parents, or too few of them, stay apart."""
    flow = Flow("f")
    first, second = flow.task("a"), flow.task("b")
    flow.map("x", range(6), into="n", after=first)
    flow.map("x", range(5), into="n", after=second)
    flow.map("x", range(6), into="n", after=first, on="always")
    graph = graph_of_plan(flow.plan())
    counts = sorted(box.count for box in graph.folded().boxes)

    assert counts == [*[1] * 7, 6, 6]
    assert sum(counts) == len(graph.boxes)
    assert graph.folded().folded() == graph.folded()


def test_a_long_chain_does_not_run_out_of_the_terminal() -> None:
    """Below some twenty steps nothing is moved further in; every step still has its row."""
    flow = Flow("long")
    flow.chain(*(("a", None, {"key": f"step.{n}"}) for n in range(500)))

    drawn = rows(graph_of_plan(flow.plan()))

    assert len(drawn) == 500
    assert max(len(str(row)) for row in drawn) < 80


def test_ways_that_are_alike_are_folded_step_by_step() -> None:
    """A map whose tasks each have a task after them is two rows, not two thousand."""
    flow = Flow("f")
    first = flow.map("a", range(8), into="n")
    second = [flow.task("b", {"n": one}, when="n > 1") for one in first]
    flow.join("end", second)
    folded = graph_of_plan(flow.plan()).folded()

    assert [box.count for box in folded.boxes] == [8, 8, 1]
    assert [line.label for line in folded.lines] == ["n > 1", ""]


def test_mermaid_is_a_flowchart() -> None:
    """Fallbacks are dashed, conditions are written on lines, states are classes."""
    written = mermaid(in_states(audit(), deep="failed", page="waiting"))

    assert written.startswith("flowchart TD\n")
    assert '    n3["✓ summarize"]\n' in written
    assert '-->|"size #60; 3"|' in written
    assert '-.->|"fallback"|' in written
    assert '{{"✓ ok (approval)"}}' in written
    assert "    classDef failed fill:" in written
    assert "class n6 failed" in written


NASTY = '"]<script>alert(1)</script>&#\n%%{init: {}}%%`\\|;'


def nasty(key: str = NASTY) -> Graph:
    """A graph in which everything has a bad name."""
    boxes = tuple(Box(str(at), f"{key}{at}", key, state="running") for at in range(3))
    lines = (Line("0", "1", condition=f"x == {key!r}"), Line("0", "2", on="failure"))
    return Graph(key, boxes, lines)


def test_names_do_not_break_out_of_mermaid() -> None:
    """Keys are checked, but a picture is made of whatever was found."""
    lines = mermaid(nasty()).splitlines()

    assert len(lines) == 1 + 3 + 2 + 2
    assert all(line.count('"') in (0, 2) for line in lines)
    assert not any(sign in line for line in lines for sign in ("<", "%%", "`", "\\"))


@given(st.text(max_size=30))
def test_names_do_not_break_out_of_svg(name: str) -> None:
    """It stays XML, and nothing in it can run or be fetched."""
    root = ET.fromstring(svg(nasty(f"{NASTY}{name}")))  # noqa: S314 - our own

    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "defs", "marker", "path", "rect", "g", "text"}


def test_svg_shows_every_box_and_line_once() -> None:
    """Dashed where something went wrong; states as colours."""
    graph = in_states(audit(), deep="failed", slow="skipped").folded()
    written = svg(graph)
    root = ET.fromstring(written)  # noqa: S314 - our own

    assert len(root.findall(f"{SVG}g")) == len(graph.boxes)
    assert len(root.findall(f"{SVG}path")) == len(graph.lines)
    assert written.count('stroke-dasharray="5 4"') == 3
    assert written.count('fill="#f8d7da"') == 1
    assert "size &lt; 3" in written


def test_labels_do_not_cover_each_other() -> None:
    """A branch has one for each way, side by side; all of them can be read."""
    flow = Flow("f")
    ways: list[Any] = [
        (f"kind == 'number {at}'", ("way", {}, {"key": f"w{at}"})) for at in range(3)
    ]
    flow.branch(flow.task("a"), *ways, otherwise="other")
    root = ET.fromstring(svg(graph_of_plan(flow.plan())))  # noqa: S314 - our own
    found = [one for one in root.findall(f"{SVG}text") if one.text]
    spans = [
        (float(one.attrib["x"]), float(one.attrib["y"]), len(one.text or "") * LABEL_CHARACTER)
        for one in found
    ]

    assert len(spans) == 4
    for (x, y, wide), (other_x, other_y, other_wide) in combinations(spans, 2):
        assert abs(y - other_y) >= LABEL_HEIGHT or abs(x - other_x) >= (wide + other_wide) / 2


def test_a_picture_is_always_the_same() -> None:
    """So that it can be kept beside the code, and compared."""
    graph = audit()

    assert svg(graph) == svg(graph)
    assert mermaid(graph) == mermaid(graph)
    assert [str(row) for row in rows(graph)] == [str(row) for row in rows(graph)]


def test_a_flow_that_runs_is_drawn_like_its_plan() -> None:
    """With states; edges from the flow itself, which fire its roots, are no lines."""
    flow = "0" * 22
    nodes = (
        NodeView("a" * 22, "a", "a", "q", state="failed", fallback="b" * 22),
        NodeView("b" * 22, "b", "b", "q", state="running"),
        NodeView("c" * 22, "c", "c", "q"),
    )
    edges = (EdgeView(flow, "a" * 22), EdgeView("a" * 22, "c" * 22, condition="x > 1"))
    view = replace(VIEW, id=flow, nodes=nodes, edges=edges)

    assert text(graph_of_view(view)).splitlines() == [
        "✗ a",
        "├─ ▶ b  [fallback]",
        "└─ · c  [x > 1]",
    ]


def test_a_map_stands_above_the_tasks_that_it_has_made() -> None:
    """And whoever waits for all of them below these, though it waits for the map as well."""
    maker, last = "a" * 22, "b" * 22
    made = [child_id(maker, str(at)) for at in range(7)]
    nodes = (
        NodeView(maker, "check", "coordq.expand", "q", state="succeeded"),
        NodeView(last, "sum", "sum", "q"),
        *(NodeView(one, f"check.{at}", "check", "q", state="ready") for at, one in enumerate(made)),
    )
    edges = (EdgeView(maker, last), *(EdgeView(one, last) for one in made))
    view = replace(VIEW, nodes=nodes, edges=edges)

    assert text(graph_of_view(view)).splitlines() == [
        "✓ check (map)",
        "└─ ○ check ×7",  # noqa: RUF001 - times
        "   └─ · sum",
    ]


def test_nothing_makes_an_empty_picture() -> None:
    """A flow of which all nodes have expired."""
    nothing = Graph("f", (), ())

    assert text(nothing) == ""
    assert mermaid(nothing) == "flowchart TD\n"
    assert ET.fromstring(svg(nothing)).tag == f"{SVG}svg"  # noqa: S314 - our own


GRAPHS = st.integers(1, 15).flatmap(
    lambda size: st.lists(
        st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=40, unique=True
    ).map(
        lambda pairs: Graph(
            "f",
            tuple(Box(str(at), "k" * (at + 1), "t") for at in range(size)),
            tuple(Line(str(a), str(b)) for a, b in pairs if a < b),
        )
    )
)


@given(GRAPHS)
def test_boxes_do_not_overlap_and_lines_go_down(graph: Graph) -> None:
    """In any graph; and everything is inside the picture."""
    layout = lay_out(graph)
    places = layout.places

    layers: dict[float, list[Any]] = {}
    for place in places.values():
        layers.setdefault(place.y, []).append(place)
        assert 0 <= place.x - place.width / 2 <= place.x + place.width / 2 <= layout.width
        assert 0 <= place.y - BOX_HEIGHT / 2 <= place.y + BOX_HEIGHT / 2 <= layout.height
    for layer in layers.values():
        layer.sort(key=lambda place: place.x)
        for left, right in pairwise(layer):
            assert left.x + left.width / 2 < right.x - right.width / 2
    for line, points in layout.routes:
        heights = [y for _, y in points]
        assert heights == sorted(set(heights))
        assert places[line.parent].y < places[line.child].y


@given(GRAPHS)
def test_every_task_has_one_row(graph: Graph) -> None:
    """None is lost under a parent that is shown elsewhere, none is there twice."""
    shown = sorted(row.text for row in rows(graph, fold=False))

    assert shown == sorted(box.title for box in graph.boxes)


@pytest.mark.parametrize("draw", [svg, mermaid, text])
def test_a_large_flow_is_drawn(draw: Any) -> None:
    """Ten thousand tasks side by side are one box; a chain of a thousand is a thousand."""
    flow = Flow("f")
    wide = flow.map("leaf", range(10_000), into="n")
    flow.chain(wide.reduce("sum"), *(["step"] * 1000))

    assert "leaf ×10000" in draw(graph_of_plan(flow.plan()))  # noqa: RUF001 - times
