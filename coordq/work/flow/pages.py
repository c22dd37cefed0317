"""How nodes and edges are written for lua/flow: a plan becomes pages of arguments.

What the scripts read is described in lua/lib/member.lua and lua/lib/edges.lua.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from coordq.engine.call import Argument
from coordq.ids import child_id
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
    losers = "".join(edge.parent for edge in node.parents) if node.cancel_losers else ""
    conditions = [edge.condition.encode() for edge in node.parents if edge.condition is not None]
    return [
        node.id,
        len(node.parents),
        node.want,
        losers or int(node.early),
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
    """A plan, page by page.

    into: the flow that all of it is added to, "" when it is one itself. joins: then edges into
    tasks of that flow, (who waits, for which of these nodes), without conditions. Edges of these
    nodes from tasks of that flow are left out.
    """

    def __init__(
        self, plan: FlowPlan, *, into: str = "", joins: Sequence[tuple[str, Edge]] = ()
    ) -> None:
        self.plan = plan
        self._into = into
        self._out: dict[str, list[str]] = {node.id: [] for node in plan.nodes}
        self._joins: dict[str, list[tuple[str, Edge]]] = {}
        self._stands_for = {node.fallback: node.id for node in plan.nodes if node.fallback}
        for node in plan.nodes:
            for parent, text in edges_into(node):
                if parent in self._out:
                    self._out[parent].append(text)
        for child, edge in joins:
            self._joins.setdefault(edge.parent, []).append((child, edge))

    def __iter__(self) -> Iterator[tuple[Argument, ...]]:
        """The arguments of each flow/submit, but for the first four."""
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
        joins = [join for node in nodes for join in self._joins.get(node.id, ())]
        args: list[Argument] = [graph_of(nodes, joins), len(nodes)]
        needs: list[Argument] = []
        counted = 0
        for node in nodes:
            edges = self._out[node.id]
            listed = self._is_listed(node.id)
            single = not node.parents or is_single(node)
            flags = ("" if single else "n") + ("m" if listed else "")
            stands_for = self._stands_for.get(node.id, "")
            flow = self._into or self.plan.id
            spec = spec_of(flow, node, () if listed else edges, stands_for)
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
                if self._is_listed(parent):
                    lists.setdefault(parent, []).append(text)
            for child, edge in self._joins.get(node.id, ()):
                lists.setdefault(node.id, []).append(edge_text(child, edge, "0?"))
        return lists

    def _is_listed(self, parent: str) -> bool:
        """Whether all edges of a task stand in a list."""
        return parent in self._joins or len(self._out.get(parent, ())) > INLINE_MAX


def lists_of(lists: Mapping[str, Sequence[str]]) -> Iterator[Any]:
    """Lists of edges, as lua/lib/member.lua reads them."""
    yield len(lists)
    for parent, edges in lists.items():
        yield parent
        yield len(edges)
        yield from edges


def growth(
    flow: str, nodes: Sequence[Node], edges: Sequence[tuple[str, Edge]]
) -> tuple[Argument, ...]:
    """The arguments of a flow/grow, but for the first five. edges: (who waits, for what)."""
    args: list[Argument] = [graph_of(nodes, edges), len(nodes)]
    stands_for = {node.fallback: node.id for node in nodes if node.fallback}
    needs: list[Argument] = []
    new: list[Argument] = []
    counted = 0
    for node in nodes:
        single = not node.parents or (bool(flow) and is_single(node))
        spec = spec_of(flow, node, (), stands_for.get(node.id, ""))
        args += (node.id, "-" if single else "n", spec, node.args)
        for parent, text in edges_into(node, counted=not single):
            new += (parent, node.id, text[22:24], text[24:], "")
        if not single:
            counted += 1
            needs += need_of(node)
    new += _links(edges)
    return (*args, counted, *needs, len(new) // 5, *new)


def _links(edges: Sequence[tuple[str, Edge]]) -> Iterator[Argument]:
    """Edges into tasks that exist already, as lua/flow/grow.lua reads them."""
    for child, edge in edges:
        condition = "" if edge.condition is None else edge.condition.encode()
        yield from (edge.parent, child, edge_text("", edge), "?", condition)


class Staging:
    """What is added to a flow, too much for one call: staged by pages, then added all at once."""

    def __init__(self, flow: str, nodes: Sequence[Node], edges: Sequence[tuple[str, Edge]]) -> None:
        own = {node.id for node in nodes}
        self.id = child_id(nodes[0].id, "staged")
        """Follows from the first node: whoever adds the same again goes on where it was."""
        self.nodes = tuple(nodes)
        self._own = own
        self._joins = [(child, e) for child, e in edges if e.parent in own and not e.condition]
        self._links = [(child, e) for child, e in edges if e.parent not in own or e.condition]
        self.pages = Pages(FlowPlan(self.id, "", self.nodes), into=flow, joins=self._joins)

    def growth(self) -> tuple[Argument, ...]:
        """The arguments of the flow/grow that adds it, but for the first five."""
        new: list[Argument] = []
        for node in self.nodes:
            for parent, text in edges_into(node):
                if parent not in self._own:
                    new += (parent, node.id, text[22:24], text[24:], "")
        new += _links(self._links)
        graph = graph_of((), self._links) if self._links else ""
        amounts = Counter(child for child, _ in self._joins)
        joins = [word for pair in amounts.items() for word in pair]
        return (graph, 0, 0, len(new) // 5, *new, len(joins) // 2, *joins)
