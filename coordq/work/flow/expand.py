"""A map over a result: one task for each member of a list that is not known before it is made.

In the graph it is one node with the task name `coordq.expand`, which every worker can do without a
handler. Its arguments, filled in as those of any task (`refs.fill`):

    over       the list; filled in from the parent's result
    key        what the keys of its tasks begin with: "audit" makes "audit.0", "audit.1", ...
    spec       the spec line of each of them
    delay_ms   how long each of them waits before it may run
    args       arguments that they share
    inputs     shared arguments that come from other tasks, as `$from` has them
    into       the parameter that takes the member; null: a member is an object of arguments itself
    then       [[<id>, <on>, <policy>], ...]: who waits for all of them

The worker calls `expansion(task_id, args)`, has the nodes and edges added to the flow (by
lua/flow/grow, all at once, with its own claim) and finishes with `Expansion.result`, the list of
their ids: that is what `<id>*` inputs of later tasks are made from. Those wait for the expander
too, so none of them can run before all edges are there. The ids follow from the expander's id and
the member's place: an expander that is run again after a crash makes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from coordq.errors import InvalidArguments
from coordq.ids import child_id
from coordq.work.flow.plan import EDGES_INTO_MAX, Edge, Node
from coordq.work.flow.refs import FROM
from coordq.work.options import Template
from coordq.work.payload import dump_args
from coordq.work.spec import read_spec


@dataclass(frozen=True, slots=True)
class Expansion:
    """What an expander adds to its flow."""

    nodes: tuple[Node, ...]
    """Without parents: they may run at once."""
    edges: tuple[tuple[str, Edge], ...]
    """(who waits, for what)."""

    @property
    def result(self) -> list[str]:
        """What the expander's task returns: the ids of its tasks, in the order of the list."""
        return [node.id for node in self.nodes]


def expansion(task_id: str, args: Mapping[str, Any]) -> Expansion:
    """The tasks that the expander `task_id` makes. Raises InvalidArguments, PayloadTooLarge.

    The same arguments give the same tasks. An InvalidArguments is for good: trying again helps
    nobody.
    """
    over = args.get("over")
    if not isinstance(over, list):
        _refuse(args, f"what it maps over is {type(over).__name__}, not a list")
    if len(over) > EDGES_INTO_MAX:
        _refuse(args, f"it maps over {len(over):,} members; {EDGES_INTO_MAX:,} are allowed")
    template = _template(args["spec"])
    nodes = tuple(
        Node(
            id=child_id(task_id, str(at)),
            key=f"{args['key']}.{at}",
            template=template,
            args=_args_of(args, at, member, template.spec.name),
            delay_ms=args["delay_ms"],
        )
        for at, member in enumerate(over)
    )
    edges = tuple(
        (waiting, Edge(node.id, on, policy))
        for waiting, on, policy in args["then"]
        for node in nodes
    )
    return Expansion(nodes, edges)


def _template(spec: str) -> Template:
    return Template(
        spec=read_spec(spec.encode()), text=spec, delay="0", on_full="force", wait_s=0, reject=False
    )


def _args_of(args: Mapping[str, Any], at: int, member: Any, name: str) -> bytes:
    own = {args["into"]: member} if args["into"] is not None else member
    if not isinstance(own, Mapping):
        _refuse(args, f"member {at} is no object of arguments: give into= to name a parameter")
    if FROM in own:
        _refuse(args, f"member {at} has a field {FROM!r}, which is no parameter")
    if not args["inputs"]:
        return dump_args(name, {**args["args"], **own})
    inputs = {param: ref for param, ref in args["inputs"].items() if param not in own}
    return dump_args(name, {**args["args"], **own, FROM: inputs})


def _refuse(args: Mapping[str, Any], why: str) -> NoReturn:
    key = json.dumps(args.get("key"))
    raise InvalidArguments(f"The map {key} cannot be made: {why}.", task=args.get("key"))
