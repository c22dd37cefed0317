"""How nodes and edges are written for lua/flow: a plan becomes pages of arguments.

What the scripts read is described in lua/lib/member.lua and lua/lib/edges.lua.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from coordq.engine.call import Argument
from coordq.work.flow.plan import Edge, FlowPlan, Node
from coordq.work.spec import BEHIND_MAX

NODES_MAX: Final = 500
"""Nodes of a page."""
BYTES_MAX: Final = 4 * 2**20
"""Arguments and edges of a page after which no further node is added to it."""
EDGE_BYTES: Final = 100
"""What an edge takes, here and in the graph."""
INLINE_MAX: Final = 8
"""Edges that stand in a spec; a task with more of them has all in a list."""
_ON: Final = {"success": "s", "failure": "f", "always": "a"}
_POLICY: Final = {"fail": "f", "skip": "s", "continue": "c", "ignore": "i"}
_WAITS: Final = {"task": "", "approval": "a", "timer": "t"}
ROOT: Final = "af"
"""What makes the child wait for its parent, whatever becomes of that; so roots hang on a flow."""


def edge_text(child: str, edge: Edge, counted: str = "") -> str:
    """An edge as its parent has it. counted: "" for the only edge of a child."""
    return f"{child}{_ON[edge.on]}{_POLICY[edge.policy]}{counted}"


def is_single(node: Node) -> bool:
    """Whether one edge without further ado decides about it, so that nothing is counted."""
    return len(node.parents) == 1 and node.want <= 1 and node.parents[0].condition is None


def edges_into(node: Node, *, counted: bool = False) -> Iterator[tuple[str, str]]:
    """(parent, edge) for every parent of a node. counted: also when there is only one."""
    if is_single(node) and not counted:
        yield node.parents[0].parent, edge_text(node.id, node.parents[0])
        return
    conditions = 0
    for edge in node.parents:
        conditions += edge.condition is not None
        number = f"{conditions if edge.condition is not None else 0}{'!' if node.early else ''}"
        yield edge.parent, edge_text(node.id, edge, number)


def need_of(node: Node) -> list[Argument]:
    """What a node counts, as lua/lib/member.lua reads it."""
    conditions = [edge.condition.encode() for edge in node.parents if edge.condition is not None]
    return [
        node.id,
        len(node.parents),
        node.want,
        int(node.early),
        len(conditions),
        *conditions,
    ]


def graph_of(nodes: Sequence[Node], links: Sequence[tuple[str, Edge]] = ()) -> str:
    """What people look at. links: edges into tasks that exist already."""
    edges = [(node.id, edge) for node in nodes for edge in node.parents]
    return json.dumps(
        {
            "nodes": [
                [node.id, node.key, node.template.spec.name, node.template.spec.queue, node.kind]
                for node in nodes
            ],
            "edges": [
                [edge.parent, child, edge.on, edge.policy, edge.condition and edge.condition.text]
                for child, edge in (*edges, *links)
            ],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def spec_of(flow: str, node: Node, edges: Sequence[str] = (), stands_for: str = "") -> str:
    """The spec line of a node. flow: "" for a task without one."""
    parts = [node.template.text]
    if flow:
        parts.append(f"f={flow}")
    if edges:
        parts.append(f"e={','.join(edges)}")
    if node.fallback:
        parts.append(f"k={node.fallback}")
    if stands_for:
        parts.append(f"a={stands_for}")
    if node.delay_ms:
        parts.append(f"D={node.delay_ms}")
    waits = f"s:{quote(node.signal, safe='')}" if node.kind == "signal" else _WAITS[node.kind]
    if waits:
        parts.append(f"w={waits}")
    if not flow and node.parents:  # in a flow its graph says so
        parts.append(f"B={','.join(edge.parent for edge in node.parents[:BEHIND_MAX])}")
    return " ".join(parts)


class Pages:
    """A plan, page by page."""

    def __init__(self, plan: FlowPlan) -> None:
        self.plan = plan
        self._out: dict[str, list[str]] = {}
        self._stands_for = {node.fallback: node.id for node in plan.nodes if node.fallback}
        for node in plan.nodes:
            for parent, text in edges_into(node):
                self._out.setdefault(parent, []).append(text)

    def __iter__(self) -> Iterator[tuple[Argument, ...]]:
        """The arguments of each flow/submit, but for the first three."""
        page: list[Node] = []
        size = 0
        for node in self.plan.nodes:
            page.append(node)
            size += len(node.args) + EDGE_BYTES * len(node.parents)
            if len(page) == NODES_MAX or size > BYTES_MAX:
                yield self._page(page)
                page, size = [], 0
        if page:
            yield self._page(page)

    def _page(self, nodes: Sequence[Node]) -> tuple[Argument, ...]:
        args: list[Argument] = [graph_of(nodes), len(nodes)]
        needs: list[Argument] = []
        counted = 0
        for node in nodes:
            edges = self._out.get(node.id, ())
            listed = len(edges) > INLINE_MAX
            single = not node.parents or is_single(node)
            flags = ("" if single else "n") + ("m" if listed else "")
            spec = spec_of(
                self.plan.id, node, () if listed else edges, self._stands_for.get(node.id, "")
            )
            args += (node.id, flags or "-", spec, node.args)
            if not single:
                counted += 1
                needs += need_of(node)
        return (*args, counted, *needs, *lists_of(self._lists(nodes)))

    def _lists(self, nodes: Sequence[Node]) -> Mapping[str, Sequence[str]]:
        """The edges into these nodes that stand in no spec."""
        lists: dict[str, list[str]] = {}
        for node in nodes:
            if not node.parents and not node.is_alternative:
                lists.setdefault(self.plan.id, []).append(f"{node.id}{ROOT}")
            for parent, text in edges_into(node):
                if len(self._out[parent]) > INLINE_MAX:
                    lists.setdefault(parent, []).append(text)
        return lists


def lists_of(lists: Mapping[str, Sequence[str]]) -> Iterator[Any]:
    """Lists of edges, as lua/lib/member.lua reads them."""
    yield len(lists)
    for parent, edges in lists.items():
        yield parent
        yield len(edges)
        yield from edges


def growth(
    flow: str, nodes: Sequence[Node], edges: Sequence[tuple[str, Edge]]
) -> Iterator[tuple[Argument, ...]]:
    """The arguments of each flow/grow, but for the first four. edges: (who waits, for what)."""
    stands_for = {node.fallback: node.id for node in nodes if node.fallback}
    pages = [nodes[at : at + NODES_MAX] for at in range(0, len(nodes), NODES_MAX)] or [()]
    page_of = {node.id: number for number, page in enumerate(pages) for node in page}
    links: dict[int, list[tuple[str, Edge]]] = {}
    for child, edge in edges:
        links.setdefault(page_of.get(edge.parent, len(pages) - 1), []).append((child, edge))
    for number, page in enumerate(pages):
        yield _growth(flow, page, links.get(number, []), stands_for)


def _growth(
    flow: str,
    nodes: Sequence[Node],
    links: Sequence[tuple[str, Edge]],
    stands_for: Mapping[str, str],
) -> tuple[Argument, ...]:
    args: list[Argument] = [graph_of(nodes, links), len(nodes)]
    needs: list[Argument] = []
    edges: list[Argument] = []
    counted = 0
    for node in nodes:
        single = not node.parents or (bool(flow) and is_single(node))
        spec = spec_of(flow, node, (), stands_for.get(node.id, ""))
        args += (node.id, "-" if single else "n", spec, node.args)
        for parent, text in edges_into(node, counted=not single):
            edges += (parent, node.id, text[22:24], text[24:], "")
        if not single:
            counted += 1
            needs += need_of(node)
    for child, edge in links:
        condition = "" if edge.condition is None else edge.condition.encode()
        edges += (edge.parent, child, edge_text("", edge), "?", condition)
    return (*args, counted, *needs, len(edges) // 5, *edges)
