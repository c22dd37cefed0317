"""The flows door of the sync client: graphs of tasks."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from coordq.client import checked
from coordq.client import flow_looks as looks
from coordq.client import flow_plans as plans
from coordq.client.answer_plans import answer
from coordq.client.drive import drive
from coordq.client.waiting import wait
from coordq.clock import monotonic
from coordq.engine.connection import Engine
from coordq.errors import WaitTimeout
from coordq.work.flow.view import FlowView

if TYPE_CHECKING:
    from coordq.work.flow.build import Flow
    from coordq.work.flow.outlook import Outlook
    from coordq.work.flow.plan import FlowPlan


class FlowHandle:
    """A flow that was started."""

    __slots__ = ("_flows", "id")

    def __init__(self, flows: Flows, flow_id: str) -> None:
        self._flows = flows
        self.id = flow_id

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, `timeout` seconds (None: for ever): results by key.

        Those of the tasks that nothing comes after; of one that failed, its alternative's. A task
        that was skipped has none. If the flow `returns` a step, it is the result of that one.

        Raises FlowFailed, which names the tasks that failed, WaitTimeout, FlowNotFound.
        """
        return self._flows.result(self.id, timeout=timeout)

    def get(self) -> FlowView:
        """The flow as it is now, with its tasks. Raises FlowNotFound."""
        return self._flows.get(self.id)

    def progress(self) -> FlowView:
        """The flow as it is now, its account only: of any size it costs the same."""
        return self._flows.get(self.id, nodes=False)

    def cancel(self, reason: str = "cancelled by request") -> FlowView:
        """Cancel all of it that has not ended."""
        return self._flows.cancel(self.id, reason=reason)

    def retry(self) -> FlowView:
        """Run again what failed, was cancelled or never ran; what succeeded stays."""
        return self._flows.retry(self.id)

    def __repr__(self) -> str:
        return f"FlowHandle({self.id!r})"


class Flows:
    """Flows of a namespace. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = uuid4().hex[:12]

    # -- run -----------------------------------------------------------------------------------

    def run(
        self, flow: Flow | FlowPlan, *, force: bool = False, durability: str = "primary"
    ) -> FlowHandle:
        """Submit a flow, whole or not at all, and start it.

        flow: a coordq.Flow, which may be run several times, or a plan of one, which has one effect
            however often it is run.
        force: also while the fleet is read-only. durability: as in coordq.Options.

        Raises InvalidFlow and other InvalidInput, ReadOnly, RedisFull, NotReplicated, Unreachable.
        """
        plan = plans.planned(flow, self._engine.shards)
        drive(self._engine, plans.run(plan, force=force, durability=durability))
        return FlowHandle(self, plan.id)

    def result(self, flow_id: str, *, timeout: float | None = None) -> Any:
        """Wait for a flow's result, or results by key; see FlowHandle.result."""
        looks.check_id(flow_id)
        limit = checked.timeout("timeout", timeout)
        # one for each thread, also of a forked child: nobody takes another's letters
        mailbox = f"{self._name}.{threading.get_native_id():x}"
        deadline = None if limit is None else monotonic() + limit
        while True:
            (ended,) = self._engine.run(plans.FLOWS.watch([flow_id], mailbox))
            if ended is None:
                left = None if deadline is None else deadline - monotonic()
                try:
                    wait(self._engine, plans.FLOWS, flow_id, mailbox, left)
                except WaitTimeout:  # names what was left, not what was asked
                    raise plans.FLOWS.too_late(flow_id, limit or 0) from None
            found = drive(self._engine, plans.results(flow_id))
            if found is not None:
                return found[0]

    # -- look ----------------------------------------------------------------------------------

    def get(self, flow_id: str, *, nodes: bool = True) -> FlowView:
        """A flow as it is now; without `nodes` its account only. Raises FlowNotFound."""
        return drive(self._engine, looks.get(flow_id, nodes=nodes))

    def ls(self, *, state: str = "", name: str = "", limit: int = 100) -> list[FlowView]:
        """Flows that fit, newest first, without their tasks.

        state: building, running, retrying, succeeded, failed or cancelled; "" for any.
        """
        return drive(
            self._engine, plans.ls(self._engine.shards, state=state, name=name, limit=limit)
        )

    def outlook(self, flow_id: str) -> Outlook:
        """How a flow gets on: what runs and how far it is, milestones, and what is to be expected.

        Raises FlowNotFound.
        """
        from coordq.client.outlook_plans import look_ahead

        return drive(
            self._engine, look_ahead(self._engine.namespace, looks.get(flow_id, nodes=True))
        )

    def graph(self, flow: str | Flow | FlowPlan, *, format: str = "text") -> str:  # noqa: A002
        """A picture of a flow that runs, by its id, or of one that is not run yet.

        format: text (for terminals), mermaid or svg. Raises FlowNotFound, InvalidOption.
        """
        return drive(self._engine, plans.graph(flow, form=format))

    # -- change --------------------------------------------------------------------------------

    def grow(self, flow_id: str, flow: Flow, *, after: Any = ()) -> dict[str, str]:
        """Add tasks to a flow that runs; their ids, by key.

        after: keys or ids of its tasks, after whose success those of the new ones start that come
            after nothing else. Keys that are taken already are refused.

        Raises FlowEnded, FlowNotFound, InvalidFlow.
        """
        return drive(self._engine, plans.grow(flow_id, flow, after=after))

    def cancel(self, flow_id: str, *, reason: str = "cancelled by request") -> FlowView:
        """Cancel all of a flow that has not ended; running tasks are asked to stop.

        Raises FlowNotFound, FlowEnded.
        """
        return drive(self._engine, plans.cancel(flow_id, reason=checked.reason(reason)))

    def retry(self, flow_id: str) -> FlowView:
        """Run again what failed, was cancelled or never ran; what succeeded stays as it is.

        Raises FlowNotFound, and Conflict while the flow runs.
        """
        return drive(self._engine, plans.retry(flow_id))

    def forget(self, flow_id: str) -> None:
        """Delete a flow that has ended, with its tasks. Raises FlowNotFound, Conflict."""
        drive(self._engine, plans.forget(flow_id))

    # -- answer --------------------------------------------------------------------------------

    def approve(
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
        drive(self._engine, plan)

    def reject(
        self, task_id: str, step: str = "", *, by: str = "", note: str = "", key: str = ""
    ) -> None:
        """Refuse it: the node fails, the handler gets ApprovalRejected. As `approve`."""
        plan = answer(task_id, step, approved=False, by=by, note=note, key=key)
        drive(self._engine, plan)

    def signal(self, name: str, value: Any = None, *, keep: float | timedelta = 0) -> int:
        """Wake all tasks that wait for a signal of this name; how many there were.

        value: JSON, what they get. keep: for so many seconds those who wait later find it as well.
        """
        return drive(self._engine, plans.signal(self._engine.shards, name, value, keep=keep))
