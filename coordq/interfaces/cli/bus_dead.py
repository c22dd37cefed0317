"""`coordq bus dead|revive|purge`: messages that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from coordq.errors import NotFound
from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Function, Session, common
from coordq.interfaces.table import Column, say, show_json, show_table
from coordq.interfaces.words import moment, one_line, several

if TYPE_CHECKING:
    from coordq.bus.dead import DeadMessage
    from coordq.client.client import Client

AT_ONCE_MAX: Final = 10_000
_COLUMNS = (
    Column("Id"),
    Column("Group", elastic=True),
    Column("Channel", elastic=True),
    Column("Tries", right=True, spare=2),
    Column("Died", spare=1),
    Column("Reason", elastic=True),
)


def _filters(function: Function) -> Function:
    options: tuple[Any, ...] = (
        click.option("--group", default="", metavar="NAME", help="Given up by this group."),
        click.option("--channel", default="", metavar="CHANNEL", help="Published there."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("dead", cls=Command)
@_filters
@click.option("--limit", type=click.IntRange(1, AT_ONCE_MAX), default=100, show_default=True)
@common
def bus_dead(session: Session, *, group: str, channel: str, limit: int) -> None:
    """List messages that were given up, newest first, each with the reason."""
    with session.connect() as client:
        letters = client.bus.dead(group=group, channel=channel, limit=limit)
    if session.json:
        show_json([letter.to_json() for letter in letters])
        return
    rows = [
        (
            letter.id,
            letter.group or "-",
            letter.channel,
            str(letter.deliveries),
            moment(letter.at_ms),
            one_line(letter.reason),
        )
        for letter in letters
    ]
    show_table(_COLUMNS, rows, empty="No dead letters.")


@click.command("revive", cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--all", is_flag=True, help="All, or all that fit the filters.")
@common
def bus_revive(
    session: Session,
    *,
    ids: tuple[str, ...],
    group: str,
    channel: str,
    all: bool,  # noqa: A002 - variables are named after flags
) -> None:
    """Give messages out again, each to the group that gave it up."""
    with session.connect() as client:
        chosen = _chosen(client, ids, group, channel, everything=all)
        done = client.bus.revive(*chosen) if chosen else 0
    _tell(session, "revived", done, ids)


@click.command("purge", cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--all", is_flag=True, help="All, or all that fit the filters.")
@yes_option
@common
def bus_purge(
    session: Session,
    *,
    ids: tuple[str, ...],
    group: str,
    channel: str,
    all: bool,  # noqa: A002 - variables are named after flags
    yes: bool,
) -> None:
    """Delete messages that were given up, for good."""
    what = several(len(set(ids)), "dead letter") if ids else "all dead letters that fit"
    confirm(f"Delete {what} for good?", yes=yes)
    with session.connect() as client:
        chosen = _chosen(client, ids, group, channel, everything=all)
        done = client.bus.purge_dead(*chosen) if chosen else 0
    _tell(session, "deleted", done, ids)


def _chosen(
    client: Client, ids: tuple[str, ...], group: str, channel: str, *, everything: bool
) -> list[str]:
    if ids and (everything or group or channel):
        raise click.UsageError("Give ids, or --all and filters, not both.")
    if not ids and not (everything or group or channel):
        raise click.UsageError("Which ones? Give ids, filters or --all.")
    if ids:
        return list(dict.fromkeys(ids))
    found: list[DeadMessage] = client.bus.dead(group=group, channel=channel, limit=AT_ONCE_MAX)
    return [letter.id for letter in found]


def _tell(session: Session, verb: str, done: int, ids: tuple[str, ...]) -> None:
    if session.json:
        show_json({verb: done})
    else:
        say(f"{verb} {several(done, 'dead letter')}")
    missing = len(set(ids)) - done
    if missing > 0:
        raise NotFound(f"{missing} of the {len(set(ids))} ids given are no dead letters.")
