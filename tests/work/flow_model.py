"""What becomes of a flow, worked out by a few lines of Python instead of the scripts.

The model knows how each task that runs will end, and says how every task ends, in whatever order
they are worked off: nothing but its parents decides about a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coordq.work.flow.plan import Edge, FlowPlan, Node

UNMET: Final = "unmet"
SKIPPED: Final = "skipped"
FAILURES: Final = {"failed", UNMET}
_BY_POLICY: Final = {"fail": "lost", "skip": "skip", "continue": "met", "ignore": "ignored"}


def effect(edge: Edge, ended: str, result: Any) -> str:
    """What the end of a parent counts for its child: met, neutral, lost, skip or ignored."""
    if edge.on == "always":
        met = True
    elif ended == SKIPPED:
        return "neutral"
    elif edge.on == "failure":
        met = ended in FAILURES
    elif ended == "succeeded":
        met = True
    else:
        return _BY_POLICY[edge.policy]
    if met and edge.condition is not None:
        met = edge.condition.holds(result if ended == "succeeded" else None)
    return "met" if met else "neutral"


def verdict(node: Node, effects: list[str]) -> str:
    """runs, unmet or skipped."""
    want = max(node.want, 1)
    met = effects.count("met")
    if "lost" in effects or (met < want and "ignored" in effects):
        return UNMET
    if "skip" in effects or met < want:
        return SKIPPED
    return "runs"


class Model:
    """A flow and the ends that its tasks would have if they ran."""

    def __init__(self, plan: FlowPlan, ends: Mapping[str, tuple[str, Any]]) -> None:
        self.nodes = plan.nodes
        self.by_id = {node.id: node for node in plan.nodes}
        self.ends = ends
        self.stands_for = {node.fallback: node for node in plan.nodes if node.fallback}
        self.states: dict[str, str] = {}
        for node in plan.nodes:
            self._end(node)

    def _end(self, node: Node) -> None:
        if node.is_alternative:
            first = self.states[self.stands_for[node.id].id]
            runs = "runs" if first == "failed" else "cancelled" if first == "cancelled" else SKIPPED
        elif not node.parents:
            runs = "runs"
        else:
            runs = verdict(node, [self.effect(edge) for edge in node.parents])
        self.states[node.id] = self.ends[node.id][0] if runs == "runs" else runs

    def final(self, node_id: str) -> str:
        """The id of the task that counts for it: itself, or the alternative that took its place."""
        node = self.by_id[node_id]
        while self.states[node.id] == "failed" and node.fallback is not None:
            node = self.by_id[node.fallback]
        return node.id

    def effect(self, edge: Edge) -> str:
        """What an edge counts."""
        last = self.final(edge.parent)
        return effect(edge, self.states[last], self.ends[last][1])

    def outcome(self) -> str:
        """How the flow ends."""
        return "failed" if any(self._unhandled(node) for node in self.nodes) else "succeeded"

    def _unhandled(self, node: Node) -> bool:
        state = self.states[node.id]
        if state == SKIPPED and "ignored" in [self.effect(edge) for edge in node.parents]:
            return True
        if state not in FAILURES or self.final(node.id) != node.id:
            return False
        edges = (edge for child in self.nodes for edge in child.parents)
        own = [edge for edge in edges if self.final(edge.parent) == node.id]
        return not any(self._deals_with(edge) for edge in own)

    def _deals_with(self, edge: Edge) -> bool:
        counted = self.effect(edge)
        onlooker = edge.on != "success" and edge.policy == "ignore"
        return counted in {"lost", "ignored"} or (counted == "met" and not onlooker)
