"""Carries to Redis what handlers ask of their context: checkpoints, tasks, looks at other tasks.

One for all runs of a child, over the worker's own engine, on its loop. Handlers in threads hand
their wish over and block.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property
from typing import Any, Final, NoReturn, TypeVar

from coordq.client import plans
from coordq.client.draft import Draft
from coordq.client.drive import drive_async
from coordq.engine.aio import AsyncEngine
from coordq.ids import child_id
from coordq.runtime.briefing import records
from coordq.work import saved
from coordq.work.durable import Child
from coordq.work.flow.inputs import outcomes
from coordq.work.flow.refs import Outcome

T = TypeVar("T")
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
        ends = {"result_ttl": SPAWNED_TTL_S}
        options = {**ends, **child.options, "id": child_id(claim.id, child.key)}
        if child.after:
            options["depends_on"] = child.after
        order = self._draft.order(child.name, child.args, options)
        receipt = await drive_async(self._engine, plans.enqueue(self._engine.namespace, order))
        return receipt.id

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
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError from None

    async def _lost(self, claim: Any) -> NoReturn:
        """Stop the run; from outside of it, as everybody else does who stops one."""
        self._loop.call_soon(self._stop, claim.member, "lost")
        await asyncio.sleep(STOPPED_S)
        raise asyncio.CancelledError
