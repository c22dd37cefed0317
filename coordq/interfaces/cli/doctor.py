"""`coordq doctor`: is work kept in this Redis safe?"""

from __future__ import annotations

from typing import Final

import click

from coordq.interfaces.cli.failure import Trouble
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Cell, say, show_facts, show_json

_STYLES: Final = {"ok": "green", "warn": "yellow", "bad": "bold red", "info": "dim"}


@click.command("doctor", cls=Command)
@click.option("--strict", is_flag=True, help="Take warnings for problems.")
@common
def doctor_command(session: Session, *, strict: bool) -> None:
    """Check that work kept in this Redis is safe; exit 1 when it is not."""
    from coordq.interfaces.checkup import examine

    findings = list(examine(session.connect))
    grades = {finding.grade for finding in findings}
    problem = "bad" in grades or (strict and "warn" in grades)
    if session.json:
        show_json({"ok": not problem, "checks": [finding.to_json() for finding in findings]})
    else:
        show_facts(
            [
                (f"{finding.grade:<4} {finding.check}", Cell(finding.says, _STYLES[finding.grade]))
                for finding in findings
            ]
        )
        say("There are problems." if problem else "No problem found.", err=True)
    if problem:
        raise Trouble(1)
