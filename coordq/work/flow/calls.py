"""The operations on flows, each a Call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from coordq.engine.call import Call
from coordq.errors import DuplicateTask, FlowNotFound
from coordq.work.flow.pages import Pages
from coordq.work.flow.plan import FlowPlan


def submit(plan: FlowPlan, *, force: bool = False) -> Iterator[Call[None]]:
    """The calls that bring a flow to its shard, one after the other; `launch` comes after them.

    Each may be repeated. The replies raise FlowNotFound, DuplicateTask.
    """
    passed = 0
    for page in Pages(plan):
        args = (plan.id, passed, "!" if force else "", *page)
        yield Call("flow/submit", plan.shard, args, lambda reply: _check(reply, plan))
        passed += int(page[1])


def launch(plan: FlowPlan, *, mailbox: str = "", force: bool = False) -> Call[None]:
    """Start a flow that was submitted whole; `mailbox` hears of its end. Raises FlowNotFound."""
    about = json.dumps(plan.about, separators=(",", ":"), ensure_ascii=False)
    args = (
        plan.id,
        plan.name,
        len(plan.nodes),
        plan.ttl_s,
        mailbox,
        about,
        "!" if force else "",
    )
    return Call("flow/launch", plan.shard, args, lambda reply: _check(reply, plan))


def _check(reply: Any, plan: FlowPlan) -> None:
    if reply == b"ok":
        return
    if reply == b"taken":
        raise DuplicateTask(
            f"Flow {plan.name!r} holds a task whose id another task has: plan the flow again.",
            id=plan.id,
        )
    raise FlowNotFound(
        f"Flow {plan.name!r} ({plan.id}) is not there whole: a flow that is not launched within an "
        "hour is removed. Submit it again from its first page.",
        id=plan.id,
    )
