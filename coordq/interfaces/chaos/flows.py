"""The flow that producers submit, and what must have become of it. Pure; `composer` builds it.

root -> part.0, part.1, first (fails always; stand-in is its alternative), brood (2 children)
the four -> join -> high when its value is over 2, else low -> last
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from coordq.ids import shard_of
from coordq.interfaces.chaos.history import FlowTold, History
from coordq.interfaces.chaos.lives import ENDS, Life
from coordq.interfaces.chaos.violation import Violation
from coordq.work.events import Event

ENDED: Final = {
    "root": "succeeded",
    "part.0": "succeeded",
    "part.1": "succeeded",
    "first": "failed",
    "stand-in": "succeeded",
    "brood": "succeeded",
    "join": "succeeded",
    "high": "succeeded",
    "low": "skipped",
    "last": "succeeded",
}
"""How each task of a flow ends."""
SEEN: Final = [10, 11, 9]
"""The results that the join gets, in order: the alternative's where `first` has failed."""
MEMBERS: Final = len(ENDED) + 2
"""Tasks of a flow, with the children of one of them."""
BEFORE: Final = {
    "part.0": ("root",),
    "part.1": ("root",),
    "first": ("root",),
    "brood": ("root",),
    "stand-in": ("first",),
    "join": ("part.0", "part.1", "stand-in", "brood"),
    "high": ("join",),
    "last": ("high", "low"),
}
"""Who must have ended before a task may run."""
POISON: Final = "poison"
"""What a task failed of that three workers did not bring to an end."""


def check_flows(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    """What is wrong with the flows that producers have started."""
    for flow_id in history.rest.flows:
        yield Violation("flow", flow_id, "it is left behind among the flows that have not ended")
    course = _course(history)
    for flow_id, told in history.flows.items():
        if not told.acked:
            yield Violation("flow", flow_id, "its producer never heard that it had started")
        elif not _shaken(history, flow_id, course):
            yield from _shape(flow_id, told, lives, course)
            yield from _join(history, told, lives)


def never_launched(history: History) -> set[str]:
    """Flows whose acknowledged start a failover took back, and their tasks: these wait for ever."""
    if history.durable or not any(history.rewound.values()):
        return set()
    course = _course(history)
    lost = {
        flow_id
        for flow_id in history.flows
        if flow_id not in course.started and _shaken(history, flow_id, course)
    }
    return lost | {one for flow_id in lost for one in history.flows[flow_id].ids.values()}


@dataclass(slots=True)
class _Course:
    """What the streams say of flows, and of when their tasks ran."""

    began: dict[str, int] = field(default_factory=dict)
    """Where in its stream each task first ran, and where it ended."""
    ended: dict[str, int] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    ends: dict[str, list[Event]] = field(default_factory=dict)
    """Of each flow, as often as it ended."""


def _course(history: History) -> _Course:
    course = _Course()
    for events in history.events.values():
        for at, event in enumerate(events):
            if event.kind == "running":
                course.began.setdefault(event.subject, at)
            elif event.kind in ENDS:
                course.ended.setdefault(event.subject, at)
            elif event.kind == "flow-started":
                course.started.add(event.subject)
            elif event.kind == "flow-ended":
                course.ends.setdefault(event.subject, []).append(event)
    return course


def _shaken(history: History, flow_id: str, course: _Course) -> bool:
    """Whether a failover took back some of what happened while the flow went on.

    Then what a handler knew of it, such as the ids of tasks that it had added, may be no longer so.
    """
    since_ms = history.flows[flow_id].asked_ms + history.offset_ms
    until_ms = max((end.ms for end in course.ends.get(flow_id, ())), default=inf)
    return history.rolled_back(shard_of(flow_id), since_ms, until_ms)


def _shape(
    flow_id: str, told: FlowTold, lives: dict[str, Life], course: _Course
) -> Iterator[Violation]:
    if any(task in lives and lives[task].detail == POISON for task in told.ids.values()):
        return  # given up after three crashes, as is promised: the flow took another way
    states = [end.detail for end in course.ends.get(flow_id, ())]
    if states != ["succeeded"]:
        yield Violation("flow", flow_id, f"it ended as {states}, not once as succeeded")
    for key, task_id in told.ids.items():
        life = lives.get(task_id)
        state = life.ended or life.last if life else "unknown"
        if state != ENDED[key]:
            yield Violation("flow", task_id, f"{key} of {flow_id} is {state}")
    for key, parents in BEFORE.items():
        began = course.began.get(told.ids[key], -1)
        for parent in parents if began >= 0 else ():
            if course.ended.get(told.ids[parent], began) >= began:
                what = f"{key} of {flow_id} ran before {parent} had ended"
                yield Violation("flow", told.ids[key], what)


def _join(history: History, told: FlowTold, lives: dict[str, Life]) -> Iterator[Violation]:
    task_id = told.ids["join"]
    life = lives.get(task_id)
    if life is None or life.ended != "succeeded":
        return
    seen = history.seen.get((task_id, life.end_fence), "nothing")
    if seen != json.dumps(SEEN):
        yield Violation("flow", task_id, f"the join saw {seen} of its parents, not {SEEN}")
