"""`coordq chaos`: break a fleet on purpose, and check that nothing was lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common

_EXAMPLES = """\b
Examples:
  coordq chaos
  coordq chaos --tasks 200000 --faults 300 --seed 7
  coordq chaos --only stop-worker,cut-worker --engine sentinel
"""

_FIELDS = {"duration": "duration_s", "lease": "lease_s", "plant": "bug"}
"""Variables are named after flags, settings after units."""


@click.command("chaos", cls=Command, epilog=_EXAMPLES)
@click.option("--tasks", type=int, default=5_000, show_default=True, help="How many.")
@click.option(
    "--flows",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of tasks in flows, 0 to 0.9; they come besides the others.",
)
@click.option(
    "--messages",
    type=float,
    default=0.2,
    show_default=True,
    help="Messages and turns of sessions for each task, 0 to 10.",
)
@click.option("--faults", type=int, default=40, show_default=True, help="How many.")
@click.option("--seed", type=int, help="The same seed plans the same faults; by default any.")
@click.option("--engine", type=click.Choice(["single", "sentinel"]), default="single")
@click.option(
    "--durability",
    type=click.Choice(["primary", "replica"]),
    default="primary",
    help="Of enqueueing; with replica a failover may lose no task.",
)
@click.option("--workers", type=int, default=3, show_default=True)
@click.option("--supervisors", type=int, default=2, show_default=True)
@click.option("--duration", type=SPAN, default=0.0, help="By default long enough.")
@click.option("--lease", type=SPAN, default=2.0, help="Of a worker's claims; 2s.")
@click.option("--only", default="", metavar="KIND,KIND", help="Kinds of faults; all by default.")
@click.option("--plant", default="", metavar="BUG", help="A bug that must be found.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="For the journals; must not exist yet."
)
@click.option("--keep", is_flag=True, help="Keep the journals also when all went well.")
@common
def chaos_command(session: Session, *, seed: int | None, only: str, **chosen: Any) -> None:
    """Break a fleet on purpose while it works, and check from the records what was lost.

    Everything runs on a Redis that this command starts; --url and --namespace are not used. Exit
    code 1 when a promise was broken, with the evidence and where the journals are.
    """
    from coordq.interfaces.chaos.run import new_seed, run_chaos
    from coordq.interfaces.chaos.settings import ChaosSettings
    from coordq.interfaces.table import say, show_json

    named = {_FIELDS.get(name, name): value for name, value in chosen.items()}
    settings = ChaosSettings(
        seed=new_seed() if seed is None else seed,
        only=tuple(name.strip() for name in only.split(",") if name.strip()),
        **named,
    )
    report = run_chaos(settings, say=lambda text: None if session.json else say(text, err=True))
    if session.json:
        show_json(report.to_json())
    else:
        say("\n".join(report.lines()))
    raise click.exceptions.Exit(1 if report.violations else 0)
