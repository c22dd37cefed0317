"""`coordq bus ls|topics|show|groups|bound`: what lies in channels, and who reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from coordq.clock import now_ms
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SIZE
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Cell, Column, say, show_facts, show_json, show_table
from coordq.interfaces.words import count, size, span

if TYPE_CHECKING:
    from coordq.bus.look import ChannelView, GroupView

_CHANNELS = (
    Column("Channel", elastic=True),
    Column("Waiting", right=True),
    Column("Bytes", right=True, spare=1),
    Column("Full", right=True, spare=2),
    Column("Published", right=True),
    Column("Done", right=True),
    Column("Groups", right=True),
    Column("Last", right=True, spare=3),
)
_GROUPS = (
    Column("Group", elastic=True),
    Column("Asks for", elastic=True),
    Column("Held", right=True),
    Column("Taken", right=True),
    Column("Again", right=True, spare=2),
    Column("Handled", right=True),
    Column("Dead", right=True),
    Column("Readers", right=True),
    Column("Heard", right=True, spare=1),
)
_BOUNDS = (
    Column("Channel", elastic=True),
    Column("Messages", right=True),
    Column("Bytes", right=True),
)
FULL: Final = 0.8
BYTES: Final = 32 * 1024 * 1024


@click.command("ls", cls=Command)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@common
def bus_channels(session: Session, *, limit: int) -> None:
    """List channels in use: topics, mailboxes, sessions; those used last first."""
    _list(session, limit, topics=False)


@click.command("topics", cls=Command)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@common
def bus_topics(session: Session, *, limit: int) -> None:
    """List topics in use, those published to last first."""
    _list(session, limit, topics=True)


def _list(session: Session, limit: int, *, topics: bool) -> None:
    with session.connect() as client:
        views = client.bus.channels(limit=limit)
    if topics:
        views = [view for view in views if view.name[0] not in "@*~!"]
    if session.json:
        show_json([view.to_json() for view in views])
    else:
        show_table(_CHANNELS, map(_row, views), empty="Nothing was published lately.")


def _row(view: ChannelView) -> tuple[str | Cell, ...]:
    share = f"{view.full:.0%}"
    return (
        view.name,
        count(view.entries),
        size(view.bytes),
        Cell(share, "yellow") if view.full >= FULL else share,
        count(view.published),
        count(view.done),
        count(len(view.groups)),
        _ago(view.used_ms),
    )


def _ago(ms: int) -> str:
    return f"{span(max(0, now_ms() - ms))} ago" if ms else "never"


@click.command("show", cls=Command)
@click.argument("channel")
@common
def bus_show(session: Session, *, channel: str) -> None:
    """Show one channel: what waits in it, its bounds, and who reads it."""
    with session.connect() as client:
        view = client.bus.channel(channel)
    if session.json:
        show_json(view.to_json())
        return
    facts = [
        ("channel", view.name),
        ("waiting", f"{view.critical} critical, {view.normal} normal, {view.low} low"),
        ("bound", f"{count(view.entries)} of {count(view.max_entries)} messages"),
        ("bytes", f"{size(view.bytes)} of {size(view.max_bytes)}"),
        ("published", f"{count(view.published)}, {count(view.done)} done with"),
        ("read by", ", ".join(view.groups) or "nobody"),
        ("last used", _ago(view.used_ms)),
    ]
    if view.leaving:
        facts.append(("leaving", ", ".join(view.leaving)))
    show_facts(facts)


@click.command("groups", cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@common
def bus_groups(session: Session, *, names: tuple[str, ...]) -> None:
    """List groups of readers: what they ask for, hold and have handled."""
    with session.connect() as client:
        views = [client.bus.group(name) for name in names] if names else client.bus.groups()
    if session.json:
        show_json([view.to_json() for view in views])
    else:
        show_table(_GROUPS, map(_group_row, views), empty="Nobody reads from the bus.")


def _group_row(view: GroupView) -> tuple[str | Cell, ...]:
    figures = view.figures
    return (
        view.name,
        " ".join(view.group.patterns) or "its mailbox",
        count(view.held),
        count(figures["taken"]),
        count(figures["again"]),
        count(figures["handled"]),
        Cell(count(figures["dead"]), "red") if figures["dead"] else "0",
        count(len(view.readers)),
        _ago(max(view.readers.values(), default=0)),
    )


@click.command("bound", cls=Command)
@click.argument("channel", required=False)
@click.option("--entries", type=click.IntRange(min=0), help="0: as by default.")
@click.option("--bytes", type=SIZE, default=BYTES, show_default="32M")
@common
def bus_bound(
    session: Session,
    *,
    channel: str | None,
    entries: int | None,
    bytes: int,  # noqa: A002 - variables are named after flags
) -> None:
    """Say how much may wait in a channel, or in each that a pattern fits; '**' for any.

    Low messages find no room at 80 % of it, normal ones at all of it, critical ones at 110 %.
    Without arguments: list what was said.
    """
    if channel is not None and entries is not None:
        _set_bound(session, channel, entries, bytes)
    elif channel is None and entries is None:
        _list_bounds(session)
    else:
        missing = "a CHANNEL" if channel is None else "--entries"
        raise click.UsageError(f"Say {missing} as well; `coordq bus bound` alone lists all bounds.")


def _set_bound(session: Session, channel: str, entries: int, max_bytes: int) -> None:
    with session.connect() as client:
        client.bus.bound(channel, entries=entries, max_bytes=max_bytes)
    if session.json:
        show_json({"channel": channel, "entries": entries, "bytes": max_bytes})
    elif entries:
        say(f"{channel} holds up to {count(entries)} messages and {size(max_bytes)}")
    else:
        say(f"{channel} is bounded as by default")


def _list_bounds(session: Session) -> None:
    with session.connect() as client:
        bounds = client.bus.bounds()
    if session.json:
        show_json([each.to_json() for each in bounds])
    else:
        rows = [(each.channel, count(each.entries), size(each.max_bytes)) for each in bounds]
        show_table(_BOUNDS, rows, empty="All channels are bounded as by default.")
