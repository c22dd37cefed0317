"""Queues: look at them, pause, limit and purge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import SIZE
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_facts, show_json, show_table
from coordq.interfaces.words import count

if TYPE_CHECKING:
    from coordq.work.queue import Queue


@click.group("queue", cls=Group)
@common
def queue_command(_session: Session) -> None:
    """See, pause, limit and purge queues."""


@queue_command.command("ls")
@common
def queue_ls(session: Session) -> None:
    """List all queues that were ever used."""
    from coordq.interfaces.show import QUEUE_COLUMNS, queue_rows

    with session.connect() as client:
        queues = client.work.queues()
    if session.json:
        show_json([queue.to_json() for queue in queues])
    else:
        show_table(QUEUE_COLUMNS, queue_rows(queues), empty="No queue was used yet.")


@queue_command.command("show")
@click.argument("name")
@common
def queue_show(session: Session, *, name: str) -> None:
    """Show one queue: settings and counters."""
    with session.connect() as client:
        _print(session, client.work.queue(name))


@queue_command.command("pause")
@click.argument("name")
@common
def queue_pause(session: Session, *, name: str) -> None:
    """Give out nothing from a queue until it is resumed; running tasks go on."""
    with session.connect() as client:
        _tell(session, client.work.pause(name), "paused; running tasks go on")


@queue_command.command("resume")
@click.argument("name")
@common
def queue_resume(session: Session, *, name: str) -> None:
    """End a pause."""
    with session.connect() as client:
        _tell(session, client.work.resume(name), "resumed")


@queue_command.command("limit")
@click.argument("name")
@click.option("--high", type=click.IntRange(min=0), metavar="N", help="Waiting tasks; 0: no mark.")
@click.option("--low", type=click.IntRange(min=0), metavar="N", help="80 % of high unless said.")
@click.option("--max-bytes", type=SIZE, help="Arguments of waiting tasks; 0: no limit.")
@click.option("--strict/--aged", default=None, help="Whether low priorities may starve.")
@click.option("--fair/--in-order", default=None, help="Whether tenants take turns, by weight.")
@common
def queue_limit(
    session: Session,
    *,
    name: str,
    high: int | None,
    low: int | None,
    max_bytes: int | None,
    strict: bool | None,
    fair: bool | None,
) -> None:
    """Set the marks at which producers wait, and go on; and who comes first."""
    if high is low is max_bytes is strict is fair is None:
        raise click.UsageError(
            "Nothing to set: give --high, --low, --max-bytes, --strict, --aged, --fair or "
            "--in-order."
        )
    with session.connect() as client:
        client.work.limit(name, high=high, low=low, max_bytes=max_bytes, strict=strict, fair=fair)
        _print(session, client.work.queue(name))


@queue_command.command("purge")
@click.argument("name")
@yes_option
@common
def queue_purge(session: Session, *, name: str, yes: bool) -> None:
    """Cancel all ready and scheduled tasks of a queue; running ones go on."""
    with session.connect() as client:
        queue = client.work.queue(name)
        confirm(f"Cancel the {count(queue.backlog)} waiting tasks of queue {name!r}?", yes=yes)
        done = client.work.purge(name)
    if session.json:
        show_json({"queue": name, "cancelled": done})
    else:
        say(f"cancelled {count(done)} tasks of queue {name}")


def _print(session: Session, queue: Queue) -> None:
    from coordq.interfaces.show import queue_facts

    if session.json:
        show_json(queue.to_json())
    else:
        show_facts(queue_facts(queue))


def _tell(session: Session, queue: Queue, words: str) -> None:
    if session.json:
        show_json(queue.to_json())
    else:
        say(f"queue {queue.name} is {words}")
