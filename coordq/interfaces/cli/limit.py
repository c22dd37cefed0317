"""`coordq limit`: how often tasks may start, how many may run at once, what they may spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Column, say, show_facts, show_json, show_table
from coordq.interfaces.words import count, span
from coordq.work.amount import shown

if TYPE_CHECKING:
    from coordq.work.allowance import LimitView

_EXAMPLES = """\b
Examples:
  coordq limit set openai --rate 100/min            # each openai:<key> has its own
  coordq limit set openai:gpt-4 --rate 20/min --concurrency 4
  coordq limit set queue:reports --concurrency 2
  coordq limit set task:rebuild --concurrency 1 --on-conflict cancel-oldest
  coordq limit set tenant --budget 50000/day        # each tenant
"""
_COLUMNS = (
    Column("Limit"),
    Column("Allows", elastic=True),
    Column("Running", right=True, spare=1),
    Column("Parked", right=True),
    Column("Next", spare=2),
)


@click.group("limit", cls=Group)
@common
def limit_command(_session: Session) -> None:
    """Limit how often tasks start, how many run at once, and what they spend."""


@limit_command.command("set", epilog=_EXAMPLES)
@click.argument("name")
@click.option("--rate", metavar="N/TIME", help="How many may start: 5/s, 100/min, 30/10s.")
@click.option("--burst", type=int, metavar="N", help="How many of them at once, after a rest.")
@click.option(
    "--window",
    type=click.Choice(["bucket", "sliding"]),
    help="bucket: evenly. sliding: never more in any such period.",
)
@click.option("--concurrency", type=int, metavar="N", help="How many may run at once.")
@click.option(
    "--on-conflict",
    type=click.Choice(["queue", "cancel-oldest", "cancel-newest", "skip"]),
    help="When so many run: wait, or who is cancelled.",
)
@click.option("--budget", metavar="N/TIME", help="Units in a period: 50000/day.")
@common
def limit_set(session: Session, *, name: str, **given: Any) -> None:
    """Set a limit, or change it.

    NAME is one that tasks name with --limit, or queue:QUEUE, task:NAME or tenant:TENANT, against
    which tasks count by themselves. Without what follows the colon it holds for each key apart.
    """
    said = {key: value for key, value in given.items() if value is not None}
    with session.connect() as client:
        view = client.limits.set(name, **said)
    if session.json:
        show_json(view.to_json())
    else:
        say(f"limit {name} allows {_allows(view)}")


@limit_command.command("ls")
@common
def limit_ls(session: Session) -> None:
    """List the limits that are set or paused, or have tasks parked."""
    with session.connect() as client:
        views = client.limits.ls()
    if session.json:
        show_json([view.to_json() for view in views])
        return
    rows = [
        (view.slot, _allows(view), count(view.running), count(view.parked), _next(view))
        for view in views
    ]
    show_table(_COLUMNS, rows, empty="No limits.")


@limit_command.command("show")
@click.argument("name")
@common
def limit_show(session: Session, *, name: str) -> None:
    """Show one limit, or one key of it: what it allows, and how it stands."""
    with session.connect() as client:
        view = client.limits.get(name)
    if session.json:
        show_json(view.to_json())
        return
    facts = [
        ("limit", view.slot),
        ("allows", _allows(view)),
        ("running", count(view.running)),
        ("parked", count(view.parked)),
        ("next", _next(view)),
    ]
    if view.limit is not None and view.limit.budget is not None:
        facts.append(("spent", f"{shown(view.spent)} of {shown(view.limit.budget[0])} units"))
    show_facts(facts)


@limit_command.command("rm")
@click.argument("name")
@common
def limit_rm(session: Session, *, name: str) -> None:
    """Take a limit away; tasks that wait for it go on."""
    with session.connect() as client:
        client.limits.rm(name)
    _tell(session, name, "removed")


@limit_command.command("pause")
@click.argument("name")
@click.option("--during", type=SPAN, help="So long; until it is resumed unless said.")
@common
def limit_pause(session: Session, *, name: str, during: float | None) -> None:
    """Start nothing that counts against it; what runs goes on."""
    with session.connect() as client:
        client.limits.pause(name, during)
    _tell(session, name, "paused")


@limit_command.command("resume")
@click.argument("name")
@common
def limit_resume(session: Session, *, name: str) -> None:
    """End a pause."""
    with session.connect() as client:
        client.limits.resume(name)
    _tell(session, name, "resumed")


def _tell(session: Session, name: str, what: str) -> None:
    if session.json:
        show_json({"name": name, what: True})
    else:
        say(f"limit {name} is {what}")


def _allows(view: LimitView) -> str:
    if view.limit is None:
        return "anything"
    each = "" if view.own else f", as every {view.limit.name}"
    return view.limit.words() + each


def _next(view: LimitView) -> str:
    if view.paused_ms is None:
        return "paused"
    if view.paused_ms:
        return f"paused for {span(view.paused_ms)}"
    if view.wake_ms is None:
        return "when one ends"
    return f"in {span(view.wake_ms)}" if view.wake_ms else "now"
