"""Looking at tasks: ls, show, result, why, logs."""

from __future__ import annotations

from threading import Event as Pause
from typing import TYPE_CHECKING, Final

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import (
    say,
    show_block,
    show_facts,
    show_json,
    show_json_line,
    show_table,
)
from coordq.interfaces.words import as_text, printable

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.work.task import Task

STATES: Final = (
    "waiting",
    "scheduled",
    "ready",
    "running",
    "suspended",
    "succeeded",
    "failed",
    "cancelled",
)
WAITING: Final = ("waiting", "suspended")
LOOK_AT_MAX: Final = 100_000
"""Tasks that --older-than looks at, at most."""
FOLLOW_S: Final = 0.3


@click.command("ls", cls=Command)
@click.option("--state", "-s", type=click.Choice(STATES))
@click.option("--queue", "-q", default="", metavar="NAME")
@click.option("--name", "-n", default="", metavar="NAME", help="Tasks of this name.")
@click.option("--older-than", type=SPAN, help="In their state for longer than this.")
@click.option("--limit", type=click.IntRange(1, LOOK_AT_MAX), default=100, show_default=True)
@click.option("--watch", "-w", is_flag=True, help="Show it again every second, until Ctrl-C.")
@common
def ls_command(
    session: Session,
    *,
    state: str | None,
    queue: str,
    name: str,
    older_than: float | None,
    limit: int,
    watch: bool,
) -> None:
    """List tasks: those that run first, dead letters and what has ended last.

    Without --state: running, suspended, ready, scheduled, waiting, dead letters, recently ended.
    """

    def look(client: Client) -> list[Task]:
        return find(
            client, state=state, queue=queue, name=name, older_than_s=older_than, limit=limit
        )

    with session.connect() as client:
        if watch and not session.json:
            from coordq.interfaces.live import watch_tasks

            watch_tasks(lambda: look(client))
            return
        print_tasks(session, look(client))


def find(
    client: Client,
    *,
    state: str | None,
    queue: str,
    name: str,
    older_than_s: float | None,
    limit: int,
) -> list[Task]:
    """Tasks that fit. Ages are by this machine's clock."""
    if older_than_s is None:
        return client.work.ls(state=state, queue=queue, name=name, limit=limit)
    from coordq.clock import now_ms

    horizon = now_ms() - older_than_s * 1000
    tasks = client.work.ls(state=state, queue=queue, name=name, limit=LOOK_AT_MAX)
    return [task for task in tasks if task.since_ms <= horizon][:limit]


def print_tasks(session: Session, tasks: list[Task]) -> None:
    """A table of tasks, or a JSON array."""
    from coordq.interfaces.show import TASK_COLUMNS, task_rows

    if session.json:
        show_json([task.to_json() for task in tasks])
    else:
        show_table(TASK_COLUMNS, task_rows(tasks), empty="No tasks.")


@click.command("show", cls=Command)
@click.argument("task_id", metavar="ID")
@common
def show_command(session: Session, *, task_id: str) -> None:
    """Show everything about one task."""
    with session.connect() as client:
        task = client.work.get(task_id)
        waits = client.work.why(task_id) if task.state in WAITING else ""
    if session.json:
        show_json(task.to_json() | ({"waits": waits} if waits else {}))
        return
    from coordq.interfaces.show import error_line, task_facts

    show_facts([*task_facts(task), *([("waits", printable(waits))] if waits else [])])
    show_block("args", as_text(task.args or {}))
    if task.state == "succeeded":
        show_block("result", as_text(task.result))
    if task.error:
        show_block("error", error_line(task.error))
        trace = task.error.get("traceback")
        if trace:
            show_block("traceback", printable(str(trace), keep="\n"))


@click.command("result", cls=Command)
@click.argument("task_id", metavar="ID")
@click.option("--timeout", type=SPAN, help="How long to wait; for ever unless said.")
@common
def result_command(session: Session, *, task_id: str, timeout: float | None) -> None:
    """Wait for a task and print its result; exit 1 when it failed or was cancelled."""
    with session.connect() as client:
        result = client.work.result(task_id, timeout=timeout)
    if session.json:
        show_json({"id": task_id, "result": result})
    else:
        say(as_text(result))


@click.command("why", cls=Command)
@click.argument("task_id", metavar="ID")
@common
def why_command(session: Session, *, task_id: str) -> None:
    """Say in one sentence why a task is not running."""
    with session.connect() as client:
        sentence = client.work.why(task_id)
    if session.json:
        show_json({"id": task_id, "why": sentence})
    else:
        say(printable(sentence))


@click.command("logs", cls=Command)
@click.argument("task_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task ends.")
@common
def logs_command(session: Session, *, task_id: str, follow: bool) -> None:
    """Print what a task has logged; the last 1,000 lines are kept for a day."""
    with session.connect() as client:
        shown = client.work.logs(task_id)
        if not shown:
            client.work.get(task_id)  # an id that never was is an error, not an empty log
        _print_lines(session, shown)
        while follow:
            # the state first: what was said before the end is then certain to be read
            ended = _has_ended(client, task_id)
            lines = client.work.logs(task_id)
            _print_lines(session, fresh(shown, lines))
            shown = lines
            if ended:
                return
            Pause().wait(FOLLOW_S)


def _has_ended(client: Client, task_id: str) -> bool:
    from coordq.errors import TaskNotFound

    try:
        return client.work.get(task_id).state.ended
    except TaskNotFound:
        return True


def fresh(before: list[str], now: list[str]) -> list[str]:
    """The lines of `now` that follow those of `before`; a capped log forgets its first lines."""
    if now[: len(before)] == before:
        return now[len(before) :]
    for lost in range(1, len(before)):
        kept = before[lost:]
        if now[: len(kept)] == kept:
            return now[len(kept) :]
    return now


def _print_lines(session: Session, lines: list[str]) -> None:
    for line in lines:
        if session.json:
            show_json_line({"line": line})
        else:
            say(printable(line, keep="\t"))
