"""Why is this task not running? One sentence, for every cause there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from coordq.work.allowance import Parked
from coordq.work.claim import serves
from coordq.work.flow.reserved import BUILTIN
from coordq.work.limit import ONCE
from coordq.work.look import Glance, Turn
from coordq.work.queue import WorkerView
from coordq.work.task import State, Task

_MINUTE_S: Final = 60
_SHOWN: Final = 8
TURN: Final = "It waits its turn"
"""How the sentence begins of a task that nothing holds up but those before it."""


class Stopped(Protocol):
    """Who has made the fleet read-only. A room does not know the one beside it."""

    @property
    def by_operator(self) -> bool: ...
    @property
    def who(self) -> str: ...
    @property
    def reason(self) -> str: ...


def why(glance: Glance, workers: Sequence[WorkerView], *, stopped: Stopped | None = None) -> str:
    """The sentence. `workers`: all that are alive; stopped: by whom the fleet is, if it is."""
    task = glance.task
    if task.state is State.READY and stopped is not None:
        return _stopped(stopped)
    if task.state is State.READY:
        return _ready(task, glance, workers)
    return _SENTENCES[task.state](task)


def _stopped(stopped: Stopped) -> str:
    who = "an operator" if stopped.by_operator else "its leader"
    reason = f" ({stopped.reason})" if stopped.reason else ""
    return (
        f"The fleet is read-only: {who}, {stopped.who}, has stopped all new work{reason}. End that "
        "with `coordq fleet read-only off`."
    )


def span(ms: int) -> str:
    """A length of time as people say it."""
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms} ms"
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else str(timedelta(seconds=int(seconds)))


def _message(task: Task) -> str:
    message = str((task.error or {}).get("message", "no reason was recorded"))
    return " ".join(message.split())


def _failed(task: Task) -> str:
    error = task.error or {}
    reason = error.get("reason", "error")
    what = f"{error.get('type', 'error')}: {_message(task)}"
    return (
        f"It is a dead letter ({reason}) after {task.attempt} of {task.max_attempts} attempts and "
        f"{task.strikes} strikes: {what}. Revive it with `coordq dead revive {task.id}`."
    )


def _scheduled(task: Task) -> str:
    due = task.due_in_ms
    when = "now, at the next claim" if due is None or due <= 0 else f"in {span(due)}"
    if task.attempt and task.error:
        return (
            f"Attempt {task.attempt} of {task.max_attempts} failed "
            f"({task.error.get('type')}: {_message(task)}); it is tried again {when}."
        )
    return f"It is scheduled: it becomes ready {when}."


def _running(task: Task) -> str:
    asked = " It was asked to stop." if task.cancel_requested else ""
    left = task.lease_left_ms
    if left is None:
        return (
            f"It is marked as running on {task.worker}, but no lease is held: it goes back as "
            "soon as any worker or supervisor reaps."
        )
    if left <= 0:
        return (
            f"The lease of {task.worker} lapsed {span(-left)} ago: it goes back as soon "
            "as a live worker or supervisor reaps."
        )
    return (
        f"It is running on {task.worker}, attempt {task.attempt}; lease: {span(left)} left.{asked}"
    )


def _ready(task: Task, glance: Glance, workers: Sequence[WorkerView]) -> str:
    held_up = _held_up(task, glance, workers)
    if glance.kept_ms is None:
        return held_up
    kept = f"another {span(glance.kept_ms)}" if glance.kept_ms > 0 else "a moment"
    return (
        f"{held_up} Its last run came to nothing, and it keeps the slots of its limits for {kept}; "
        "if nobody has started it by then, others get them."
    )


def _held_up(task: Task, glance: Glance, workers: Sequence[WorkerView]) -> str:
    queue = glance.queue
    if queue.paused:
        return f"Queue {task.queue!r} is paused. Resume it with `coordq queue resume {task.queue}`."
    if not workers:
        return "No worker is alive. Start one with `coordq worker`."
    hosting = [worker for worker in workers if task.queue in _queues(worker)]
    if not hosting:
        return f"No live worker serves queue {task.queue!r}: {_listed(workers, 'serve', _queues)}."
    knowing = [worker for worker in hosting if task.name in (*BUILTIN, *_names(worker))]
    if not knowing:
        return (
            f"No live worker on queue {task.queue!r} knows a task named {task.name!r}: they know "
            f"{_some(sorted({name for worker in hosting for name in _names(worker)}))}."
        )
    able = [worker for worker in knowing if task.name in BUILTIN or _able(worker, task)]
    if not able:
        return f"No live agent that knows {task.name!r} {_lacking(task)}."
    return _parked(glance.parked) if glance.parked else _in_line(task, glance, able)


def _in_line(task: Task, glance: Glance, able: Sequence[WorkerView]) -> str:
    accepting = [worker for worker in able if worker.info.get("state", "running") == "running"]
    if not accepting:
        return f"The {len(able)} workers that can do it are draining: they take nothing new."
    slots = sum(int(worker.info.get("slots", 0)) for worker in accepting)
    busy = sum(int(worker.info.get("running", 0)) for worker in accepting)
    place = (
        f"{task.position} tasks stand before it in its line"
        if task.position is not None
        else "it is far back in its line"
    )
    if task.position == 0:
        place = "it is the next in its line"
    ready = f"{glance.queue.ready} are ready in {task.queue!r}"
    load = f"{busy} of {slots} slots of the {len(accepting)} workers that can do it are busy"
    share = _share(task, glance.turn) if glance.turn else ""
    if task.spec.tenant and not glance.queue.fair:
        share = " Tenants do not take turns there: older tasks of the others start first, too."
    return f"{TURN}: {place}, {ready}, and {load}.{share}"


def _parked(parked: Parked) -> str:
    view, limit = parked.view, parked.view.limit
    if limit is None and view.paused_ms == 0:
        return f"It waited for limit {view.slot!r}, which is gone: it goes on at the next claim."
    if view.slot.startswith(f"{ONCE}:"):
        return (
            "The run before it, with the same unique key, goes on: it starts when that has ended."
        )
    allows = f", which allows {limit.words()}" if limit is not None else ""
    place = f"{parked.position} of the {view.parked} parked there come before it"
    if parked.position == 0:
        place = f"it is the next of {view.parked} there"
    return f"It is parked at limit {view.slot!r}{allows}: {place}; {_until(parked)}."


def _until(parked: Parked) -> str:
    view, limit = parked.view, parked.view.limit
    if view.paused_ms is None:
        return f"nothing starts until somebody says `coordq limit resume {view.slot}`"
    if view.paused_ms:
        return f"nothing starts for another {span(view.paused_ms)}"
    if view.wake_ms is None:
        return f"{view.running} hold all its slots, and one has to end first"
    if limit is not None and limit.budget is not None and view.spent >= limit.budget[0]:
        return f"the budget is spent, and the next period begins in {span(view.wake_ms)}"
    wait_ms = parked.starts_in_ms
    return f"it may start in about {span(wait_ms)}" if wait_ms else "it may start at the next claim"


def _share(task: Task, turn: Turn) -> str:
    others = turn.tenants - 1
    if others == 0:
        return f" Of the tenants only {task.spec.tenant!r} waits there."
    words = (
        f" Tenant {task.spec.tenant!r} has {turn.share:.0%} of the turns, with the weight "
        f"{turn.weight:g} among {turn.tenants} tenants, {turn.before} of them before it"
    )
    if task.position is None:
        return f"{words}."
    return f"{words}; about {round(turn.before + task.position / turn.share)} tasks start first."


def _lacking(task: Task) -> str:
    parts = []
    if task.spec.role:
        parts.append(f"has the role {task.spec.role!r}")
    if task.spec.capabilities:
        parts.append(f"has all of the capabilities {', '.join(task.spec.capabilities)}")
    return " and ".join(parts)


def _agents(worker: WorkerView) -> list[dict[str, object]]:
    agents = worker.info.get("agents", [])
    return agents if isinstance(agents, list) else []


def _queues(worker: WorkerView) -> list[str]:
    return [str(name) for name in worker.info.get("queues", [])]


def _names(worker: WorkerView) -> set[str]:
    return {str(name) for agent in _agents(worker) for name in _list(agent, "tasks")}


def _list(agent: dict[str, object], key: str) -> list[object]:
    value = agent.get(key, [])
    return value if isinstance(value, list) else []


def _able(worker: WorkerView, task: Task) -> bool:
    return any(
        serves(
            task.spec.route,
            {str(name) for name in _list(agent, "tasks")},
            str(agent.get("role", "")),
            {str(item) for item in _list(agent, "capabilities")},
        )
        for agent in _agents(worker)
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) or "none"
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _listed(workers: Sequence[WorkerView], verb: str, what: object) -> str:
    names = sorted({name for worker in workers for name in what(worker)})  # type: ignore[operator]
    return f"the {len(workers)} alive {verb} {_some(names)}"


_SENTENCES: Final[dict[State, Callable[[Task], str]]] = {
    State.SCHEDULED: _scheduled,
    State.RUNNING: _running,
    State.FAILED: _failed,
    State.WAITING: lambda _: "It waits for other tasks to end.",
    State.SUSPENDED: lambda _: "It is suspended until what it waits for comes; it holds no slot.",
    State.SUCCEEDED: lambda task: f"It has run: it succeeded at attempt {task.attempt}.",
    State.CANCELLED: lambda task: f"It was cancelled: {_message(task)}.",
}
