"""Changing tasks: cancel and retry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from coordq.errors import CoordqError
from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.failure import Trouble, report
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import printable

if TYPE_CHECKING:
    from coordq.client.client import Client

Answer = tuple[str, dict[str, Any]]
"""What to tell a person, and what to tell a program."""


@click.command("cancel", cls=Command)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", default="cancelled by request", metavar="TEXT")
@yes_option
@common
def cancel_command(session: Session, *, ids: tuple[str, ...], reason: str, yes: bool) -> None:
    """Cancel tasks that wait, and ask the workers of running ones to stop them."""
    if len(set(ids)) > 1:
        confirm(f"Cancel {len(set(ids))} tasks?", yes=yes)

    def cancel(client: Client, task_id: str) -> Answer:
        done = client.work.cancel(task_id, reason=reason)
        if done.requested:
            words = f"running: its worker {done.worker} was told"
        elif done.state == "cancelled":
            words = "cancelled"
        else:
            words = f"has already {done.state}, nothing was changed"
        return words, {"state": done.state.value, "worker": done.worker}

    _each(session, ids, cancel)


@click.command("retry", cls=Command)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@common
def retry_command(session: Session, *, ids: tuple[str, ...]) -> None:
    """Make failed, cancelled or scheduled tasks ready now, with all their attempts."""

    def retry(client: Client, task_id: str) -> Answer:
        task = client.work.retry(task_id)
        return task.state.value, {"state": task.state.value, "worker": None}

    _each(session, ids, retry)


def _each(session: Session, ids: Sequence[str], do: Callable[[Client, str], Answer]) -> None:
    """Do it to each id; one that cannot be found does not keep the others from it."""
    worst = 0
    answers: list[dict[str, Any]] = []
    with session.connect() as client:
        for task_id in dict.fromkeys(ids):
            try:
                words, facts = do(client, task_id)
            except CoordqError as error:
                if error.exit_code not in {3, 5}:
                    raise
                worst = max(worst, report(error, as_json=session.json))
                answers.append({"id": task_id, "error": error.code})
            else:
                answers.append({"id": task_id, **facts})
                if not session.json:
                    say(f"{task_id}\t{printable(words)}")
    if session.json:
        show_json(answers)
    if worst:
        raise Trouble(worst)
