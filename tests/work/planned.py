"""What a plan says, with keys in the place of ids."""

from __future__ import annotations

import json
from typing import Any

from coordq.work.flow.build import Flow
from coordq.work.flow.plan import FlowPlan, Node


def nodes(flow: Flow) -> dict[str, Node]:
    """The planned nodes by key."""
    return {node.key: node for node in flow.plan().nodes}


def edges(plan: FlowPlan) -> set[tuple[str, str, str, str, str | None]]:
    """(parent, child, on, policy, condition) by keys."""
    keys = {node.id: node.key for node in plan.nodes}
    return {
        (keys[e.parent], node.key, e.on, e.policy, e.condition.text if e.condition else None)
        for node in plan.nodes
        for e in node.parents
    }


def inputs(plan: FlowPlan, key: str) -> Any:
    """What `$from` says of a node, with keys for ids."""
    node = next(node for node in plan.nodes if node.key == key)
    text = json.dumps(json.loads(node.args).get("$from", {}))
    for one in plan.nodes:
        text = text.replace(one.id, one.key)
    return json.loads(text)
