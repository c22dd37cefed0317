"""The flows of one producer, one after the other; each is repeated until Redis has taken it.

The plan that is under way stands in a file. A producer that was killed cannot know how far its flow
came; its next life goes on with the same plan, and submitting that twice has one effect.
"""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coordq.interfaces.chaos.flows import MEMBERS
from coordq.interfaces.chaos.insist import insist
from coordq.interfaces.chaos.journal import Journal, moment_ms
from coordq.interfaces.chaos.load import BACKOFF
from coordq.work.flow.build import Flow
from coordq.work.flow.plan import FlowPlan

if TYPE_CHECKING:
    from coordq.client.client import Client


def sample_flow() -> Flow:
    """A flow of the shape that `flows` tells of."""
    flow = Flow("sample")
    root = flow.task("part", {"value": 1}, key="root")
    parts = [flow.task("part", {"value": 10 + n}, key=f"part.{n}", after=[root]) for n in range(2)]
    other = flow.task("part", {"value": 9}, key="stand-in")
    tried = flow.task("doomed", key="first", after=[root], fallback=[other], max_attempts=1)
    # a full Redis takes no task of a handler's, and what the handler raises then is an attempt
    brood = flow.task("brood", key="brood", after=[root], backoff=BACKOFF, max_attempts=50)
    join = flow.task("join", {"seen": [*parts, tried]}, key="join", after=[brood])
    high = flow.task("quick", key="high", after=[join], when="value > 2")
    low = flow.task("quick", key="low", after=[join], when="value <= 2")
    flow.task("quick", key="last", after=[high, low], on="always")
    return flow


class Composer:
    """One life of it."""

    def __init__(self, under_way: Path, journal: Journal, known: set[str]) -> None:
        """`known`: the ids of the flows that earlier lives know to be started."""
        self._under_way, self._journal = under_way, journal
        self._unheard = _read(under_way)
        if self._unheard is not None and self._unheard.id in known:
            self._unheard = None
        self._flows = len(known)

    def keep_up(self, client: Client, done: int, *, share: float, durability: str) -> None:
        """Start flows until they have their share of all tasks, of which `done` came alone."""
        while self._unheard or self._flows * MEMBERS < share / (1 - share) * done:
            plan = self._unheard or sample_flow().plan(self._flows % client.engine.shards)
            self._start(client, plan, durability)
            self._unheard = None

    def _start(self, client: Client, plan: FlowPlan, durability: str) -> None:
        _write(self._under_way, plan)
        ids = json.dumps({node.key: node.id for node in plan.nodes})
        asked_ms = moment_ms()
        self._journal.write("flw", plan.id, ids, asked_ms)
        insist(partial(client.flows.run, plan, durability=durability))
        self._journal.write("fak", plan.id, asked_ms, moment_ms())
        self._flows += 1


def _read(path: Path) -> FlowPlan | None:
    """The plan in a file that an earlier life of ours has written."""
    if not path.exists():
        return None
    plan: FlowPlan = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
    return plan


def _write(path: Path, plan: FlowPlan) -> None:
    """All of it or nothing, whenever we are killed."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(pickle.dumps(plan))
    draft.replace(path)
