"""Flows by hand: plans in a line, and workers that do what they are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from coordq.engine.call import Call
from coordq.ids import new_id
from coordq.work.claim import Claim
from coordq.work.flow import calls
from coordq.work.flow.condition import parse
from coordq.work.flow.plan import Edge, FlowPlan, Node
from coordq.work.options import DEFAULTS, template
from coordq.work.task import read_task
from tests.work.desk import Desk, error

NODES = ("job", "coordq.approval", "coordq.signal", "coordq.timer")


def after(parent: Node, on: str = "success", policy: str = "fail", when: str | None = None) -> Edge:
    """An edge from `parent`."""
    return Edge(parent.id, on, policy, parse(when) if when else None)


def node(key: str, *parents: Node | Edge, name: str = "job", **how: Any) -> Node:
    """A node called `key`; its parents are nodes (on success, or else it fails) or edges."""
    fields = {name: how.pop(name) for name in tuple(how) if name in Node.__slots__}
    made = Node(
        id=new_id(),
        key=key,
        template=template(name, DEFAULTS.merge(**how)),
        args=b'{"key":"%s"}' % key.encode(),
        parents=tuple(each if isinstance(each, Edge) else after(each) for each in parents),
    )
    return replace(made, **fields)


def plan(*nodes: Node, name: str = "test", ttl_s: int = 60, **about: Any) -> FlowPlan:
    """A flow of nodes, parents first."""
    return FlowPlan(new_id(), name, nodes, about, ttl_s)


class Flows:
    """The flows of a desk's shard."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def submit(self, made: FlowPlan) -> None:
        """Bring a flow, and do not start it."""
        for call in calls.submit(made):
            self.desk.run(call)

    def start(self, *nodes: Node, mailbox: str = "", **how: Any) -> FlowPlan:
        """Bring a flow and start it."""
        made = plan(*nodes, **how)
        self.submit(made)
        self.desk.run(calls.launch(made, mailbox=mailbox))
        return made

    def run(self, call: Call[Any]) -> Any:
        """Any operation."""
        return self.desk.run(call)

    def states(self, *nodes: Node) -> list[str]:
        """Where they stand, in words; left out ones are `skipped`, unmet ones `unmet`."""
        return [self.state(each) for each in nodes]

    def state(self, which: Node) -> str:
        """Where one stands."""
        record = self.desk.redis("GET", self.desk.key(f"t:{which.id}"))
        task = read_task(which.id, record)
        return {"skipped": "skipped", "parent-failed": "unmet"}.get(
            task.reason or "", task.state.value
        )

    def take(self) -> dict[str, Claim]:
        """Claim whatever is ready, by key."""
        claimed = self.desk.claim(1000, served=NODES).claims
        return {json.loads(each.args)["key"]: each for each in claimed}

    def end(self, *keys: str, how: str = "succeeded", result: Any = None) -> None:
        """Claim what is ready; it must be exactly these; end it."""
        held = self.take()
        assert sorted(held) == sorted(keys)
        for key in keys:
            self.finish(held[key], how, result)

    def finish(self, claim: Claim, how: str = "succeeded", result: Any = None) -> None:
        """Commit the end of one claim."""
        body = json.dumps(result).encode() if how == "succeeded" else error()
        assert self.desk.end(claim, how, body) == "ok"

    def account(self, made: FlowPlan) -> dict[str, str]:
        """What the flow's HASH holds."""
        flat = self.desk.redis("HGETALL", self.desk.key(f"flow:{made.id}"))
        return {flat[at].decode(): flat[at + 1].decode() for at in range(0, len(flat), 2)}

    def outcome(self, made: FlowPlan) -> str:
        """The state of the flow."""
        return self.account(made)["state"]

    def grow(
        self, made: FlowPlan, *nodes: Node, links: Sequence[tuple[Node, Edge]] = (), **how: Any
    ) -> None:
        """Add to a flow that runs."""
        for call in calls.grow(made.id, nodes, [(child.id, edge) for child, edge in links], **how):
            self.desk.run(call)

    def cancel(self, made: FlowPlan, limit: int = 500) -> calls.Paged:
        """Cancel a whole flow."""
        page: calls.Paged = self.desk.run(calls.cancel(made.id, limit=limit))
        while page.more:
            page = self.desk.run(calls.cancel(made.id, offset=page.offset, limit=limit))
        return page

    def retry(self, made: FlowPlan, limit: int = 500) -> calls.Paged:
        """Retry what did not succeed."""
        call = calls.retry(made.id, nonce=calls.new_nonce(), limit=limit)
        page: calls.Paged = self.desk.run(call)
        while page.more:
            page = self.desk.run(call)
        return page

    def forget(self, made: FlowPlan, limit: int = 500) -> None:
        """Delete a flow."""
        while self.desk.run(calls.forget(made.id, limit=limit)).more:
            pass
