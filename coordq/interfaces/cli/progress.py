"""`coordq progress`: how flows and running tasks get on, live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from coordq.errors import FlowNotFound, TaskNotFound
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import on_terminal, say, show_json

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.work.flow.outlook import Outlook
    from coordq.work.task import Task

SHORTEST_S: Final = 0.2
FLOWS_SHOWN: Final = 10
TASKS_SHOWN: Final = 30
_EMPTY: Final = "No flow and no task is running."


@click.command("progress", cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--interval", "-i", type=SPAN, default=1.0, help="Between two looks; 1s.")
@click.option("--once", is_flag=True, help="Print it once; so it is when nobody is watching.")
@common
def progress_command(
    session: Session, *, ids: tuple[str, ...], interval: float, once: bool
) -> None:
    """Show how flows and tasks get on: those with these IDs, or all that run; q ends it."""
    with session.connect() as client:
        if session.json:
            flows, tasks = _look(client, ids)
            show_json(
                {
                    "flows": [one.to_json() for one in flows],
                    "tasks": [task.to_json() for task in tasks],
                }
            )
            return
        from coordq.interfaces.progress_view import Bar, draw, flow_bars, task_bars

        def bars() -> list[Bar]:
            flows, tasks = _look(client, ids)
            return [bar for one in flows for bar in flow_bars(one)] + task_bars(tasks)

        if on_terminal() and not once:
            from coordq.interfaces.live import watch

            watch(
                lambda: draw(bars(), empty=_EMPTY),
                every_s=max(SHORTEST_S, interval),
                screen=False,
            )
            return
        for text in [bar.text() for bar in bars()] or [_EMPTY]:
            say(text)


def _look(client: Client, ids: tuple[str, ...]) -> tuple[list[Outlook], list[Task]]:
    """The flows and tasks that are meant. Raises TaskNotFound for an id of neither."""
    if not ids:
        running = client.flows.ls(state="running", limit=FLOWS_SHOWN)
        return [client.flows.outlook(flow.id) for flow in running], list(_outside(client))
    flows, tasks = [], []
    for one in ids:
        try:
            flows.append(client.flows.outlook(one))
        except FlowNotFound:
            tasks.append(client.work.get(one))
    return flows, tasks


def _outside(client: Client) -> Iterator[Task]:
    """Running tasks that belong to no flow: the others are shown with it."""
    for task in client.work.ls(state="running", limit=TASKS_SHOWN):
        if not task.spec.flow:
            with suppress(TaskNotFound):  # it has ended meanwhile, and was not to be kept
                yield client.work.get(task.id)
