"""What a topology means: how far apart agents are, and whose loss would part the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coordq.fleet.topology.check import degrees_of, graph_of
from coordq.fleet.topology.shape import Topology

WORK_MAX: Final = 3_000_000
"""Agents times links: above it the longest way is not looked for, which would take seconds."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The figures of one valid topology."""

    agents: int
    links: int
    longest: int | None
    """Steps between the two that are furthest apart; None when that was not looked for."""
    busiest: str
    """The agent with most links."""
    busiest_links: int
    weak: tuple[str, ...]
    """Agents whose loss would part the others from each other."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "agents": self.agents,
            "links": self.links,
            "longest": self.longest,
            "busiest": self.busiest,
            "busiest_links": self.busiest_links,
            "weak": list(self.weak),
        }


def survey(topology: Topology) -> Survey:
    """Look at a topology in which nothing is wrong."""
    degrees = degrees_of(topology)
    busiest = max(topology.members, key=lambda one: degrees[one])
    links = sum(degrees.values()) // 2
    longest, weak = _walked(topology, links)
    return Survey(len(topology.members), links, longest, busiest, degrees[busiest], weak)


def _walked(topology: Topology, links: int) -> tuple[int | None, tuple[str, ...]]:
    amount = len(topology.members)
    if topology.kind == "mesh" or amount == 1:
        return min(1, amount - 1), ()
    if topology.kind == "ring":
        return amount // 2, ()
    import networkx as nx

    graph = graph_of(topology).to_undirected()
    longest = nx.diameter(graph) if amount * links <= WORK_MAX else None
    weak = set(nx.articulation_points(graph))
    return longest, tuple(one for one in topology.members if one in weak)
