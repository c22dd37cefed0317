"""The part that notices flows which do not get on, and says what holds them up.

A flow of which no task has ended for a while is looked at. As long as something in it runs or waits
for a moment, all is well, unless that begins anew again and again. Else an event `stuck` names who
waits and for what, once for each knot; whoever looks at the flow sees it as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from coordq.client import flow_looks, reasons
from coordq.client.drive import drive_async
from coordq.engine import keys
from coordq.engine.schema import read_time
from coordq.errors import ForeignData, NotFound
from coordq.ids import shard_of
from coordq.runtime.supervisor.part import ShardPart
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.term import Term
from coordq.work.flow import knots
from coordq.work.flow.knots import Knot
from coordq.work.flow.view import FlowView, NodeView
from coordq.work.saved import saved
from coordq.work.task import State
from coordq.work.why import TURN

PAGE: Final = 200
LOOKS: Final = 5
"""In the time after which a flow counts as stuck; one that is gets looked at ever less often."""
EVERY_MAX_S: Final = 60.0
PAUSE_MAX: Final = 8
"""So many looks at most are left out between two at the same flow."""
ROUNDS_MAX: Final = 5
"""So often a task may be seen to have begun anew while nothing ends."""


@dataclass(slots=True)
class Standing:
    """A flow that does not move."""

    moved_ms: int
    looks: int = 0
    left_out: int = 0
    since: dict[str, int] = field(default_factory=dict)
    """When each of its tasks came into its state, at the last look."""
    rounds: dict[str, int] = field(default_factory=dict)
    """How often each was seen to be in another one, without anything having ended."""

    def due(self) -> bool:
        """Whether it is to be looked at now."""
        if self.left_out < min(PAUSE_MAX, 2**self.looks - 1):
            self.left_out += 1
            return False
        self.left_out = 0
        self.looks += 1
        return True

    def restless(self, view: FlowView) -> NodeView | None:
        """A task that has begun anew too often."""
        for node in view.nodes:
            if not node.ended and self.since.get(node.id, node.since_ms) != node.since_ms:
                self.rounds[node.id] = self.rounds.get(node.id, 0) + 1
        self.since = {node.id: node.since_ms for node in view.nodes if not node.ended}
        often = (node for node in view.nodes if self.rounds.get(node.id, 0) >= ROUNDS_MAX)
        return next((node for node in often if not node.ended), None)


class Knots(ShardPart):
    """Looks at flows of which nothing has ended for `stuck_after_s`."""

    name: ClassVar[str] = "knots"

    def __init__(self, settings: SupervisorSettings) -> None:
        super().__init__()
        self._after_ms = round(settings.stuck_after_s * 1000)
        self._every_s = min(EVERY_MAX_S, settings.stuck_after_s / LOOKS)
        self._standing: dict[int, dict[str, Standing]] = {}

    def begin(self, term: Term) -> None:
        """What was told stands in Redis; how long something has gone round is seen anew."""
        self._standing.clear()

    async def round_on(self, term: Term, shard: int) -> float:
        """Look at the flows of a shard that stand still."""
        before = self._standing.get(shard, {})
        now: dict[str, Standing] = {}
        for flow_id, moved_ms in await self._still(term, shard):
            known = before.get(flow_id)
            if known is None or known.moved_ms != moved_ms:
                known = Standing(moved_ms)
            now[flow_id] = known
            if known.due():
                await self._look(term, flow_id, known)
        self._standing[shard] = now
        return self._every_s

    async def _still(self, term: Term, shard: int) -> list[tuple[str, int]]:
        """The flows that have stood still for long enough, and since when."""
        key = keys.flows_open(keys.root(term.engine.namespace, shard))
        latest = read_time(await term.engine.execute(shard, "TIME")) - self._after_ms
        found: list[tuple[str, int]] = []
        while True:
            words = (key, "-inf", latest, "WITHSCORES", "LIMIT", len(found), PAGE)
            flat = await term.engine.execute(shard, "ZRANGEBYSCORE", *words)
            pairs = zip(flat[::2], flat[1::2], strict=True)
            found += [(one.decode(errors="replace"), int(float(score))) for one, score in pairs]
            if len(flat) < 2 * PAGE:
                return found

    async def _look(self, term: Term, flow_id: str, standing: Standing) -> None:
        """Look at one flow, and say what holds it up."""
        try:
            view = await drive_async(term.engine, flow_looks.get(flow_id, nodes=True))
            knot = await self._knot(term, view, standing)
        except (NotFound, ForeignData):
            return  # it has just gone, or the auditor's business
        self.counts["looks"] += 1
        if knot is None:
            return
        if await term.run(knots.tell(flow_id, standing.moved_ms, knot, epoch=term.epoch)):
            self.counts["stuck"] += 1

    async def _knot(self, term: Term, view: FlowView, standing: Standing) -> Knot | None:
        if view.state == "building" or view.moved_ms != standing.moved_ms:
            return None
        restless = standing.restless(view)
        if restless is not None:
            return knots.round_and_round(view, restless, standing.rounds[restless.id])
        if knots.at_work(view):
            return None
        held = await self._suspended(term, view)
        for node in knots.to_ask(view, State.READY):
            plan = reasons.why(term.engine.namespace, term.shards, node.id)
            why = await drive_async(term.engine, plan)
            held.append((node, None if why.startswith(TURN) else f"is ready, but: {why}"))
        if any(words is None for _, words in held):
            return None
        return knots.tied(view, [(node, words) for node, words in held if words is not None])

    async def _suspended(self, term: Term, view: FlowView) -> list[tuple[NodeView, str | None]]:
        """Those that are suspended, with what they wait for; None for what comes by itself."""
        nodes = knots.to_ask(view, State.SUSPENDED)
        if not nodes:
            return []
        kept = await term.run(saved(shard_of(view.id), [node.id for node in nodes]))
        asked = zip(nodes, kept, strict=True)
        return [(node, knots.suspended_for(view, node, fields)) for node, fields in asked]
