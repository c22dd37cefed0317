"""`coordq events`: the last ones, and those to come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from coordq.clock import now_ms
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import on_terminal, say, show_json_line

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.work.events import Event

Filter = Callable[["Event"], bool]
Places = dict[int, tuple[int, int]]
"""Shard -> how far its stream was read."""


@click.command("events", cls=Command)
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens next, until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(0, 100_000), default=20, show_default=True)
@click.option("--since", type=SPAN, help="Only what happened within this time.")
@click.option("--kind", multiple=True, metavar="KIND", help="running, failed, ...; repeatable.")
@click.option("--queue", "-q", default="", metavar="NAME")
@click.option("--name", default="", metavar="NAME", help="Of tasks with this name.")
@click.option("--id", default="", metavar="ID", help="Of one task.")
@common
def events_command(
    session: Session,
    *,
    follow: bool,
    lines: int,
    since: float | None,
    kind: tuple[str, ...],
    queue: str,
    name: str,
    id: str,  # noqa: A002 - variables are named after flags
) -> None:
    """Print what happened last, and with -f what happens from now on."""
    _check_kinds(kind)
    oldest_ms = 0 if since is None else now_ms() - int(since * 1000)

    def wanted(event: Event) -> bool:
        return (
            event.ms >= oldest_ms
            and (not kind or event.kind in kind)
            and queue in {"", event.queue}
            and name in {"", event.name}
            and id in {"", event.subject}
        )

    printer = _printer(session)
    with session.connect() as client:
        places: Places = {}
        for event in _last(client, lines, wanted, places):
            printer(event)
        if follow:
            for event in _following(client, places):
                if wanted(event):
                    printer(event)


def _check_kinds(kinds: tuple[str, ...]) -> None:
    from coordq.work.events import EVENTS

    for kind in kinds:
        if kind not in EVENTS:
            raise click.UsageError(f"There is no kind {kind!r}; there are: {', '.join(EVENTS)}.")


def _last(client: Client, lines: int, wanted: Filter, places: Places) -> list[Event]:
    """The last `lines` events that fit, in order of time; notes how far each shard was read."""
    kept: dict[int, deque[Event]] = {}
    for event in client.work.events():
        places[event.shard] = place(event)
        if wanted(event):
            kept.setdefault(event.shard, deque(maxlen=lines)).append(event)
    merged = sorted((event for part in kept.values() for event in part), key=lambda one: one.ms)
    return merged[-lines:] if lines else []


def _following(client: Client, places: Places) -> Iterator[Event]:
    """Events behind `places`, for ever. The client starts every shard at the same place."""
    first = min(places.values(), default=(0, 0)) if len(places) == client.engine.shards else (0, 0)
    for event in client.work.events(after=f"{first[0]}-{first[1]}", follow=True):
        if place(event) > places.get(event.shard, (0, 0)):
            yield event


def place(event: Event) -> tuple[int, int]:
    """Where an event stands in its shard's stream, as something to compare."""
    ms, _, number = event.at.partition("-")
    return int(ms), int(number or 0)


def _printer(session: Session) -> Callable[[Event], None]:
    if session.json:
        return lambda event: show_json_line(event.to_json())
    from coordq.interfaces.show import event_words, state_cell

    if not on_terminal():
        return lambda event: say("\t".join(event_words(event, full=True)))
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)

    def show(event: Event) -> None:
        when, kind, subject, name, queue, words = event_words(event, full=False)
        about = f"{name} ({queue}): " if name != "-" else ""
        console.print(
            Text(f"{when} ", style="dim")
            + Text(f"{kind:<10} ", style=state_cell(kind).style)
            + Text(f"{subject:<22}  ")
            + Text(about, style="dim")
            + Text(words)
        )

    return show
