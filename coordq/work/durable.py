"""What a handler may ask for that outlives its run: checkpoints, tasks of its own, waits.

All of it goes over the worker's own connection. Like everything of the context it is awaited in an
async handler and blocks in a sync one. A wait whose end has not come ends the run: the task holds
no slot, and is run again from its start when it has, by whichever worker then.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NoReturn, Protocol, TypeVar

from coordq.errors import InvalidInput, NotDurable, OtherShard
from coordq.ids import is_id, shard_of
from coordq.names import check_key, check_name
from coordq.work.flow.refs import Outcome
from coordq.work.signals import Suspended
from coordq.work.waits import Waits, dump_state, failure

T = TypeVar("T")
Work = Coroutine[Any, Any, Any]
_ENDED: Final = ("succeeded", "failed", "cancelled")


class ClaimLike(Protocol):
    """What is read of a claim: the right to run one task once."""

    @property
    def id(self) -> str: ...
    @property
    def fence(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def queue(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> Any: ...
    @property
    def args(self) -> bytes: ...
    @property
    def member(self) -> str: ...


class Errands(Protocol):
    """Who carries to Redis what a handler asks for, on the worker's loop."""

    def checkpoint(self, claim: Any, body: bytes, /) -> Coroutine[Any, Any, None]:
        """Keep a state, unless the claim is lost: then the run is stopped."""

    def spawn(self, claim: Any, child: Child, /) -> Coroutine[Any, Any, str]:
        """Make a task; its id."""

    def grow(
        self, claim: Any, nodes: Sequence[Any], edges: Sequence[Any], /
    ) -> Coroutine[Any, Any, None]:
        """Add planned tasks and edges to the claim's flow."""

    def look(self, ids: Sequence[str], /) -> Coroutine[Any, Any, dict[str, tuple[str, Outcome]]]:
        """For each task who stands in for it (mostly itself), and how that one ended."""

    def block(self, work: Coroutine[Any, Any, T], /) -> T:
        """Do something on the loop, and wait for it in a thread."""


@dataclass(frozen=True, slots=True)
class Child:
    """A task that another one asks for."""

    task: Any
    """Its name, or a function made with @agent.task."""
    args: Mapping[str, Any] | None
    key: str
    """Its name among the tasks that its maker asks for: what its id is made of."""
    named: bool
    """Whether that was said, or follows from the order of calls."""
    after: tuple[str, ...]
    """Ids of tasks that come first."""
    options: Mapping[str, Any]


class Durable:
    """The part of a context that speaks to Redis."""

    __slots__ = (
        "_asynchronous",
        "_cancelled",
        "_claim",
        "_errands",
        "_hindered",
        "_over",
        "_waits",
    )

    _asynchronous: bool
    _cancelled: bool
    _claim: ClaimLike
    _errands: Errands | None
    _hindered: str
    _over: bool
    _waits: Waits | None

    @property
    def flow_id(self) -> str | None:
        """The flow that the task belongs to; None when it belongs to none."""
        return self._claim.spec.flow or None

    @property
    def state(self) -> Any:
        """What `checkpoint` kept last, in this run or an earlier one, as JSON; None before that."""
        return self._kept().state

    @property
    def parting(self) -> Suspended | None:
        """Why the run is over though the handler may go on. For the executor."""
        return None if self._waits is None else self._waits.parting

    def checkpoint(self, state: Any) -> Any:
        """Keep `state` (anything JSON, up to 1 MiB), so that a later run can go on from here.

        It replaces what was kept before, and is gone when the task has succeeded. Returns when
        Redis has it. A run whose claim is lost is stopped here, before it does anything twice.

        Raises InvalidInput, PayloadTooLarge, RedisFull.
        """
        body = dump_state(self._claim.spec.name, state)

        async def keep(errands: Errands) -> None:
            await errands.checkpoint(self._claim, body)
            self._kept().state = state

        return self._do("checkpoint", keep)

    def spawn(
        self,
        task: Any,
        args: Mapping[str, Any] | None = None,
        /,
        *,
        key: str = "",
        after: Iterable[Any] = (),
        **options: Any,
    ) -> Any:
        """Make a task, by its name or function, and return its id.

        In a flow it becomes part of the flow, which does not end before it; else it is a task like
        any other, whose result is kept for a day (option result_ttl): as long as a handler may take
        that still asks for it. Its id follows from this task's and the key, so a handler that is
        run again makes no second one. Make all that belongs together before you wait for it.

        key: which of this task's own tasks it is, and in a flow its name there; without one the
            order of calls says it.
        after: ids of tasks that have to succeed first.
        options: as in coordq.Options.

        Raises InvalidInput, FlowEnded, WouldCycle, StaleClaim, RedisFull.
        """
        check_key(key)
        turn = self._kept().key("spawn", key)
        first = tuple(_id_of(one) for one in after)
        child = Child(task, args, turn, bool(key), first, options)
        return self._do("spawn", lambda errands: errands.spawn(self._claim, child))

    def grow(self, nodes: Sequence[Any], edges: Sequence[Any]) -> Any:
        """Add planned nodes and edges to the flow. For the task that expands maps."""
        return self._do("grow", lambda errands: errands.grow(self._claim, nodes, edges))

    def wait_for(
        self,
        tasks: Any,
        *,
        timeout: float | timedelta | None = None,
        key: str = "",
        return_errors: bool = False,
    ) -> Any:
        """Wait until tasks have ended; their results, in order. Holds no slot meanwhile.

        tasks: ids, or handles; a single one gives a single result. An alternative that runs in the
            place of a task that failed counts for it.
        timeout: seconds, or a timedelta.
        return_errors: put TaskFailed and TaskCancelled among the results, instead of raising the
            first.

        Raises TaskFailed, TaskCancelled, WaitExpired, TaskNotFound. A wait that closes a circle
        makes the task a dead letter, `would-cycle`; so does OtherShard, which is raised for a task
        that lives on another shard than this one, and `other-shard` is the reason.
        """
        alone = isinstance(tasks, str) or hasattr(tasks, "id")
        ids = [_id_of(one) for one in ((tasks,) if alone else tasks)]
        for one in ids:
            self._check_near(one)
        wait = self._wait("tasks", key, timeout=timeout)

        async def results(errands: Errands) -> Any:
            if self._kept().came(wait.key):
                self._kept().value(wait)
            found = await errands.look(ids) if ids else {}
            open_ = [stands for stands, end in found.values() if end.state not in _ENDED]
            if open_:
                wait.ids = tuple(dict.fromkeys(open_))
                raise self._kept().part(wait)
            every = [_result(one, found[one][1], return_errors) for one in ids]
            return every[0] if alone else every

        return self._do("wait_for", results)

    def wait_approval(self, key: str = "", *, timeout: float | timedelta | None = None) -> Any:
        """Wait until a person approves: `coordq approve <id>`. Returns what they said, if anything.

        Raises ApprovalRejected, WaitExpired.
        """
        return self._wait_until(self._wait("approval", key, timeout=timeout))

    def wait_signal(
        self, name: str, *, timeout: float | timedelta | None = None, key: str = ""
    ) -> Any:
        """Wait for a signal, `client.flows.signal(name, value)`; returns its value.

        Raises WaitExpired.
        """
        return self._wait_until(self._wait("signal", key, name=name, timeout=timeout))

    def sleep(self, seconds: float | timedelta, *, key: str = "") -> Any:
        """Go on after `seconds` (or a timedelta), holding no slot meanwhile. Any time may pass."""
        return self._wait_until(self._wait("time", key, timeout=seconds))

    # What they have in common

    def _kept(self) -> Waits:
        if self._waits is None:
            self._waits = Waits(getattr(self._claim, "memory", None))
        return self._waits

    def _wait(
        self, kind: str, key: str, *, timeout: float | timedelta | None, name: str = ""
    ) -> Suspended:
        check_key(key)
        if kind == "signal":
            check_name("signal", name)
        return Suspended(kind, self._kept().key(kind, key), name=name, timeout=timeout)

    def _wait_until(self, wait: Suspended) -> Any:
        async def value(_: Errands) -> Any:
            kept = self._kept()
            if wait.kind == "time" and (kept.came(wait.key) or not wait.timeout_s):
                return None
            if kept.came(wait.key):
                return kept.value(wait)
            raise kept.part(wait)

        return self._do(f"wait_{wait.kind}", value)

    def _check_near(self, task_id: str) -> None:
        if shard_of(task_id) != shard_of(self._claim.id):
            raise OtherShard(
                f"Task {self._claim.id} is on shard {shard_of(self._claim.id)} and cannot wait for"
                f" {task_id}, which is on shard {shard_of(task_id)}: make it with ctx.spawn, or"
                f" enqueue it with id=coordq.new_id({shard_of(self._claim.id)}).",
                ids=[self._claim.id, task_id],
            )

    def _do(self, what: str, work: Callable[[Errands], Work]) -> Any:
        """Let an errand be done; a coroutine in an async handler."""
        errands = self._errands
        if errands is None:
            why = self._hindered or "this run is not a worker's"
            raise NotDurable(f"ctx.{what} is not available here: {why}.", what=what)
        self._kept().check()
        if self._cancelled or self._over:
            _stop()
        return work(errands) if self._asynchronous else errands.block(work(errands))


def _stop() -> NoReturn:
    from asyncio import CancelledError

    raise CancelledError


def _id_of(task: Any) -> str:
    found = task if isinstance(task, str) else getattr(task, "id", None)
    if not isinstance(found, str) or not is_id(found):
        raise InvalidInput(f"{task!r:.80} is no task: give its id, or what enqueued it.")
    return found


def _result(task_id: str, outcome: Outcome, return_errors: bool) -> Any:  # noqa: FBT001
    if outcome.state == "succeeded":
        return outcome.result
    error = failure(task_id, outcome)
    if return_errors:
        return error
    raise error
