"""From the members of a flow that is built to its plan: checked as a whole, in order, with ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from coordq.errors import PayloadTooLarge
from coordq.ids import new_id
from coordq.work.flow.order import ordered
from coordq.work.flow.plan import EDGES_INTO_MAX, NODES_MAX, Edge, FlowPlan, Node
from coordq.work.flow.refs import FROM, Ref
from coordq.work.flow.refusal import refuse
from coordq.work.flow.step import Either, Group, Input, Member, Step, Tie, Value, inputs_of
from coordq.work.payload import PAYLOAD_MAX

Ties = Mapping[Step, Tie]


class Weaver:
    """Makes one plan. The flow is not changed, so it may be planned again."""

    def __init__(self, flow: str, members: Mapping[Step, Member]) -> None:
        self.flow = flow
        self.members = members
        self.ids: dict[Step, str] = {}
        self.ties: dict[Step, Ties] = {}
        self.left_out: set[Step] = set()
        """Steps that may be skipped without a failure."""
        self.waiting: dict[Step, list[tuple[Step, Tie]]] = {}
        """Who comes after each expander."""

    def weave(self, about: dict[str, Any], ttl_s: int, shard: int) -> FlowPlan:
        """The plan. Raises InvalidFlow, PayloadTooLarge."""
        if not self.members:
            refuse(self.flow, "", "it has no tasks")
        if len(self.members) > NODES_MAX:
            refuse(self.flow, "", f"it has {len(self.members):,} tasks; {NODES_MAX:,} are allowed")
        self._tie_all()
        order = ordered(self.flow, self._before(), lambda step: step.key)
        flow_id = new_id(shard)
        self.ids = {step: new_id(shard) for step in order}
        nodes = tuple(self._node(self.members[step]) for step in order)
        callbacks = [member.step.key for member in self.members.values() if member.hears]
        told = {**about, "callbacks": callbacks} if callbacks else about
        return FlowPlan(flow_id, self.flow, nodes, told, ttl_s)

    # -- edges ---------------------------------------------------------------------------------

    def _tie_all(self) -> None:
        parents: set[Step] = set()
        tolerant: set[Step] = set()
        for step, member in self.members.items():
            self.ties[step] = {} if member.stands_for else member.ties
            if not member.hears:
                parents.update(self.ties[step])
                tolerant.update(one for one, tie in self.ties[step].items() if tie.policy == "skip")
        leaves = {
            step: Tie()
            for step, member in self.members.items()
            if step not in parents and not member.hears and not member.stands_for
        }
        for step, member in self.members.items():
            if member.hears == "success":
                self.ties[step] = {one: Tie("success", "skip") for one in leaves} | member.ties
            elif member.hears == "failure":
                heard = (*leaves, *(one for one in tolerant if one not in leaves))
                self.ties[step] = {one: Tie("failure", "ignore") for one in heard} | member.ties
            self._check_ties(member, self.ties[step])
            for one, tie in self.ties[step].items():
                if self.members[one].each is not None:
                    self.waiting.setdefault(one, []).append((step, tie))

    def _check_ties(self, member: Member, ties: Ties) -> None:
        key = member.step.key
        for one in ties:
            if self.members[one].hears:
                refuse(self.flow, key, f"nothing can come after the callback {one.key!r}")
        if member.stands_for is not None:
            self._check_alternative(member)
        if len(ties) > EDGES_INTO_MAX:
            refuse(
                self.flow,
                key,
                f"it comes after {len(ties):,} tasks; {EDGES_INTO_MAX:,} are allowed: join them in "
                "groups first",
            )
        many = any(self.members[one].each for one in ties)
        if member.want > len(ties) and not many:
            refuse(self.flow, key, f"it needs {member.want} of {len(ties)} parents")

    def _check_alternative(self, member: Member) -> None:
        """A fallback comes after the failure of one task; its inputs are looked at later."""
        sources = {one.step for value in member.inputs.values() for one in inputs_of(value)}
        if not member.ties.keys() <= sources and member.stands_for is not None:
            refuse(
                self.flow,
                member.step.key,
                f"it stands in for {member.stands_for.key!r} and comes after nothing else",
            )

    def _before(self) -> dict[Step, list[Step]]:
        """Whom each step has to come after in the plan."""
        return {
            step: [*ties, *((stood,) if (stood := self.members[step].stands_for) else ())]
            for step, ties in self.ties.items()
        }

    # -- nodes ---------------------------------------------------------------------------------

    def _node(self, member: Member) -> Node:
        step = member.step
        ties = self.ties[step]
        if self._may_be_skipped(member, ties):
            self.left_out.add(step)
        expanders = [one for one in ties if self.members[one].each] if member.want else []
        parents = tuple(
            Edge(self.ids[one], tie.on, "fail" if one in expanders else tie.policy, tie.condition)
            for one, tie in ties.items()
        )
        return Node(
            id=self.ids[step],
            key=step.key,
            template=member.template,
            args=self._args(member),
            delay_ms=member.delay_ms,
            kind=step.kind,
            parents=parents,
            want=member.want + len(expanders),
            early=member.early,
            cancel_losers=member.cancel_losers,
            fallback=self.ids[member.fallback] if member.fallback else None,
            is_alternative=member.stands_for is not None,
            signal=member.signal,
        )

    def _may_be_skipped(self, member: Member, ties: Ties) -> bool:
        return member.stands_for is not None or any(
            tie.condition is not None
            or tie.on == "failure"
            or tie.policy == "skip"
            or one in self.left_out
            for one, tie in ties.items()
        )

    # -- arguments -----------------------------------------------------------------------------

    def _args(self, member: Member) -> bytes:
        more: dict[str, Any] = {}
        if member.each is not None:
            then = [
                [self.ids[step], tie.on, tie.policy]
                for step, tie in self.waiting.get(member.step, ())
            ]
            inputs = self._refs(member, member.each_inputs)
            more = {**member.each, "inputs": inputs, "then": then}
        if member.inputs:
            more[FROM] = self._refs(member, member.inputs)
        if not more:
            return member.args
        added = to_json(more)
        args = added if member.args == b"{}" else member.args[:-1] + b"," + added[1:]
        if len(args) > PAYLOAD_MAX:
            raise PayloadTooLarge(
                f"flow {self.flow!r}, {member.step.key!r}: its arguments take {len(args):,} bytes; "
                f"{PAYLOAD_MAX:,} are allowed.",
                size=len(args),
            )
        return args

    def _refs(self, member: Member, inputs: Mapping[str, Value]) -> dict[str, Any]:
        return {name: self._ref(member, name, value) for name, value in inputs.items()}

    def _ref(self, member: Member, name: str, value: Value) -> Any:
        match value:
            case Group(over=Step() as expander):
                return str(Ref(self.ids[expander], f"*{value.mark}"))
            case Group():
                return [self._text(member, name, one) for one in inputs_of(value)]
            case Either():
                return "|".join(self._text(member, name, one) for one in value.inputs)
            case Input():
                return self._text(member, name, value)
            case _:
                return [self._ref(member, name, one) for one in value]

    def _text(self, member: Member, name: str, given: Input) -> str:
        return str(Ref(self.ids[given.step], self._mark(member, name, given), given.path))

    def _mark(self, member: Member, name: str, given: Input) -> str:
        """How to spell it: what may be missing without a fault is null, else it must be there."""
        parent = given.step
        ties = self.ties[member.step]
        if member.stands_for is not None:
            return self._mark_of_alternative(member, name, given)
        tie = ties[parent]
        if given.mark == "!" and tie.on == "success" and tie.policy in ("fail", "skip"):
            self._refuse_input(
                member, name, f"it runs only if {parent.key!r} succeeded: use on='failure'"
            )
        if given.mark:
            return given.mark
        if tie.on == "failure":
            self._refuse_input(
                member, name, f"{parent.key!r} has no result when it failed: use its .error"
            )
        spared = tie.on == "always" or tie.policy in ("continue", "ignore") or member.early
        return "?" if spared or (len(ties) > 1 and parent in self.left_out) else ""

    def _mark_of_alternative(self, member: Member, name: str, given: Input) -> str:
        """An alternative has what the task had for which it stands in, and that one's error."""
        stood: Step | None = member.stands_for
        while stood is not None:
            if given.step is stood and given.mark == "!":
                return "!"
            before = self.members[stood]
            if given.step in before.ties and before.stands_for is None:
                return self._mark(before, name, given)
            stood = before.stands_for
        self._refuse_input(
            member,
            name,
            f"{given.step.key!r} need not have ended when it runs: let the task that it stands in "
            "for come after it as well",
        )
        return ""

    def _refuse_input(self, member: Member, name: str, why: str) -> None:
        refuse(self.flow, member.step.key, f"argument {name}: {why}", parameter=name)
