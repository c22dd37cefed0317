"""`coordq fleet up` and what is said to it: groups of workers on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Function, Session, common
from coordq.interfaces.table import say, show_json, show_table

if TYPE_CHECKING:
    from coordq.fleet.file import FleetFile
    from coordq.runtime.logs import Format
    from coordq.runtime.spawner.recipe import Origin

FILE: Final = "fleet.toml"
_EXAMPLES: Final = """\b
A fleet file:
  [groups.mail]
  targets = ["./workers"]
  queues = ["urgent:3", "mail"]
  min = 1
  max = 8
"""


def addressed(function: Function) -> Function:
    """The options of a command that is told to a running fleet."""
    for option in (
        click.option("--timeout", type=SPAN, help="Wait no longer; the fleet goes on."),
        click.option("--name", default="", help="The fleet, when several run."),
    ):
        function = option(function)
    return function


@click.command("up", cls=Command, epilog=_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path), default=FILE)
@click.option("--name", default="", help="Of the fleet; by default the file's, or the machine's.")
@click.option("--check", is_flag=True, help="Only say whether the file is right.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"
)
@common
def up_command(session: Session, *, file: Path, check: bool, **chosen: Any) -> None:
    """Run the groups of workers that FILE (fleet.toml) describes until told to end.

    Workers that crash are started again; TERM lets all finish what they have begun.
    """
    from coordq import settings
    from coordq.fleet.file import read_file
    from coordq.runtime.spawner.start import check_targets, run_fleet

    fleet = read_file(file, settings.environment())
    origin = _origin(session, fleet, file, **chosen)
    check_targets(fleet, origin)
    if check:
        _show(session, fleet, origin)
        return
    raise click.exceptions.Exit(run_fleet(fleet, origin))


def _origin(
    session: Session,
    fleet: FleetFile,
    file: Path,
    *,
    name: str,
    log_format: Format,
    log_level: str,
) -> Origin:
    """What the command line says is stronger than what the file says."""
    from coordq.fleet.written import check_short_name
    from coordq.runtime.spawner.recipe import Origin
    from coordq.runtime.spawner.start import host_name

    return Origin(
        fleet=check_short_name("fleet", name) if name else fleet.name or host_name(),
        folder=file.resolve().parent,
        url=session.url or fleet.url,
        namespace=session.namespace or fleet.namespace,
        log_format=log_format,
        log_level=log_level,
    )


def _show(session: Session, fleet: FleetFile, origin: Origin) -> None:
    """What a file that is right would run."""
    from coordq.runtime.spawner.recipe import recipes

    found = recipes(fleet, origin)
    if session.json:
        groups = [
            {
                "name": one.group,
                "min": one.rule.least if one.rule else one.size,
                "max": one.rule.most if one.rule else one.size,
                "processes": one.processes,
                "queues": list(one.queues),
            }
            for one in found
        ]
        show_json({"name": origin.fleet, "groups": groups})
        return
    from coordq.interfaces.table import Column

    columns = (Column("GROUP"), Column("WORKERS", right=True), Column("QUEUES", elastic=True))
    rows = [
        (
            one.group,
            f"{one.rule.least} to {one.rule.most}" if one.rule else str(one.size),
            ", ".join(one.queues) or "-",
        )
        for one in found
    ]
    show_table(columns, rows)


@click.command("scale", cls=Command)
@click.argument("sizes", nargs=-1, required=True, metavar="GROUP=N...")
@addressed
@common
def scale_command(session: Session, *, sizes: tuple[str, ...], **to: Any) -> None:
    """Have so many workers in a group from now on; those too many finish what they run."""
    wanted: dict[str, int] = {}
    for pair in sizes:
        group, equals, number = pair.partition("=")
        if not (group and equals and number.isascii() and number.isdecimal()):
            raise click.UsageError(f"{pair!r} is not of the form group=number, such as mail=4.")
        if group in wanted:
            raise click.UsageError(f"The size of {group!r} is given twice.")
        wanted[group] = int(number[:9])
    _order(session, {"do": "scale", "sizes": wanted}, **to)


@click.command("restart", cls=Command)
@click.argument("group", default="")
@click.option("--rolling", is_flag=True, help="One after another; each serves before one goes.")
@addressed
@common
def restart_command(session: Session, *, group: str, rolling: bool, **to: Any) -> None:
    """Renew the workers of GROUP, or of all groups; no task is lost or run twice."""
    _order(session, {"do": "restart", "group": group, "rolling": rolling}, **to)


@click.command("drain", cls=Command)
@click.argument("group", default="")
@addressed
@common
def drain_command(session: Session, *, group: str, **to: Any) -> None:
    """Let the workers of GROUP, or of all groups, finish what they run and stay away."""
    _order(session, {"do": "drain", "group": group}, **to)


@click.command("down", cls=Command)
@addressed
@common
def down_command(session: Session, **to: Any) -> None:
    """End a fleet, as TERM would: its workers finish what they have begun."""
    _order(session, {"do": "down"}, **to)


def _order(session: Session, order: dict[str, Any], *, name: str, timeout: float | None) -> None:
    from coordq.interfaces.ordering import give

    def tell(text: str) -> None:
        if not session.json:
            say(text, err=True)

    with session.connect() as client:
        fleet, text = give(client.engine, order, fleet=name, timeout_s=timeout, tell=tell)
    if session.json:
        show_json({"fleet": fleet, "order": order["do"], "said": text})
    else:
        say(f"fleet {fleet}: {text}")
