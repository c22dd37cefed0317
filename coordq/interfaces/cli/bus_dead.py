"""`coordq bus dead|revive|purge`: messages that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Command, options
from coordq.interfaces.cli.letters import AT_ONCE_MAX, all_option, check_choice, ids_argument, tell
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Column, show_json, show_table
from coordq.interfaces.words import moment, one_line, several

if TYPE_CHECKING:
    from coordq.bus.dead import DeadMessage
    from coordq.client.client import Client

_COLUMNS = (
    Column("Id"),
    Column("Group", elastic=True),
    Column("Channel", elastic=True),
    Column("Tries", right=True, spare=2),
    Column("Died", spare=1),
    Column("Reason", elastic=True),
)


_filters = options(
    click.option("--group", default="", metavar="NAME", help="Given up by this group."),
    click.option("--channel", default="", metavar="CHANNEL", help="Published there."),
)


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
@ids_argument
@_filters
@all_option
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
    tell(session, "revived", done, ids)


@click.command("purge", cls=Command)
@ids_argument
@_filters
@all_option
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
    tell(session, "deleted", done, ids)


def _chosen(
    client: Client, ids: tuple[str, ...], group: str, channel: str, *, everything: bool
) -> list[str]:
    check_choice(ids, filtered=everything or bool(group or channel))
    if ids:
        return list(dict.fromkeys(ids))
    found: list[DeadMessage] = client.bus.dead(group=group, channel=channel, limit=AT_ONCE_MAX)
    return [letter.id for letter in found]
