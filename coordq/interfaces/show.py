"""What tasks, queues, workers and events look like: as rows, and as named values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from coordq.clock import now_ms
from coordq.interfaces.story import STYLES, sentence
from coordq.interfaces.table import Cell, Column, Row
from coordq.interfaces.words import (
    clock_time,
    count,
    moment,
    one_line,
    several,
    size,
    span,
    to_json,
)
from coordq.work.progress import read_progress

if TYPE_CHECKING:
    from coordq.work.audit import Finding
    from coordq.work.events import Event
    from coordq.work.queue import Overview, Queue, WorkerView
    from coordq.work.spec import Spec
    from coordq.work.task import Task

TASK_COLUMNS: Final = (
    Column("ID"),
    Column("State"),
    Column("Name", spare=1),
    Column("Queue", spare=4),
    Column("Priority", spare=6),
    Column("Tried", right=True, spare=5),
    Column("Since", right=True, spare=3),
    Column("Note", elastic=True, spare=2),
)


def state_cell(state: str) -> Cell:
    """A state or kind of event in its colour."""
    return Cell(state, STYLES.get(state, ""))


def task_rows(tasks: Iterable[Task]) -> list[Row]:
    """One row a task."""
    now = now_ms()
    return [
        (
            task.id,
            state_cell(task.state.value),
            task.name,
            task.queue,
            task.priority,
            f"{task.attempt}/{task.max_attempts}",
            span(max(0, now - task.since_ms)) if task.since_ms else "-",
            _note(task),
        )
        for task in tasks
    ]


def _note(task: Task) -> str:
    if task.error:
        return error_line(task.error)
    return f"on {task.worker}" if task.worker and not task.state.ended else ""


def error_line(error: dict[str, Any]) -> str:
    """An error in a line: `timeout: TimeoutError: took too long`."""
    reason, kind = error.get("reason"), error.get("type")
    head = ": ".join(dict.fromkeys(str(word) for word in (reason, kind) if word))
    return one_line(f"{head}: {error.get('message', '')}")


def task_facts(task: Task) -> list[tuple[str, str | Cell]]:
    """Everything about a task but what takes several lines."""
    spec = task.spec
    limits = [("run", spec.timeout_ms), ("queue", spec.expires_ms), ("total", spec.total_ms)]
    facts: list[tuple[str, str | Cell]] = [
        ("id", task.id),
        ("name", task.name),
        ("queue", task.queue),
        ("state", state_cell(task.state.value)),
        ("since", f"{moment(task.since_ms)} ({span(max(0, now_ms() - task.since_ms))} ago)"),
        ("created", moment(task.created_ms)),
        ("priority", task.priority),
        ("attempt", f"{task.attempt} of {task.max_attempts}"),
        ("version", str(task.version)),
    ]
    optional = {
        "strikes": str(task.strikes) if task.strikes else "",
        "fence": str(task.fence) if task.fence else "",
        "worker": task.worker or "",
        "lease left": _span(task.lease_left_ms),
        "due in": _span(task.due_in_ms),
        "position": "" if task.position is None else f"{count(task.position)} stand before it",
        "requires": " ".join(word for word in (spec.role, *spec.capabilities) if word),
        "time limits": ", ".join(f"{what} {span(ms)}" for what, ms in limits if ms),
        "headers": to_json(spec.headers) if spec.headers else "",
        "schedule": _made_by(spec),
        "progress": progress_line(task.progress),
        "cancel": "requested" if task.cancel_requested else "",
    }
    return facts + [(name, text) for name, text in optional.items() if text]


def _made_by(spec: Spec) -> str:
    slot = f"for {moment(spec.slot_ms)}" if spec.slot_ms else "by hand"
    return f"{spec.schedule}, {slot}" if spec.schedule else ""


def _span(ms: int | None) -> str:
    return "" if ms is None else span(ms)


def progress_line(facts: dict[str, Any] | None) -> str:
    """`30 of 100 files (30 %): fetching; waits for a key; 40.0s left, it says`."""
    progress = read_progress(facts)
    if progress is None:
        return ""
    unit = f" {one_line(progress.unit)}" if progress.unit else ""
    text = f"{progress.done:g}{unit}"
    if progress.total:
        share = 100 * progress.done / progress.total
        text = f"{progress.done:g} of {progress.total:g}{unit} ({share:.0f} %)"
    if progress.message:
        text = f"{text}: {one_line(progress.message)}"
    more = [f"waits for {one_line(one)}" for one in progress.blockers]
    if progress.remaining_s is not None:
        more.append(f"{span(int(progress.remaining_s * 1000))} left, it says")
    return "; ".join((text, *more))


QUEUE_COLUMNS: Final = (
    Column("Queue"),
    Column("Ready", right=True),
    Column("Scheduled", right=True, spare=4),
    Column("Running", right=True),
    Column("Oldest", right=True, spare=1),
    Column("Succeeded", right=True, spare=3),
    Column("Failed", right=True, spare=2),
    Column("Retried", right=True, spare=7),
    Column("Lapsed", right=True, spare=8),
    Column("Size", right=True, spare=6),
    Column("Limits", spare=5, elastic=True),
)


def queue_rows(queues: Iterable[Queue]) -> list[Row]:
    """One row a queue."""
    return [
        (
            queue.name,
            count(queue.ready),
            count(queue.scheduled),
            count(queue.running),
            "-" if queue.oldest_ready_ms is None else span(queue.oldest_ready_ms),
            count(queue.succeeded),
            Cell(count(queue.failed), "red" if queue.failed else ""),
            count(queue.retried),
            count(queue.lapsed),
            size(queue.bytes),
            _limits(queue),
        )
        for queue in queues
    ]


def _limits(queue: Queue) -> Cell:
    words = []
    if queue.paused:
        words.append("paused")
    if queue.strict:
        words.append("strict")
    if queue.high:
        words.append(f"high {count(queue.high)} low {count(queue.low)}")
    if queue.max_bytes:
        words.append(f"max {size(queue.max_bytes)}")
    return Cell(", ".join(words), "yellow" if queue.paused else "")


def queue_facts(queue: Queue) -> list[tuple[str, str | Cell]]:
    """Everything about a queue."""
    oldest = "-" if queue.oldest_ready_ms is None else span(queue.oldest_ready_ms)
    numbers = ("ready", "scheduled", "running", "enqueued", "succeeded", "failed", "cancelled")
    return [
        ("queue", queue.name),
        ("paused", Cell("yes", "yellow") if queue.paused else "no"),
        ("priorities", "strict" if queue.strict else "aged"),
        ("tenants", "take turns" if queue.fair else "in order of age"),
        ("high mark", count(queue.high) if queue.high else "none"),
        ("low mark", count(queue.low) if queue.high else "none"),
        ("max bytes", size(queue.max_bytes) if queue.max_bytes else "none"),
        *((name, count(getattr(queue, name))) for name in (*numbers, "retried", "lapsed")),
        ("bytes", size(queue.bytes)),
        ("oldest ready", oldest),
    ]


WORKER_COLUMNS: Final = (
    Column("Worker"),
    Column("State"),
    Column("Health", spare=3),
    Column("Busy", right=True),
    Column("Slots", right=True, spare=2),
    Column("Overhead", right=True, spare=4),
    Column("Children", right=True, spare=8),
    Column("Beat", right=True, spare=7),
    Column("Zone", spare=6),
    Column("Queues", spare=1, elastic=True),
    Column("Agents", spare=5, elastic=True),
)


HEALTH_STYLES: Final = {"healthy": "green", "dead": "bold red", "partitioned": "bold red"}


def worker_rows(
    workers: Iterable[WorkerView], notes: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> list[Row]:
    """One row a worker. notes: health and overhead by name, as far as they are known."""
    rows: list[Row] = []
    for worker in workers:
        info = worker.info
        state = str(info.get("state", "running"))
        health, overhead = notes.get(worker.name, ("-", "-"))
        rows.append(
            (
                worker.name,
                Cell(state, "green" if state == "running" else "yellow"),
                Cell(health, HEALTH_STYLES.get(health, "yellow" if health != "-" else "")),
                count(_number(info.get("running"))),
                count(_slots(info)),
                overhead,
                count(len(_listed(info.get("children")))),
                f"{span(worker.beat_age_ms)} ago",
                one_line(str(info.get("zone") or "-")),
                _names(_listed(info.get("queues"))),
                _names([_agent(one) for one in _listed(info.get("agents"))]),
            )
        )
    return rows


def _slots(info: dict[str, Any]) -> float:
    """How many tasks it can hold at once."""
    known = _number(info.get("slots"))
    return known or _number(info.get("concurrency")) * max(1, _number(info.get("processes")))


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _agent(value: Any) -> str:
    return str(value.get("name", "?")) if isinstance(value, dict) else str(value)


def _names(names: Sequence[Any]) -> str:
    return one_line(",".join(str(name) for name in names)) or "-"


def event_words(event: Event, *, full: bool) -> tuple[str, ...]:
    """An event as words: moment, kind, subject, name, queue, sentence. full: with the date."""
    when = moment(event.ms, fine=True) if full else clock_time(event.ms)
    return (when, event.kind, event.subject, event.name, event.queue, sentence(event))


AUDIT_COLUMNS: Final = (Column("Subject"), Column("Wrong", elastic=True))


def audit_rows(findings: Iterable[Finding]) -> list[Row]:
    """One row for each thing that was wrong."""
    return [(one_line(one.subject), one_line(one.wrong)) for one in findings]


def overview_line(overview: Overview) -> str:
    """The whole namespace in a sentence."""
    ready = sum(queue.ready for queue in overview.queues)
    scheduled = sum(queue.scheduled for queue in overview.queues)
    return (
        f"{count(ready)} ready, {count(scheduled)} scheduled, {count(overview.running)} running, "
        f"{several(overview.dead, 'dead letter')}, {several(len(overview.workers), 'worker')}"
    )
