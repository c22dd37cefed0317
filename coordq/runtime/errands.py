"""Carries to Redis what handlers ask of their context: checkpoints, tasks, looks at other tasks.

One for all runs of a child, over the worker's own engine, on its loop. Handlers in threads hand
their wish over and block.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property
from typing import Any, Final, NoReturn, TypeVar

from coordq.client import plans
from coordq.client.draft import Draft
from coordq.client.drive import drive_async
from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError, StaleClaim
from coordq.ids import child_id
from coordq.runtime.briefing import records
from coordq.work import saved
from coordq.work.durable import Child
from coordq.work.flow.calls import depend, grow
from coordq.work.flow.inputs import outcomes
from coordq.work.flow.orders import Orders
from coordq.work.flow.plan import Edge, Node
from coordq.work.flow.refs import Outcome
from coordq.work.options import seconds
from coordq.work.typed import TaskFunction

T = TypeVar("T")
GrownEdge = tuple[str, Edge]
"""(who waits, for what)."""
SPAWNED_TTL_S: Final = 86_400
"""How long the result of a task without a flow is kept, unless its maker says otherwise: a handler
that is run again after a wait asks for it again, and makes the task anew when it is gone."""
STOPPED_S: Final = 5.0
"""How long a run that is being stopped is kept from going on."""


class Errands:
    """See work.durable.Errands. `stop` is told a claim's member, and "lost"."""

    def __init__(
        self, engine: Callable[[], AsyncEngine], *, stop: Callable[[str, str], Any]
    ) -> None:
        self._get = engine
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @cached_property
    def _engine(self) -> AsyncEngine:
        return self._get()

    @cached_property
    def _draft(self) -> Draft:
        return Draft(self._engine.shards)

    async def checkpoint(self, claim: Any, body: bytes, /) -> None:
        """Keep a state, unless the claim is lost: then the run is stopped."""
        if not await self._engine.run(saved.checkpoint(claim.member, body)):
            await self._lost(claim)

    async def spawn(self, claim: Any, child: Child, /) -> str:
        """Make a task of the same shard, whose id follows from the parent's; its id."""
        task_id = child_id(claim.id, child.key)
        if claim.spec.flow:
            await self.grow(claim, [_node(claim, child, task_id)], [])
            return task_id
        name, args, options = _plain(child)
        options = {"result_ttl": SPAWNED_TTL_S, **options, "id": task_id}
        if child.after:
            delay_ms = math.ceil(seconds("delay", options.pop("delay", 0)) * 1000)
            order = self._draft.order(name, args, options)
            await self._engine.run(depend(order, _edges(child), delay_ms=delay_ms))
            return task_id
        order = self._draft.order(name, args, options)
        receipt = await drive_async(self._engine, plans.enqueue(self._engine.namespace, order))
        return receipt.id

    async def grow(self, claim: Any, nodes: Sequence[Node], edges: Sequence[GrownEdge], /) -> None:
        """Add planned tasks and edges to the claim's flow; a run whose claim is lost is stopped."""
        try:
            for call in grow(claim.spec.flow, nodes, edges, member=claim.member):
                await self._engine.run(call)
        except StaleClaim:
            await self._lost(claim)

    async def look(self, ids: Sequence[str], /) -> dict[str, tuple[str, Outcome]]:
        """For each task who stands in for it, and how that one ended. Raises TaskNotFound."""
        stands: dict[str, str] = {}
        plan = outcomes(ids, stands=stands)
        try:
            wanted = next(plan)
            while True:
                wanted = plan.send(await records(self._engine, wanted))
        except StopIteration as end:
            found: dict[str, Outcome] = end.value
        return {one: (stands.get(one, one), outcome) for one, outcome in found.items()}

    def block(self, work: Coroutine[Any, Any, T], /) -> T:
        """Do something on the loop, and wait for it in a thread."""
        if threading.get_ident() == self._thread:
            work.close()
            raise CoordqError(
                "The context of a sync handler was asked for what blocks, on the event loop, where"
                " hooks run: ask from the handler."
            )
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError from None

    async def _lost(self, claim: Any) -> NoReturn:
        """Stop the run; from outside of it, as everybody else does who stops one."""
        self._loop.call_soon(self._stop, claim.member, "lost")
        await asyncio.sleep(STOPPED_S)
        raise asyncio.CancelledError


def _node(claim: Any, child: Child, task_id: str) -> Node:
    """A task that is added to a flow. Raises the InvalidInput errors."""
    asked = Orders(claim.spec.flow, {}).ask(child.key, child.task, child.args, child.options)
    key = child.key if child.named else f"{asked.name}.{task_id[-6:]}"
    parents = _edges(child)
    return Node(task_id, key, asked.template, asked.args, delay_ms=asked.delay_ms, parents=parents)


def _edges(child: Child) -> tuple[Edge, ...]:
    return tuple(Edge(one) for one in child.after)


def _plain(child: Child) -> tuple[str, Any, dict[str, Any]]:
    """Name, arguments and options of a task that belongs to no flow. Raises InvalidInput errors."""
    task = child.task
    if not isinstance(task, TaskFunction):
        return task, child.args, dict(child.options)
    return (task.options(**child.options) if child.options else task).item(**(child.args or {}))
