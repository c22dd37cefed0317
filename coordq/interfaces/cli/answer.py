"""Answering tasks that wait: approve, reject, signal."""

from __future__ import annotations

import getpass
from typing import Final

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.pairs import guess
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Function, Session, common
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import printable, several

_KEY_HELP: Final = "Which of its approvals, if a task asks for several."


def _answer_options(function: Function) -> Function:
    """The options of approve and reject."""
    for option in (
        click.option("--key", default="", metavar="NAME", help=_KEY_HELP),
        click.option("--note", default="", metavar="TEXT", help="What there is to say about it."),
        click.option("--by", metavar="WHO", help="In whose name; yours unless said."),
    ):
        function = option(function)
    return function


def _who(by: str | None) -> str:
    """In whose name an answer is given."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        return ""


@click.command("approve", cls=Command)
@click.argument("task_id", metavar="ID")
@click.argument("step", metavar="[KEY]", default="")
@click.option("--value", metavar="VALUE", help="What the task gets: JSON, or text.")
@_answer_options
@common
def approve_command(
    session: Session,
    *,
    task_id: str,
    step: str,
    by: str | None,
    note: str,
    key: str,
    value: str | None,
) -> None:
    """Let a task go on that waits for an approval: by its ID, or a flow's ID and its KEY there."""
    given = None if value is None else guess(value)
    who = _who(by)
    with session.connect() as client:
        client.flows.approve(task_id, step, by=who, note=note, value=given, key=key)
    _tell(session, task_id, step, "approved", who)


@click.command("reject", cls=Command)
@click.argument("task_id", metavar="ID")
@click.argument("step", metavar="[KEY]", default="")
@_answer_options
@common
def reject_command(
    session: Session, *, task_id: str, step: str, by: str | None, note: str, key: str
) -> None:
    """Refuse a task that waits for an approval: it fails, or its handler is told so.

    By its ID, or a flow's ID and its KEY there.
    """
    who = _who(by)
    with session.connect() as client:
        client.flows.reject(task_id, step, by=who, note=note, key=key)
    _tell(session, task_id, step, "rejected", who)


def _tell(session: Session, task_id: str, step: str, what: str, who: str) -> None:
    if session.json:
        named = {"step": step} if step else {}
        show_json({"id": task_id, **named, "answer": what, "by": who or None})
    else:
        say(f"{printable(step)} of flow {task_id} is {what}" if step else f"{task_id} is {what}")


@click.command("signal", cls=Command)
@click.argument("name")
@click.argument("value", required=False)
@click.option("--keep", type=SPAN, default=0, help="Also for those who wait for it later.")
@common
def signal_command(session: Session, *, name: str, value: str | None, keep: float) -> None:
    """Wake the tasks that wait for the signal NAME; VALUE, JSON or text, is what they get."""
    given = None if value is None else guess(value)
    with session.connect() as client:
        woken = client.flows.signal(name, given, keep=keep)
    if session.json:
        show_json({"name": name, "woken": woken})
    else:
        say(f"{several(woken, 'task')} went on")
