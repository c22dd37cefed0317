"""Steps of one flow, copied into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from coordq.work.flow.refusal import refuse
from coordq.work.flow.step import (
    Either,
    Group,
    Input,
    Link,
    Maker,
    Member,
    Step,
    Value,
)
from coordq.work.flow.ties import Tying, Wanted, check_key


def graft(
    flow: Maker, prefix: str, members: Mapping[Step, Member], roots_after: tuple[Link, ...]
) -> list[Member]:
    """Copies of `members` that belong to `flow`, with `prefix` before their keys.

    Those without parents come after `roots_after`. Raises InvalidFlow for a flow with callbacks,
    which would be about something else here.
    """
    twins = {
        step: Step(flow, check_key(flow.name, f"{prefix}.{step.key}"), step.name, step.kind)
        for step in members
    }
    return [_copy(flow, member, twins, roots_after) for member in members.values()]


def _copy(
    flow: Maker, member: Member, twins: Mapping[Step, Step], roots_after: tuple[Link, ...]
) -> Member:
    step = twins[member.step]
    if member.hears:
        refuse(flow.name, step.key, f"on_{member.hears} is about a whole flow: it stays outside")
    ties = {twins[parent]: replace(tie) for parent, tie in member.ties.items()}
    if not ties and member.stands_for is None:
        ties = Tying(flow, step.key, Wanted(after=roots_after)).tie({})
    each = None if member.each is None else {**member.each, "key": step.key}
    return replace(
        member,
        step=step,
        ties=ties,
        inputs={name: _moved(flow, one, twins) for name, one in member.inputs.items()},
        each_inputs={name: _moved(flow, one, twins) for name, one in member.each_inputs.items()},
        fallback=None if member.fallback is None else twins[member.fallback],
        stands_for=None if member.stands_for is None else twins[member.stands_for],
        each=each,
    )


def _moved(flow: Maker, value: Value, twins: Mapping[Step, Step]) -> Value:
    match value:
        case Input():
            return replace(value, step=twins[value.step])
        case Either():
            return Either(tuple(replace(one, step=twins[one.step]) for one in value.inputs))
        case Group():
            over = None if value.over is None else twins[value.over]
            steps = () if over is not None else tuple(twins[one] for one in value)
            return Group(flow, steps, over=over, mark=value.mark)
        case _:
            moved = [_moved(flow, one, twins) for one in value]
            return [one for one in moved if isinstance(one, Input | Either)]
