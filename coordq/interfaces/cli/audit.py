"""`coordq audit`: do the books agree with the tasks?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coordq.interfaces.cli.failure import Trouble
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_json, show_table
from coordq.interfaces.words import several

if TYPE_CHECKING:
    from coordq.client.audit import Report
    from coordq.client.client import Client


@click.command("audit", cls=Command)
@click.option("--repair", is_flag=True, help="Put right what is wrong, and tell it as events.")
@common
def audit_command(session: Session, *, repair: bool) -> None:
    """Compare every task with lines, leases and counters; exit 1 when something is wrong.

    Safe while work goes on: what only looks wrong because it moved is looked at again. The leading
    supervisor does the same all the time, slowly; this does it at once.
    """
    with session.connect() as client:
        reports = _audited(client, look=not repair)
    findings = [one for report in reports for one in report.findings]
    unsettled = sorted({name for report in reports for name in report.unsettled})
    tasks = sum(report.tasks for report in reports)
    if session.json:
        show_json(
            {
                "tasks": tasks,
                "findings": [one.to_json() for one in findings],
                "repaired": repair,
                "unsettled": unsettled,
            }
        )
    else:
        _show(reports, repaired=repair)
        for name in unsettled:
            say(
                f"The counters of queue {name!r} could not be checked: it is too large to be "
                "counted in one step, and did not stand still. Nothing was changed there.",
                err=True,
            )
    if findings and not repair:
        raise Trouble(1)


def _audited(client: Client, *, look: bool) -> list[Report]:
    """Each shard, one after the other."""
    from coordq.client.audit import run

    reports = []
    for shard in range(client.engine.shards):
        *_, report = run(client.engine, look=look, shard=shard)
        reports.append(report)
    return reports


def _show(reports: list[Report], *, repaired: bool) -> None:
    from coordq.interfaces.show import AUDIT_COLUMNS, audit_rows

    findings = [one for report in reports for one in report.findings]
    if findings:
        show_table(AUDIT_COLUMNS, audit_rows(findings))
    looked = f"Looked at {several(sum(report.tasks for report in reports), 'task')}"
    found = several(len(findings), "mistake")
    if not findings:
        say(f"{looked}: everything adds up.", err=True)
    elif repaired:
        say(f"{looked}, and put {found} right.", err=True)
    else:
        say(f"{looked}, and found {found}. Run: coordq audit --repair", err=True)
