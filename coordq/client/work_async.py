"""The work door of the async client: the operations of `work.py`, awaitable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Generic, TypeVar
from uuid import uuid4

from coordq.amounts import whole
from coordq.client import checked, plans, reasons
from coordq.client.after import OPTION as DEPENDS
from coordq.client.after import after, after_many
from coordq.client.coalesce import Coalescer
from coordq.client.draft import Draft, Item
from coordq.client.drive import drive_async
from coordq.client.letters import TASKS
from coordq.client.mailbox import Mailbox
from coordq.client.plan import BLOCK_S, Plan
from coordq.client.result import result_of
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.engine.schema import read_time
from coordq.work import cancel, claim, look
from coordq.work import enqueue as ordering
from coordq.work.cancel import Cancellation
from coordq.work.claim import Claim
from coordq.work.enqueue import Order, Receipt
from coordq.work.events import Event, read_entry
from coordq.work.options import seconds
from coordq.work.queue import Overview, Queue, WorkerView
from coordq.work.task import State, Task

R = TypeVar("R")


class AsyncTaskHandle(Generic[R]):
    """A task that was enqueued."""

    __slots__ = ("_work", "created", "id")

    def __init__(self, work: AsyncWork, receipt: Receipt) -> None:
        self._work = work
        self.id = receipt.id
        self.created = receipt.created
        """False when a unique key was held: the handle is the holder's."""

    async def result(self, timeout: float | None = None) -> R:
        """Wait for the result, `timeout` seconds (None: for ever).

        Raises TaskFailed, TaskCancelled, WaitTimeout, TaskNotFound.
        """
        return await self._work.result(self.id, timeout=timeout)  # type: ignore[no-any-return]

    async def get(self) -> Task:
        """The task as it is now. Raises TaskNotFound."""
        return await self._work.get(self.id)

    async def cancel(self, reason: str = "cancelled by request") -> Cancellation:
        """Cancel it, or ask its worker to."""
        return await self._work.cancel(self.id, reason=reason)

    def __repr__(self) -> str:
        return f"AsyncTaskHandle({self.id!r})"


class AsyncWork:
    """Tasks and queues of a namespace, for one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._draft = Draft(engine.shards)
        self._coalescer = Coalescer(engine)
        self._mailbox = Mailbox(engine, TASKS)

    async def _drive(self, plan: Plan[R]) -> R:
        return await drive_async(self._engine, plan)

    # -- enqueue -------------------------------------------------------------------------------

    async def enqueue(
        self, name: str, args: Mapping[str, Any] | None = None, /, **options: Any
    ) -> AsyncTaskHandle[Any]:
        """Enqueue a task by name; `options` as in coordq.Options.

        depends_on: ids or handles of tasks that must have succeeded before; when one of them fails
            or is cancelled this one ends as cancelled. Of results see `client.flows`.

        Raises InvalidInput and its kinds, QueueFull, DuplicateTask, RedisFull, ReadOnly,
        NotReplicated, Unreachable, and TaskNotFound for what it depends on.
        """
        if DEPENDS in options:
            return AsyncTaskHandle(self, await self._place_after(name, args, options))
        order = self._draft.order(name, args, options)
        return AsyncTaskHandle(self, await self._place(order))

    async def _place_after(
        self, name: str, args: Mapping[str, Any] | None, options: dict[str, Any]
    ) -> Receipt:
        receipt = await self._engine.run(after(self._draft, name, args, options))
        ordering.check_replicated([receipt])
        return receipt

    async def _place(self, order: Order) -> Receipt:
        receipt = await self._coalescer.add(order)
        if receipt.no_room:
            mode = order.template.on_full
            namespace = self._engine.namespace
            plan = (
                plans.refuse(order) if mode == "refuse" else plans.wait_for_room(namespace, order)
            )
            receipt = await self._drive(plan)
        ordering.check_duplicate(order, receipt)
        ordering.check_replicated([receipt])
        return receipt

    async def enqueue_many(
        self, items: Iterable[Item], /, **options: Any
    ) -> list[AsyncTaskHandle[Any]]:
        """Enqueue many: items are `(name, args)` or `(name, args, options)`; 500 go in one call.

        Handles come back in order. With on_full="refuse" each call of 500 is all or nothing; errors
        are those of `enqueue`. NotReplicated names the ids that no replica confirmed, after all
        were enqueued. depends_on is said for all of them.
        """
        if DEPENDS in options:
            waiting = await self._engine.run_many(after_many(self._draft, items, options))
            ordering.check_replicated(waiting)
            return [AsyncTaskHandle(self, receipt) for receipt in waiting]
        orders = self._draft.orders(items, options)
        parts = plans.batches(orders, self._draft.shards)
        calls = (
            ordering.enqueue_many([orders[at] for at in places], on_full=mode)
            for mode, places in parts
        )
        placed: list[Receipt | None] = [None] * len(orders)
        for (_, places), receipts in zip(parts, await self._engine.run_many(calls), strict=True):
            settled = receipts
            if not all(receipt.created for receipt in receipts):
                members = [orders[at] for at in places]
                rest = plans.enqueue_rest(self._engine.namespace, members, receipts)
                settled = await self._drive(rest)
            for at, receipt in zip(places, settled, strict=True):
                placed[at] = receipt
        every = [receipt for receipt in placed if receipt is not None]
        ordering.check_replicated(every)
        return [AsyncTaskHandle(self, receipt) for receipt in every]

    # -- waiting -------------------------------------------------------------------------------

    async def run(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        /,
        *,
        wait_for: float | None = None,
        **options: Any,
    ) -> Any:
        """Enqueue a task and return its result; `wait_for` seconds (None: for ever).

        Raises what `enqueue` and `result` raise.
        """
        limit = checked.timeout("wait_for", wait_for)
        if DEPENDS in options:
            placed = await self._place_after(name, args, options)
            return await self.result(placed.id, timeout=limit)
        order = self._draft.order(name, args, options, mailbox=self._mailbox.name)
        future = self._mailbox.expect(order.id)
        try:
            receipt = await self._place(order)
        except BaseException:
            self._mailbox.forget(order.id, future)
            raise
        if not receipt.created or receipt.id != order.id:
            self._mailbox.forget(order.id, future)
            return await self.result(receipt.id, timeout=limit)
        return result_of(await self._mailbox.arrival(order.id, future, limit))

    async def result(self, task_id: str, *, timeout: float | None = None) -> Any:
        """Wait for a task's result. Raises TaskFailed, TaskCancelled, WaitTimeout, TaskNotFound."""
        look.check_id(task_id)
        limit = checked.timeout("timeout", timeout)
        return result_of(await self._mailbox.wait(task_id, limit))

    # -- looking -------------------------------------------------------------------------------

    async def get(self, task_id: str) -> Task:
        """A task as it is now. Raises TaskNotFound, ForeignData."""
        return await self._drive(plans.get(task_id))

    async def why(self, task_id: str) -> str:
        """Why a task is not running, in a sentence. Raises TaskNotFound."""
        return await self._drive(reasons.why(self._engine.namespace, self._engine.shards, task_id))

    async def ls(
        self,
        *,
        state: State | str | None = None,
        queue: str = "",
        name: str = "",
        limit: int = 100,
    ) -> list[Task]:
        """Tasks that fit, state by state, up to `limit`.

        In this order: running, suspended, ready, scheduled, waiting, dead letters, recently ended.
        """
        wanted = checked.state(state)
        return await self._drive(
            plans.ls(self._engine.shards, state=wanted, queue=queue, name=name, limit=limit)
        )

    async def logs(self, task_id: str) -> list[str]:
        """What a task has said, oldest first; the last 1,000 lines are kept for a day."""
        return await self._drive(plans.logs(self._engine.namespace, task_id))

    async def progress(self, task_id: str) -> dict[str, Any] | None:
        """How far a task says it is: {"done", "total", "message", "fraction"}, or None."""
        return (await self.get(task_id)).progress

    async def stats(self) -> Overview:
        """The namespace at a glance: queues, counters, workers."""
        return await self._drive(plans.overview(self._engine.shards))

    async def workers(self) -> list[WorkerView]:
        """All live workers."""
        return list((await self.stats()).workers)

    async def queues(self) -> list[Queue]:
        """All queues that were ever used."""
        return list((await self.stats()).queues)

    async def queue(self, name: str) -> Queue:
        """One queue. Raises QueueNotFound."""
        return await self._drive(plans.queue(self._engine.shards, name))

    def events(self, *, after: str = "0", follow: bool = False) -> AsyncIterator[Event]:
        """What happened since the stream position `after` ("$": from now on), oldest first.

        With `follow` the iterator never ends: it waits for what happens next. Raises InvalidOption.
        """
        return self._events(checked.position(after), follow=follow)

    async def _events(self, after: str, *, follow: bool) -> AsyncIterator[Event]:
        start = await self._now() if after == "$" else after
        last = dict.fromkeys(range(self._engine.shards), start)
        while True:
            found = False
            for shard, since in last.items():
                block = BLOCK_S / len(last) if follow else 0.0
                for event in await self._read_events(shard, since, block):
                    last[shard], found = event.at, True
                    yield event
            if not (found or follow):
                return

    async def _now(self) -> str:
        return f"{read_time(await self._engine.execute(0, 'TIME'))}"

    async def _read_events(self, shard: int, after: str, block_s: float) -> list[Event]:
        key = keys.events(keys.root(self._engine.namespace, shard))
        block = ("BLOCK", int(block_s * 1000)) if block_s else ()
        reply = await self._engine.execute(
            shard, "XREAD", "COUNT", 500, *block, "STREAMS", key, after, timeout_s=block_s
        )
        entries = reply[0][1] if reply else []
        return [event for entry in entries for event in read_entry(shard, entry)]

    # -- changing ------------------------------------------------------------------------------

    async def cancel(self, task_id: str, *, reason: str = "cancelled by request") -> Cancellation:
        """Cancel a task that waits, or ask its worker to stop it. Raises TaskNotFound."""
        return await self._engine.run(
            cancel.cancel(look.check_id(task_id), reason=checked.reason(reason))
        )

    async def retry(self, task_id: str) -> Task:
        """Make a failed, cancelled or scheduled task ready now. Raises TaskNotFound, Conflict."""
        return await self._drive(plans.retry(task_id))

    async def claim_one(self, task_id: str, *, version: int = -1, claimant: str) -> Claim:
        """Take one browsed task, to be run by the caller. Raises Conflict, TaskNotFound."""
        look.check_id(task_id)
        seen = whole("version", version, -1)
        who = checked.claimant(claimant)
        return await self._engine.run(
            claim.claim_one(task_id, version=seen, claimant=who, nonce=uuid4().hex)
        )

    async def pause(self, queue: str) -> Queue:
        """Give out nothing from a queue until it is resumed; running tasks go on."""
        return await self.limit(queue, paused=True)

    async def resume(self, queue: str) -> Queue:
        """End a pause."""
        return await self.limit(queue, paused=False)

    async def limit(
        self,
        queue: str,
        *,
        high: int | None = None,
        low: int | None = None,
        max_bytes: int | None = None,
        strict: bool | None = None,
        fair: bool | None = None,
        paused: bool | None = None,
    ) -> Queue:
        """Change a queue's settings; None leaves one as it is, 0 takes a mark away.

        high, low: marks in waiting tasks (low defaults to 80 % of high).
        fair: whether tenants take turns; else their tasks start in the order of their age.

        Raises InvalidOption.
        """
        settings: dict[str, int | bool | None] = {
            "high": high,
            "low": low,
            "max_bytes": max_bytes,
            "strict": strict,
            "fair": fair,
            "paused": paused,
        }
        return await self._drive(plans.configure(self._engine.shards, queue, settings))

    async def purge(self, queue: str) -> int:
        """Cancel all ready and scheduled tasks of a queue; how many there were."""
        return await self._drive(plans.purge(self._engine.shards, queue))

    async def tell_worker(self, name: str, order: str) -> None:
        """Tell a live worker to "drain", "stop" or "dump" its stacks. Raises WorkerNotFound."""
        await self._drive(
            plans.tell_worker(self._engine.namespace, self._engine.shards, name, order)
        )

    # -- dead letters --------------------------------------------------------------------------

    async def dead(self, *, queue: str = "", name: str = "", limit: int = 100) -> list[Task]:
        """Dead letters, newest first."""
        return await self.ls(state=State.FAILED, queue=queue, name=name, limit=limit)

    async def revive(
        self,
        *ids: str,
        queue: str = "",
        name: str = "",
        everything: bool = False,
        limit: int = 10_000,
    ) -> int:
        """Make dead letters ready again; how many were.

        Those given, those that fit queue and name, or `everything`; at most `limit`.
        Raises InvalidOption when it is not said which.
        """
        checked.chosen(ids, any_filter=bool(queue or name), everything=everything)
        chosen = list(ids) or await self._dead_ids(queue, name, 0, limit)
        return await self._drive(plans.requeue_all(chosen, frozenset({State.FAILED})))

    async def purge_dead(
        self,
        *ids: str,
        queue: str = "",
        name: str = "",
        older_than: float = 0,
        everything: bool = False,
        limit: int = 10_000,
    ) -> int:
        """Delete dead letters; how many were.

        Those given, those that fit queue, name and age (seconds), or `everything`; at most `limit`.
        Raises InvalidOption when it is not said which.
        """
        age_ms = int(seconds("older_than", older_than) * 1000)
        checked.chosen(ids, any_filter=bool(queue or name or age_ms), everything=everything)
        chosen = list(ids) or await self._dead_ids(queue, name, age_ms, limit)
        return await self._drive(plans.forget_all(chosen))

    async def _dead_ids(self, queue: str, name: str, older_than_ms: int, limit: int) -> list[str]:
        return await self._drive(
            plans.dead_ids(
                self._engine.shards,
                queue=queue,
                name=name,
                older_than_ms=older_than_ms,
                limit=limit,
            )
        )

    async def close(self) -> None:
        """Send what is on its way, and stop listening."""
        await self._coalescer.close()
        await self._mailbox.close()
