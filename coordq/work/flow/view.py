"""A flow as it was when it was looked at: its account, its tasks and what they wait for.

The account (how many tasks, how many of them have ended and how) is in FlowView itself, and costs
the same for ten tasks and ten thousand. `nodes` and `edges` are read page by page, when asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from coordq.errors import ForeignData
from coordq.ids import created_ms
from coordq.work.flow.reserved import EXPAND
from coordq.work.task import BY_LETTER, State

SKIPPED: Final = "skipped"
"""State of a task that a condition, or the end of its parents, left out. To itself it is cancelled,
with this reason."""
GONE: Final = "gone"
"""State of a task whose record has expired."""
_FLAGS: Final = 7
ENDED: Final = frozenset({*(state.value for state in State if state.ended), SKIPPED})
OPEN: Final = frozenset({"building", "running", "retrying"})
"""States of a flow that has not ended."""


@dataclass(frozen=True, slots=True)
class EdgeView:
    """That a task comes after another one."""

    parent: str
    """Its id; the flow's own for what waits for nothing else."""
    child: str
    on: str = "success"
    policy: str = "fail"
    condition: str | None = None
    """As text."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "from": self.parent,
            "to": self.child,
            "on": self.on,
            "policy": self.policy,
            "condition": self.condition,
        }


@dataclass(frozen=True, slots=True)
class NodeView:
    """A task of a flow."""

    id: str
    key: str
    """Its name in the flow."""
    name: str
    queue: str
    kind: str = "task"
    """task, approval, signal or timer."""
    state: str = "waiting"
    """A task's state; `skipped` when it was left out, `gone` when its record has expired."""
    attempt: int = 0
    since_ms: int = 0
    """When it came into its state; 0 as long as nothing has happened to it."""
    worker: str | None = None
    result: Any = None
    error: dict[str, Any] | None = None
    fallback: str | None = None
    """The id of the task that runs in its place when it fails for good."""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED

    @property
    def reason(self) -> str | None:
        """Why it failed or was cancelled, in a word."""
        return None if self.error is None else self.error.get("reason")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the result."""
        return {
            "id": self.id,
            "key": self.key,
            "name": self.name,
            "queue": self.queue,
            "kind": self.kind,
            "state": self.state,
            "attempt": self.attempt,
            "since_ms": self.since_ms or None,
            "worker": self.worker,
            "error": self.error,
            "fallback": self.fallback,
        }


@dataclass(frozen=True)
class FlowView:
    """A flow, as it was when it was looked at."""

    id: str
    name: str
    state: str
    """building (not launched yet), running, succeeded, failed or cancelled."""
    created_ms: int
    started_ms: int
    """0: not yet."""
    ended_ms: int
    """0: not yet."""
    total: int
    """Tasks."""
    left: int
    """How many of them have not ended."""
    succeeded: int
    failed: int
    handled: int
    """How many of the failures something else took care of: an alternative, or a task that comes
    after a failure."""
    cancelled: int
    skipped: int
    moved_ms: int
    """When a task of it ended last."""
    ttl_s: int
    """How long it can be looked at after its end."""
    about: dict[str, Any] = field(default_factory=dict)
    """description, labels, milestones."""
    knot: str = ""
    """What has held it up since it moved last, in words, as far as a supervisor has found out."""
    result: Any = None
    """Of the step that it returns, once the flow has succeeded; read with the nodes."""
    nodes: tuple[NodeView, ...] = ()
    """Its tasks in their order, if they were asked for."""
    edges: tuple[EdgeView, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state not in OPEN

    @property
    def fraction(self) -> float:
        """The share of the tasks that have ended, from 0 to 1."""
        return 1.0 if not self.total else (self.total - self.left) / self.total

    def node(self, key: str) -> NodeView:
        """A task by its key in the flow. Raises KeyError."""
        return {node.key: node for node in self.nodes}[key]

    @cached_property
    def by_id(self) -> Mapping[str, NodeView]:
        """Its tasks by id."""
        return {node.id: node for node in self.nodes}

    @property
    def returns(self) -> str:
        """The key of the step whose result is that of the flow; "" when it has results by key."""
        return str(self.about.get("returns", ""))

    def returning(self) -> NodeView | None:
        """The task that has the flow's result, or will; None when there is no such one."""
        found = (node for node in self.nodes if node.key == self.returns)
        return next((self.standing_for(node) for node in found), None)

    def failures(self) -> tuple[NodeView, ...]:
        """The tasks that have failed for good, without those whose place another one took."""
        failed = (node for node in self.nodes if node.state == State.FAILED)
        return tuple(node for node in failed if self.standing_for(node) is node)

    def before(self, task_id: str) -> tuple[NodeView, ...]:
        """The tasks that one comes after; of one that failed, its alternative."""
        parents = (self.by_id.get(edge.parent) for edge in self.edges if edge.child == task_id)
        return tuple(self.standing_for(node) for node in parents if node is not None)

    def sinks(self) -> dict[str, NodeView]:
        """The tasks that nothing comes after when they succeed, by key.

        One whose place an alternative took is that one, under the first one's key. Callbacks, which
        come after everything, and nodes that only make others are left out.
        """
        aside = {node.id for node in self.nodes if node.key in self.about.get("callbacks", ())}
        before = {
            edge.parent for edge in self.edges if edge.on != "failure" and edge.child not in aside
        }
        aside |= {node.id for node in self.nodes if node.name == EXPAND}
        aside |= {node.fallback for node in self.nodes if node.fallback is not None}
        ends = (node for node in self.nodes if node.id not in aside)
        return {node.key: self.standing_for(node) for node in ends if node.id not in before}

    def standing_for(self, node: NodeView) -> NodeView:
        """The task that counts for `node`: itself, or the alternative that took its place."""
        while node.state == State.FAILED and node.fallback is not None:
            other = self.by_id.get(node.fallback)
            if other is None:
                break
            node = other
        return node

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "created_ms": self.created_ms,
            "started_ms": self.started_ms or None,
            "ended_ms": self.ended_ms or None,
            "moved_ms": self.moved_ms or None,
            "total": self.total,
            "left": self.left,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "handled": self.handled,
            "cancelled": self.cancelled,
            "skipped": self.skipped,
            "ttl_s": self.ttl_s,
            "about": self.about,
            "knot": self.knot or None,
            "result": self.result,
            "nodes": [node.to_json() for node in self.nodes],
            "edges": [edge.to_json() for edge in self.edges],
        }


def _succeeded(told: Mapping[str, bytes]) -> int:
    """What ended and is counted in no other way: Redis does not count it, it is most of them."""
    ended = int(told.get("total", 0)) - int(told.get("left", 0))
    return ended - sum(int(told.get(how, 0)) for how in ("failed", "cancelled", "skipped"))


def _knot(told: Mapping[str, bytes]) -> str:
    """The words of the last knot, unless the flow has moved since: see lua/flow/stuck.lua."""
    moved, _, rest = told.get("knot", b"").decode().partition(" ")
    return rest.partition(" ")[2] if moved and moved == told.get("moved", b"").decode() else ""


def read_flow(flow_id: str, fields: Mapping[bytes, bytes]) -> FlowView:
    """The account that HASH flow:<id> holds. Raises ForeignData when coordq did not write it."""
    told = {name.decode(): value for name, value in fields.items()}
    try:
        return FlowView(
            id=flow_id,
            name=told.get("name", b"?").decode(),
            state=told["state"].decode(),
            created_ms=int(told.get("created", 0)) or created_ms(flow_id),
            started_ms=int(told.get("started", 0)),
            ended_ms=int(told.get("ended", 0)),
            moved_ms=int(told.get("moved", 0)),
            ttl_s=int(told.get("ttl_s", 0)),
            about=json.loads(told.get("about") or b"{}"),
            knot=_knot(told),
            total=int(told.get("total", 0)),
            left=int(told.get("left", 0)),
            succeeded=_succeeded(told),
            failed=int(told.get("failed", 0)),
            handled=int(told.get("handled", 0)),
            cancelled=int(told.get("cancelled", 0)),
            skipped=int(told.get("skipped", 0)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ForeignData(
            f"The record of flow {flow_id} holds something coordq did not write ({error}). "
            f"Remove it with `coordq flow forget {flow_id}`.",
            id=flow_id,
        ) from error


def node_of(row: list[str], life: bytes, spec: bytes, outcome: bytes | None) -> NodeView:
    """A task of a flow: its row of the graph, and the lines of its record.

    Raises ForeignData when coordq did not write them.
    """
    task_id, key, name, queue, kind = row
    node = NodeView(task_id, key, name, queue, kind)
    if not life:
        return replace(node, state=GONE)
    try:
        fields = life.decode().split(" ")
        state = BY_LETTER[fields[0][0]]
        flags = fields[7] if len(fields) > _FLAGS else ""
        told = json.loads(outcome) if outcome else None
        return replace(
            node,
            state=SKIPPED if state is State.CANCELLED and "o" in flags else state.value,
            attempt=int(fields[2]) if len(fields) > _FLAGS else 0,
            since_ms=int(fields[4]) if len(fields) > _FLAGS else 0,
            worker=fields[5] if len(fields) > _FLAGS and fields[5] != "-" else None,
            result=told if state is State.SUCCEEDED else None,
            error=told if state is not State.SUCCEEDED else None,
            fallback=_option(spec, b" k="),
        )
    except (ValueError, KeyError, IndexError) as error:
        raise ForeignData(
            f"The record of task {task_id} holds something coordq did not write: {life[:60]!r}.",
            id=task_id,
        ) from error


def _option(spec: bytes, name: bytes) -> str | None:
    _, found, rest = spec.partition(name)
    return rest.split(b" ", 1)[0].decode() if found else None
