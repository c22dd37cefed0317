"""Dead letters: tasks that are not tried again by themselves."""

from __future__ import annotations

import click

from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Group, options
from coordq.interfaces.cli.letters import AT_ONCE_MAX, all_option, check_choice, ids_argument, tell
from coordq.interfaces.cli.look import find, print_tasks
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.words import several


@click.group("dead", cls=Group)
@common
def dead_command(_session: Session) -> None:
    """See, revive and purge dead letters."""


_filters = options(
    click.option("--queue", "-q", default="", metavar="NAME"),
    click.option("--name", "-n", default="", metavar="NAME", help="Tasks of this name."),
)


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
@ids_argument
@_filters
@all_option
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
    check_choice(ids, filtered=all or bool(queue or name))
    with session.connect() as client:
        done = client.work.revive(*ids, queue=queue, name=name, everything=all, limit=AT_ONCE_MAX)
    tell(session, "revived", done, ids)


@dead_command.command("purge")
@ids_argument
@_filters
@click.option("--older-than", type=SPAN, default=0.0, help="Dead for longer than this.")
@all_option
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
    check_choice(ids, filtered=all or bool(queue or name or older_than))
    what = several(len(set(ids)), "dead letter") if ids else _described(queue, name, older_than)
    confirm(f"Delete {what} for good?", yes=yes)
    with session.connect() as client:
        done = client.work.purge_dead(
            *ids, queue=queue, name=name, older_than=older_than, everything=all, limit=AT_ONCE_MAX
        )
    tell(session, "deleted", done, ids)


def _described(queue: str, name: str, older_than: float) -> str:
    words = "all dead letters"
    words += f" named {name}" if name else ""
    words += f" of queue {queue}" if queue else ""
    return words + (f" older than {older_than:g} s" if older_than else "")
