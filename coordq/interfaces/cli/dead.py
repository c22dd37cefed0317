"""Dead letters: tasks that are not tried again by themselves."""

from __future__ import annotations

from typing import Any, Final

import click

from coordq.errors import NotFound
from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.look import find, print_tasks
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Function, Session, common
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import count

AT_ONCE_MAX: Final = 10_000


@click.group("dead", cls=Group)
@common
def dead_command(_session: Session) -> None:
    """See, revive and purge dead letters."""


def _filters(function: Function) -> Function:
    options: tuple[Any, ...] = (
        click.option("--queue", "-q", default="", metavar="NAME"),
        click.option("--name", "-n", default="", metavar="NAME", help="Tasks of this name."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@dead_command.command("ls")
@_filters
@click.option("--older-than", type=SPAN, help="Dead for longer than this.")
@click.option("--limit", type=click.IntRange(1, AT_ONCE_MAX), default=100, show_default=True)
@common
def dead_ls(
    session: Session, *, queue: str, name: str, older_than: float | None, limit: int
) -> None:
    """List dead letters, newest first."""
    with session.connect() as client:
        tasks = find(
            client, state="failed", queue=queue, name=name, older_than_s=older_than, limit=limit
        )
    print_tasks(session, tasks)


@dead_command.command("revive")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--all", is_flag=True, help="All, or all that fit the filters.")
@common
def dead_revive(
    session: Session,
    *,
    ids: tuple[str, ...],
    queue: str,
    name: str,
    all: bool,  # noqa: A002
) -> None:
    """Make dead letters ready again, with all their attempts; 10,000 at once at most."""
    _need_choice(ids, everything=all or bool(queue or name))
    with session.connect() as client:
        done = client.work.revive(*ids, queue=queue, name=name, everything=all, limit=AT_ONCE_MAX)
    _tell(session, "revived", done, ids)


@dead_command.command("purge")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--older-than", type=SPAN, default=0.0, help="Dead for longer than this.")
@click.option("--all", is_flag=True, help="All, or all that fit the filters.")
@yes_option
@common
def dead_purge(
    session: Session,
    *,
    ids: tuple[str, ...],
    queue: str,
    name: str,
    older_than: float,
    all: bool,  # noqa: A002 - variables are named after flags
    yes: bool,
) -> None:
    """Delete dead letters for good; 10,000 at once at most."""
    _need_choice(ids, everything=all or bool(queue or name or older_than))
    what = f"{len(ids)} dead letters" if ids else _described(queue, name, older_than)
    confirm(f"Delete {what} for good?", yes=yes)
    with session.connect() as client:
        done = client.work.purge_dead(
            *ids, queue=queue, name=name, older_than=older_than, everything=all, limit=AT_ONCE_MAX
        )
    _tell(session, "deleted", done, ids)


def _need_choice(ids: tuple[str, ...], *, everything: bool) -> None:
    if ids and everything:
        raise click.UsageError("Give ids, or --all and filters, not both.")
    if not ids and not everything:
        raise click.UsageError("Which ones? Give ids, filters or --all.")


def _described(queue: str, name: str, older_than: float) -> str:
    words = "all dead letters"
    words += f" named {name}" if name else ""
    words += f" of queue {queue}" if queue else ""
    return words + (f" older than {older_than:g} s" if older_than else "")


def _tell(session: Session, verb: str, done: int, ids: tuple[str, ...]) -> None:
    if session.json:
        show_json({verb: done})
    else:
        say(f"{verb} {count(done)} dead letters")
    missing = len(set(ids)) - done
    if missing > 0:
        raise NotFound(f"{missing} of the {len(set(ids))} ids given are no dead letters.")
