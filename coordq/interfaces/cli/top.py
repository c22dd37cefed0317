"""`coordq top`: the fleet, queues and workers, live."""

from __future__ import annotations

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import on_terminal, say, show_json, show_table

SHORTEST_S = 0.1


@click.command("top", cls=Command)
@click.option("--interval", "-i", type=SPAN, default=1.0, help="Between two looks; 1s.")
@click.option("--once", is_flag=True, help="Print it once; so it is when nobody is watching.")
@common
def top_command(session: Session, *, interval: float, once: bool) -> None:
    """Watch who leads, queues and workers live; q or Ctrl-C ends it."""
    with session.connect() as client:
        if session.json:
            show_json({**client.work.stats().to_json(), "fleet": client.fleet.status().to_json()})
            return
        if on_terminal() and not once:
            from coordq.interfaces.live import Board, watch

            board = Board(client)
            watch(board.draw, every_s=max(SHORTEST_S, interval))
            return
        overview = client.work.stats()
        fleet = client.fleet.status()
    from coordq.interfaces.rates_view import fleet_lines, worker_notes
    from coordq.interfaces.show import (
        QUEUE_COLUMNS,
        WORKER_COLUMNS,
        overview_line,
        queue_rows,
        worker_rows,
    )

    for line in fleet_lines(fleet):
        say(line.text)
    say(overview_line(overview))
    for columns, rows in (
        (QUEUE_COLUMNS, queue_rows(overview.queues)),
        (WORKER_COLUMNS, worker_rows(overview.workers, worker_notes(fleet))),
    ):
        say("")
        show_table(columns, rows)
