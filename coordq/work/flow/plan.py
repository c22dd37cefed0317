"""A flow as it is submitted: nodes with their edges, checked, in an order that can be followed.

The builder (`build.py`), a flow file and a handler that adds tasks to its own flow all end here;
the calls in `calls.py` start here. Nothing in a plan is checked again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from coordq.ids import shard_of
from coordq.work.flow.condition import Condition
from coordq.work.options import Template

NODES_MAX: Final = 100_000
"""Of one flow."""
EDGES_INTO_MAX: Final = 10_000
"""Parents of one node."""
ON: Final = ("success", "failure", "always")
"""After which end of the parent an edge counts."""
POLICIES: Final = ("fail", "skip", "continue", "ignore")
"""What a parent that failed means to its child, see Edge."""
KINDS: Final = ("task", "approval", "signal", "timer")
"""What a node waits for once its parents have ended: nothing, a person, a signal, a moment."""


@dataclass(frozen=True, slots=True)
class Edge:
    """That a node comes after another one, and when it does not."""

    parent: str
    """The id of the task that comes first."""
    on: str = "success"
    """success, failure or always. After any other end the edge does not count."""
    policy: str = "fail"
    """Of a success edge whose parent failed or was cancelled: fail (the child ends as cancelled,
    parent-failed), skip (it is skipped), continue (it runs; there is no result), ignore (this
    parent does not count: the child runs if `want` others succeed).
    Of any other edge: ignore makes the child an onlooker, whose running does not turn the parent's
    failure into one that was dealt with."""
    condition: Condition | None = None
    """Of the parent's result; when it does not hold the edge does not count."""


@dataclass(frozen=True, slots=True)
class Node:
    """A task of a flow."""

    id: str
    key: str
    """Its name within the flow."""
    template: Template
    """Name and options. Its delay is not used: `delay_ms` counts from the end of the parents."""
    args: bytes
    """A JSON object; its key `$from` says which parameters are filled in later, see `refs.py`."""
    delay_ms: int = 0
    kind: str = "task"
    parents: tuple[Edge, ...] = ()
    want: int = 0
    """How many edges must be met; 0: one at least, and no parent may have failed."""
    early: bool = False
    """Whether it starts as soon as `want` edges are met, without waiting for the other parents."""
    cancel_losers: bool = False
    """Of one that starts early: whether the parents that it has not waited for are cancelled."""
    fallback: str | None = None
    """The id of the node that runs in its place when it fails for good."""
    is_alternative: bool = False
    """Whether it is such a node. Then it has no parents: it waits for the other's failure."""
    signal: str = ""
    """What a signal node waits for."""


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """A whole flow, ready to be submitted. Submitting it twice has one effect."""

    id: str
    name: str
    nodes: tuple[Node, ...]
    """Each after its parents, and each alternative after the node that it stands in for."""
    about: dict[str, Any] = field(default_factory=dict)
    """description (text), labels (text to text), milestones ({name, needs: keys, by: ms}, ...),
    callbacks (keys of what only comes after everything)."""
    ttl_s: int = 3600
    """How long the flow and its tasks can be looked at after the end."""

    @property
    def shard(self) -> int:
        """Where all of it lives."""
        return shard_of(self.id)
