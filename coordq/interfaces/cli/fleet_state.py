"""`coordq fleet status` `agents` `ping`, and what an operator says: forget, expect, read-only."""

from __future__ import annotations

import getpass

import click

from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_facts, show_json, show_table
from coordq.interfaces.words import count


@click.command("status", cls=Command)
@common
def status_command(session: Session) -> None:
    """Show who leads, who can be reached, and whether the fleet may work."""
    with session.connect() as client:
        status = client.fleet.status()
    if session.json:
        show_json(status.to_json())
        return
    from coordq.interfaces.fleet_view import FLEET_COLUMNS, fleet_facts, fleet_rows

    show_facts(fleet_facts(status))
    say("")
    show_table(FLEET_COLUMNS, fleet_rows(status), empty="No worker is in the fleet.")


@click.command("agents", cls=Command)
@common
def agents_command(session: Session) -> None:
    """Show what each agent has done on the workers that are here, since they were started.

    A run that is tried again counts as failed. The last minute is known while a supervisor leads.
    """
    with session.connect() as client:
        agents = client.fleet.agents()
    if session.json:
        show_json([agent.to_json() for agent in agents])
        return
    from coordq.interfaces.agents_view import AGENT_COLUMNS, agent_rows

    show_table(AGENT_COLUMNS, agent_rows(agents), empty="No worker is in the fleet.")


@click.command("ping", cls=Command)
@click.option("--timeout", type=SPAN, default=2.0, show_default="2s", help="Wait no longer.")
@common
def ping_command(session: Session, *, timeout: float) -> None:
    """Ask every agent whether it is there: from here to each child that has it and back.

    Exit code 1 when somebody who should have answered was silent.
    """
    with session.connect() as client:
        pings = client.fleet.ping(timeout)
    if session.json:
        show_json([ping.to_json() for ping in pings])
    else:
        from coordq.interfaces.registry_view import PING_COLUMNS, ping_rows

        show_table(PING_COLUMNS, ping_rows(pings), empty="No agent is known: start a worker.")
    if any(ping.silent for ping in pings):
        raise click.exceptions.Exit(1)


@click.command("forget", cls=Command)
@click.argument("name")
@yes_option
@common
def forget_command(session: Session, *, name: str, yes: bool) -> None:
    """Strike off a worker that will not come back, and give back what it held.

    Refused for a worker that beats: those are ended with `coordq workers stop`.
    """
    confirm(
        f"Forget worker {name!r}? Should it still run somewhere, its tasks may run twice.", yes=yes
    )
    with session.connect() as client:
        given_back = client.fleet.forget(name, who=_who())
    if session.json:
        show_json({"worker": name, "forgotten": True, "given_back": given_back})
    else:
        claims = "1 claim goes" if given_back == 1 else f"{count(given_back)} claims go"
        say(f"worker {name} is forgotten: {claims} back")


@click.command("expect", cls=Command)
@click.argument("amount", metavar="N|auto")
@common
def expect_command(session: Session, *, amount: str) -> None:
    """Say how many workers the fleet has, or auto to count them.

    With less than a majority of N the fleet knows itself for the smaller side of a partition.
    """
    if amount != "auto" and not (amount.isascii() and amount.isdecimal()):
        raise click.UsageError(f"{amount!r}: give a whole number of workers, or auto.")
    expected = None if amount == "auto" else int(amount)
    with session.connect() as client:
        client.fleet.expect(expected)
    if session.json:
        show_json({"expected": expected})
    else:
        workers = "1 worker" if expected == 1 else f"{count(expected or 0)} workers"
        say(
            "the fleet is counted" if expected is None else f"the fleet is expected to be {workers}"
        )


@click.command("read-only", cls=Command)
@click.argument("state", type=click.Choice(["on", "off"]))
@click.option("--reason", default="", metavar="TEXT", help="Told to whoever is refused.")
@common
def read_only_command(session: Session, *, state: str, reason: str) -> None:
    """Stop all new work, or let it go on.

    While it is on nothing is enqueued, claimed or fired; what runs is finished, and every look
    works. On lasts until it is off. Off also keeps the leader from stopping the fleet by itself,
    until the fleet has been whole once.
    """
    with session.connect() as client:
        changed = client.fleet.read_only(state == "on", reason, who=_who())
    if session.json:
        show_json({"read_only": state == "on", "changed": changed})
        return
    told = "nothing new is taken or started" if state == "on" else "work goes on"
    say(told if changed else f"{told}, as before")


def _who() -> str:
    """Who is at the keyboard, for events."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "operator"
