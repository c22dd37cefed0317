"""`coordq schedule`: tasks that are enqueued again and again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.pairs import read_arguments
from coordq.interfaces.cli.params import SHOWN, SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.cli.task_options import run_options
from coordq.interfaces.cli.wishes import to_options
from coordq.interfaces.table import say, show_facts, show_json, show_table

if TYPE_CHECKING:
    from coordq.work.agenda import ScheduleView

_EXAMPLES = """\b
Examples:
  coordq schedule add sweep clean older_than=3600 --every 5m
  coordq schedule add report digest --cron "0 9 * * mon-fri" --tz Europe/Berlin
  coordq schedule add report digest --cron "30 9 * * mon-fri" --tz Europe/Berlin --replace
"""
SHOWN_RUNS = 5


@click.group("schedule", cls=Group)
@common
def schedule_command(_session: Session) -> None:
    """Enqueue tasks again and again: every so often, or by cron. A supervisor does it."""


@schedule_command.command("add", epilog=_EXAMPLES)
@click.argument("name")
@click.argument("task")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--every", type=SPAN, help="So often, counted from --start or from now.")
@click.option("--cron", metavar="LINE", help="Minute, hour, day, month, weekday; or @daily.")
@click.option("--tz", metavar="ZONE", help="In which --cron is meant: Europe/Berlin; UTC.")
@click.option("--overlap", metavar="POLICY", help="While a run lives: skip, queue, cancel-oldest.")
@click.option("--missed", metavar="POLICY", help="After a time without leader: skip, one, all.")
@click.option("--start", type=SHOWN, help="Not before this moment, in --tz.")
@click.option("--end", type=SHOWN, help="Not at or after this moment, in --tz.")
@click.option("--jitter", type=SPAN, help="Start up to so long after each slot.")
@click.option("--paused", is_flag=True, help="Wait for `coordq schedule resume`.")
@click.option("--replace", is_flag=True, help="Change the one of this name; it keeps its history.")
@click.option("--args", metavar="JSON", help="All arguments as an object; @file reads one.")
@run_options
@common
def schedule_add(
    session: Session,
    *,
    name: str,
    task: str,
    pairs: tuple[str, ...],
    args: str | None,
    paused: bool,
    replace: bool,
    **chosen: Any,
) -> None:
    """Enqueue TASK again and again, under a NAME for this schedule.

    Doing the same again changes nothing. KEY=VALUE as in `coordq enqueue`.
    """
    given = to_options(chosen)
    arguments = read_arguments(pairs, args)
    with session.connect() as client:
        view = client.schedules.add(name, task, arguments, paused=paused, replace=replace, **given)
        coming = client.schedules.next_runs(name, 1)
    if session.json:
        show_json({**view.to_json(), "change": view.change})
        return
    say(f"schedule {name} is {view.change}; {_outlook(view, coming)}")


@schedule_command.command("ls")
@common
def schedule_ls(session: Session) -> None:
    """List all schedules."""
    from coordq.interfaces.agenda import SCHEDULE_COLUMNS, schedule_rows

    with session.connect() as client:
        views = client.schedules.ls()
    if session.json:
        show_json([view.to_json() for view in views])
    else:
        show_table(SCHEDULE_COLUMNS, schedule_rows(views), empty="No schedules.")


@schedule_command.command("show")
@click.argument("name")
@common
def schedule_show(session: Session, *, name: str) -> None:
    """Show one schedule: what and when, its next slots, and how its last runs ended."""
    with session.connect() as client:
        view = client.schedules.get(name)
        coming = client.schedules.next_runs(name, SHOWN_RUNS)
    if session.json:
        show_json({**view.to_json(), "next_runs": [when.isoformat() for when in coming]})
        return
    from coordq.interfaces.agenda import RUN_COLUMNS, run_rows, schedule_facts

    show_facts(schedule_facts(view, coming))
    if view.runs:
        say("\nlast runs:")
        show_table(RUN_COLUMNS, run_rows(view))


@schedule_command.command("pause")
@click.argument("name")
@common
def schedule_pause(session: Session, *, name: str) -> None:
    """Fire nothing until it is resumed; what runs goes on."""
    with session.connect() as client:
        _tell(session, client.schedules.pause(name), "paused")


@schedule_command.command("resume")
@click.argument("name")
@common
def schedule_resume(session: Session, *, name: str) -> None:
    """Go on with the next slot; those in between are not made up for."""
    with session.connect() as client:
        view = client.schedules.resume(name)
        coming = client.schedules.next_runs(name, 1)
    _tell(session, view, f"resumed; {_outlook(view, coming)}")


@schedule_command.command("trigger")
@click.argument("name")
@common
def schedule_trigger(session: Session, *, name: str) -> None:
    """Run it now, whether or not it is paused, and print the task's id."""
    with session.connect() as client:
        handle = client.schedules.trigger(name)
    if session.json:
        show_json({"id": handle.id, "schedule": name})
    else:
        say(handle.id)


@schedule_command.command("rm")
@click.argument("name")
@common
def schedule_rm(session: Session, *, name: str) -> None:
    """Take a schedule off; the tasks it has enqueued stay."""
    with session.connect() as client:
        client.schedules.rm(name)
    if session.json:
        show_json({"name": name, "removed": True})
    else:
        say(f"schedule {name} is removed")


def _tell(session: Session, view: ScheduleView, words: str) -> None:
    if session.json:
        show_json(view.to_json())
    else:
        say(f"schedule {view.name} is {words}")


def _outlook(view: ScheduleView, coming: list[datetime]) -> str:
    if view.paused:
        return "it is paused"
    return f"next at {coming[0].isoformat(' ')}" if coming else "it is over"
