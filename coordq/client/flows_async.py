"""The flows door of the async client: the operations of `flows.py`, awaitable."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from coordq.client import checked
from coordq.client import flow_looks as looks
from coordq.client import flow_plans as plans
from coordq.client.answer_plans import answer
from coordq.client.drive import drive_async
from coordq.client.mailbox import Mailbox
from coordq.clock import monotonic
from coordq.engine.aio import AsyncEngine
from coordq.errors import WaitTimeout
from coordq.work.flow.view import FlowView

if TYPE_CHECKING:
    from coordq.work.flow.build import Flow
    from coordq.work.flow.outlook import Outlook
    from coordq.work.flow.plan import FlowPlan


class AsyncFlowHandle:
    """A flow that was started."""

    __slots__ = ("_flows", "id")

    def __init__(self, flows: AsyncFlows, flow_id: str) -> None:
        self._flows = flows
        self.id = flow_id

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, `timeout` seconds (None: for ever): results by key.

        Those of the tasks that nothing comes after; of one that failed, its alternative's. A task
        that was skipped has none. If the flow `returns` a step, it is the result of that one.

        Raises FlowFailed, which names the tasks that failed, WaitTimeout, FlowNotFound.
        """
        return await self._flows.result(self.id, timeout=timeout)

    async def get(self) -> FlowView:
        """The flow as it is now, with its tasks. Raises FlowNotFound."""
        return await self._flows.get(self.id)

    async def progress(self) -> FlowView:
        """The flow as it is now, its account only: of any size it costs the same."""
        return await self._flows.get(self.id, nodes=False)

    async def cancel(self, reason: str = "cancelled by request") -> FlowView:
        """Cancel all of it that has not ended."""
        return await self._flows.cancel(self.id, reason=reason)

    async def retry(self) -> FlowView:
        """Run again what failed, was cancelled or never ran; what succeeded stays."""
        return await self._flows.retry(self.id)

    def __repr__(self) -> str:
        return f"AsyncFlowHandle({self.id!r})"


class AsyncFlows:
    """Flows of a namespace, for one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._mailbox = Mailbox(engine, plans.FLOWS)

    # -- run -----------------------------------------------------------------------------------

    async def run(
        self, flow: Flow | FlowPlan, *, force: bool = False, durability: str = "primary"
    ) -> AsyncFlowHandle:
        """Submit a flow, whole or not at all, and start it.

        flow: a coordq.Flow, which may be run several times, or a plan of one, which has one effect
            however often it is run.
        force: also while the fleet is read-only. durability: as in coordq.Options.

        Raises InvalidFlow and other InvalidInput, ReadOnly, RedisFull, NotReplicated, Unreachable.
        """
        plan = plans.planned(flow, self._engine.shards)
        await drive_async(self._engine, plans.run(plan, force=force, durability=durability))
        return AsyncFlowHandle(self, plan.id)

    async def result(self, flow_id: str, *, timeout: float | None = None) -> Any:
        """Wait for a flow's result, or results by key; see AsyncFlowHandle.result."""
        looks.check_id(flow_id)
        limit = checked.timeout("timeout", timeout)
        deadline = None if limit is None else monotonic() + limit
        while True:
            left = None if deadline is None else deadline - monotonic()
            try:
                await self._mailbox.wait(flow_id, left)
            except WaitTimeout:  # names what was left, not what was asked
                raise plans.FLOWS.too_late(flow_id, limit or 0) from None
            found = await drive_async(self._engine, plans.results(flow_id))
            if found is not None:
                return found[0]

    async def close(self) -> None:
        """Stop listening; who still waits is told so."""
        await self._mailbox.close()

    # -- look ----------------------------------------------------------------------------------

    async def get(self, flow_id: str, *, nodes: bool = True) -> FlowView:
        """A flow as it is now; without `nodes` its account only. Raises FlowNotFound."""
        return await drive_async(self._engine, looks.get(flow_id, nodes=nodes))

    async def ls(self, *, state: str = "", name: str = "", limit: int = 100) -> list[FlowView]:
        """Flows that fit, newest first, without their tasks.

        state: building, running, retrying, succeeded, failed or cancelled; "" for any.
        """
        return await drive_async(
            self._engine, plans.ls(self._engine.shards, state=state, name=name, limit=limit)
        )

    async def outlook(self, flow_id: str) -> Outlook:
        """How a flow gets on: what runs and how far it is, milestones, and what is to be expected.

        Raises FlowNotFound.
        """
        from coordq.client.outlook_plans import look_ahead

        return await drive_async(
            self._engine, look_ahead(self._engine.namespace, looks.get(flow_id, nodes=True))
        )

    async def graph(self, flow: str | Flow | FlowPlan, *, format: str = "text") -> str:  # noqa: A002
        """A picture of a flow that runs, by its id, or of one that is not run yet.

        format: text (for terminals), mermaid or svg. Raises FlowNotFound, InvalidOption.
        """
        return await drive_async(self._engine, plans.graph(flow, form=format))

    # -- change --------------------------------------------------------------------------------

    async def grow(self, flow_id: str, flow: Flow, *, after: Any = ()) -> dict[str, str]:
        """Add tasks to a flow that runs; their ids, by key.

        after: keys or ids of its tasks, after whose success those of the new ones start that come
            after nothing else. Keys that are taken already are refused.

        Raises FlowEnded, FlowNotFound, InvalidFlow.
        """
        return await drive_async(self._engine, plans.grow(flow_id, flow, after=after))

    async def cancel(self, flow_id: str, *, reason: str = "cancelled by request") -> FlowView:
        """Cancel all of a flow that has not ended; running tasks are asked to stop.

        Raises FlowNotFound, FlowEnded.
        """
        return await drive_async(self._engine, plans.cancel(flow_id, reason=checked.reason(reason)))

    async def retry(self, flow_id: str) -> FlowView:
        """Run again what failed, was cancelled or never ran; what succeeded stays as it is.

        Raises FlowNotFound, and Conflict while the flow runs.
        """
        return await drive_async(self._engine, plans.retry(flow_id))

    async def forget(self, flow_id: str) -> None:
        """Delete a flow that has ended, with its tasks. Raises FlowNotFound, Conflict."""
        await drive_async(self._engine, plans.forget(flow_id))

    # -- answer --------------------------------------------------------------------------------

    async def approve(
        self,
        task_id: str,
        step: str = "",
        *,
        by: str = "",
        note: str = "",
        value: Any = None,
        key: str = "",
    ) -> None:
        """Let a task go on that waits for an approval; `value` is what it gets.

        task_id: a node of a flow, or a task whose handler waits; or the flow, of which `step` says
            by its key which is meant.
        key: which of a handler's approvals; "" for the one that it waits for now.

        Raises TaskNotFound, FlowNotFound, and Conflict when it waits for none.
        """
        plan = answer(task_id, step, approved=True, by=by, note=note, value=value, key=key)
        await drive_async(self._engine, plan)

    async def reject(
        self, task_id: str, step: str = "", *, by: str = "", note: str = "", key: str = ""
    ) -> None:
        """Refuse it: the node fails, the handler gets ApprovalRejected. As `approve`."""
        plan = answer(task_id, step, approved=False, by=by, note=note, key=key)
        await drive_async(self._engine, plan)

    async def signal(self, name: str, value: Any = None, *, keep: float | timedelta = 0) -> int:
        """Wake all tasks that wait for a signal of this name; how many there were.

        value: JSON, what they get. keep: for so many seconds those who wait later find it as well.
        """
        return await drive_async(
            self._engine, plans.signal(self._engine.shards, name, value, keep=keep)
        )
