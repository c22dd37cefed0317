"""What no topology may be: a graph in parts, with cycles where none may be, with lost agents.

Every problem is found and names the agents that it is about, so that one look mends them all.
networkx is imported here, and only for kinds that can be wrong: a mesh, star or ring is right by
the way it is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coordq.errors import InvalidTopology
from coordq.fleet.topology.shape import MEMBERS_MAX, Topology

if TYPE_CHECKING:
    import networkx as nx

NAMED_MAX = 10
"""Agents that a sentence names; the facts have all."""
RING_MIN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that a topology breaks."""

    rule: str
    """size, duplicate, unknown-agent, self-loop, orphan, disconnected, cycle, two-bosses, roots,
    unlinked-report, degree, hub or unregistered."""
    words: str
    agents: tuple[str, ...]
    """Those it is about."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"rule": self.rule, "words": self.words, "agents": list(self.agents)}


def check(topology: Topology, registered: Collection[str] | None = None) -> Topology:
    """The topology itself when nothing is wrong. Raises InvalidTopology with the first problem.

    Its facts are `rule`, `agents` and `problems`, all of them.
    """
    found = problems(topology, registered)
    if found:
        raise InvalidTopology(
            _all(found),
            rule=found[0].rule,
            agents=list(found[0].agents),
            problems=[one.to_json() for one in found],
        )
    return topology


def _all(found: Sequence[Problem]) -> str:
    more = f" ({len(found) - 1} more wrong)" if len(found) > 1 else ""
    return found[0].words + more


def problems(topology: Topology, registered: Collection[str] | None = None) -> tuple[Problem, ...]:
    """All that is wrong. registered: the agents that exist; None when that is not known."""
    found = [*_members(topology), *_names(topology), *_loops(topology)]
    if registered is not None:
        found += _unregistered(topology, registered)
    if not found:  # what follows would say the same in other words
        found += [*_shape(topology), *_degrees(topology)]
    return tuple(found)


def _problem(rule: str, words: str, agents: Sequence[str]) -> Problem:
    return Problem(rule, words.format(listed(agents)), tuple(agents))


def listed(names: Sequence[str]) -> str:
    """`a, b and 3 more`."""
    some = ", ".join(names[:NAMED_MAX])
    return some + (f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else "")


# -- names -----------------------------------------------------------------------------------------


def _members(topology: Topology) -> Iterator[Problem]:
    if not topology.members:
        yield Problem("size", "A topology needs members: name at least one agent.", ())
    if len(topology.members) > MEMBERS_MAX:
        yield Problem("size", f"More than {MEMBERS_MAX:,} members are too many.", ())
    if topology.kind == "ring" and 0 < len(topology.members) < RING_MIN:
        yield _problem("size", "A ring needs three members or more, not just {}.", topology.members)
    twice = _twice(topology.members)
    if twice:
        yield _problem("duplicate", "Named twice as a member: {}.", twice)
    grouped = _twice([one for group in topology.groups for one in group])
    if grouped:
        yield _problem("duplicate", "In more than one group, or twice in one: {}.", grouped)
    bosses = _twice([low for low, _ in dict.fromkeys(topology.reports)])
    if bosses:
        yield _problem("two-bosses", "Reports to more than one: {}.", bosses)


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _names(topology: Topology) -> Iterator[Problem]:
    members = set(topology.members)
    unknown = [one for one in topology.named() if one not in members]
    if unknown:
        yield _problem("unknown-agent", "Named, but no member: {}.", unknown)
    if topology.kind == "star" and not topology.hub and topology.members:
        yield Problem("hub", "A star needs a hub: say who is in the middle.", ())


def _unregistered(topology: Topology, registered: Collection[str]) -> Iterator[Problem]:
    known = set(registered)
    strangers = [one for one in topology.members if one not in known]
    if strangers:
        yield _problem("unregistered", "No agent of this name is registered: {}.", strangers)


def _loops(topology: Topology) -> Iterator[Problem]:
    """An agent that is linked with itself. A ring of one is refused by its size."""
    given = (*topology.links, *topology.reports)
    loops = list(dict.fromkeys(one for one, other in given if one == other))
    if loops:
        yield _problem("self-loop", "Linked with itself, or reports to itself: {}.", loops)


# -- the graph -------------------------------------------------------------------------------------


def graph_of(topology: Topology) -> nx.Graph[str] | nx.DiGraph[str]:
    """The links as a graph of networkx; directed when they go one way."""
    import networkx as nx

    graph: nx.Graph[str] = nx.DiGraph() if topology.one_way else nx.Graph()
    graph.add_nodes_from(topology.members)
    graph.add_edges_from(topology.pairs())
    return graph


def _shape(topology: Topology) -> Iterator[Problem]:
    if topology.kind not in {"tree", "groups", "graph"}:
        return
    import networkx as nx

    graph = graph_of(topology)
    if topology.kind == "tree":
        yield from _roots(topology)
    yield from _reports(topology)
    orphans = list(nx.isolates(graph)) if len(graph) > 1 else []
    if orphans:
        yield _problem("orphan", "Linked with nobody: {}.", orphans)
    parts = sorted(nx.connected_components(graph.to_undirected(as_view=True)), key=len)
    apart = [part for part in parts[:-1] if len(part) > 1]
    if apart:
        cut_off = sorted(apart[0])
        words = f"The graph falls into {len(parts)} parts: {{}} cannot reach the others."
        yield _problem("disconnected", words, cut_off)
    if topology.acyclic:
        yield from _cycle(graph, "A cycle of links, where none may be: {}.")


def _roots(topology: Topology) -> Iterator[Problem]:
    below = {low for low, _ in topology.reports}
    roots = [one for one in topology.members if one not in below]
    if len(roots) > 1:
        yield _problem("roots", "A tree has one root; these report to nobody: {}.", roots)


def _reports(topology: Topology) -> Iterator[Problem]:
    """Nobody is his own boss's boss, and whoever reports can talk to the one he reports to."""
    import networkx as nx

    above: nx.DiGraph[str] = nx.DiGraph(list(topology.reports))
    yield from _cycle(above, "They report in a circle: {}.")
    if topology.kind != "graph":
        return
    links = set(topology.links) | {(b, a) for a, b in topology.links if not topology.one_way}
    silent = [low for low, high in topology.reports if (low, high) not in links]
    if silent:
        words = "May not talk to the one they report to: {}."
        yield _problem("unlinked-report", words, silent)


def _cycle(graph: nx.Graph[str] | nx.DiGraph[str], words: str) -> Iterator[Problem]:
    import networkx as nx

    try:
        edges = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return
    path = [edge[0] for edge in edges]
    said = " - ".join([*path[:NAMED_MAX], "..."] if len(path) > NAMED_MAX else [*path, path[0]])
    yield Problem("cycle", words.format(said), tuple(path))


def _degrees(topology: Topology) -> Iterator[Problem]:
    most = topology.degree_max
    if not most:
        return
    degrees = degrees_of(topology)
    over = [one for one in topology.members if degrees[one] > most]
    if over:
        words = f"Linked with more than {most} others: {{}}."
        yield _problem("degree", words, over)


def degrees_of(topology: Topology) -> Counter[str]:
    """How many others each member is linked with, either way."""
    if topology.kind == "mesh":
        return Counter(dict.fromkeys(topology.members, len(topology.members) - 1))
    pairs = {(min(pair), max(pair)) for pair in topology.pairs()}
    return Counter(one for pair in pairs for one in pair)
