"""Tenants: look at them, and set how large each one's share is."""

from __future__ import annotations

import click

from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Column, say, show_json, show_table
from coordq.interfaces.words import count

_COLUMNS = (
    Column("Tenant", elastic=True),
    Column("Weight", right=True),
    Column("Served", right=True),
    Column("Backlog", right=True),
    Column("At queues", elastic=True),
)


@click.group("tenant", cls=Group)
@common
def tenant_command(_session: Session) -> None:
    """See tenants, and set their shares."""


@tenant_command.command("ls")
@common
def tenant_ls(session: Session) -> None:
    """List all tenants that ever came."""
    with session.connect() as client:
        found = client.tenants.ls()
    if session.json:
        show_json([tenant.to_json() for tenant in found])
        return
    rows = [
        (
            tenant.name,
            f"{tenant.weight:g}",
            count(tenant.served),
            count(tenant.backlog),
            ", ".join(f"{queue} {weight:g}" for queue, weight in tenant.queues.items()),
        )
        for tenant in found
    ]
    show_table(_COLUMNS, rows, empty="No tenant has come yet: tasks name theirs with --tenant.")


@tenant_command.command("weight")
@click.argument("name")
@click.argument("weight", type=float)
@click.option("--queue", "-q", default="", metavar="NAME", help="Where it counts; by default all.")
@common
def tenant_weight(session: Session, *, name: str, weight: float, queue: str) -> None:
    """Set a tenant's share, relative to the others: 0.001 to 1000, 1 unless set."""
    with session.connect() as client:
        tenant = client.tenants.set_weight(name, weight, queue=queue)
    if session.json:
        show_json(tenant.to_json())
    else:
        at = f" at queue {queue}" if queue else ""
        say(f"tenant {tenant.name} has the weight {weight:g}{at}")


@tenant_command.command("rm")
@click.argument("name")
@click.option("--queue", "-q", default="", metavar="NAME", help="Only its weight there.")
@common
def tenant_rm(session: Session, *, name: str, queue: str) -> None:
    """Forget a tenant's weights and count; its tasks stay."""
    with session.connect() as client:
        client.tenants.rm(name, queue=queue)
    if session.json:
        show_json({"tenant": name, "forgotten": True} | ({"queue": queue} if queue else {}))
    else:
        say(f"tenant {name} is forgotten" + (f" at queue {queue}" if queue else ""))
