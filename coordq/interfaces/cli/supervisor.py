"""`coordq supervisor`: watch the fleet."""

from __future__ import annotations

from typing import Any, Final

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN, TETHER
from coordq.interfaces.cli.session import Session, common

_EXAMPLES: Final = """\b
Examples:
  coordq supervisor --zone rack-7
  coordq supervisor --dead-retention 30d --health-port 8071
"""

_FIELDS: Final = {
    "leader_lease": "lease_s",
    "audit_every": "audit_every_s",
    "dead_retention": "dead_retention_s",
    "event_retention": "event_retention_s",
    "stuck_after": "stuck_after_s",
}
"""Variables are named after flags, settings after units."""


@click.command("supervisor", cls=Command, epilog=_EXAMPLES)
@click.option("--name", default="", help="Shown in lists; by default the host's.")
@click.option("--zone", default="", help="What fails together: a host, rack or site.")
@click.option(
    "--leader-lease", type=SPAN, default=3.0, help="Unconfirmed for so long, it leads no more; 3s."
)
@click.option(
    "--on-minority",
    type=click.Choice(["auto", "read-only", "continue"]),
    default="auto",
    show_default=True,
    help="When most of the fleet cannot be reached.",
)
@click.option("--audit-every", type=SPAN, default=60.0, help="Go through the books; 1m.")
@click.option("--dead-retention", type=SPAN, default=0.0, help="Delete older dead letters; never.")
@click.option("--event-retention", type=SPAN, default=0.0, help="Delete older events; never.")
@click.option("--stuck-after", type=SPAN, default=300.0, help="Tell why a flow stands still; 5m.")
@click.option("--health-port", type=click.IntRange(0, 65535), help="For /healthz; 0: any.")
@click.option("--health-host", default="127.0.0.1", show_default=True)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"
)
@click.option("--tether", type=TETHER, default=(), hidden=True, allow_from_autoenv=False)
@common
def supervisor_command(session: Session, **settings: Any) -> None:
    """Watch the fleet until told to stop; of several supervisors one leads.

    The leader takes back lapsed claims at once, makes due tasks ready, fires schedules, tells a
    crash from a partition, repairs and tidies. Workers lose nothing while there is none.
    """
    from coordq.runtime.supervisor.settings import SupervisorSettings
    from coordq.runtime.supervisor.start import run_supervisor

    named = {_FIELDS.get(name, name): value for name, value in settings.items()}
    chosen = SupervisorSettings(url=session.url, namespace=session.namespace, **named)
    raise click.exceptions.Exit(run_supervisor(chosen))
