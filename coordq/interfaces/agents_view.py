"""What agents have done: a row for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from coordq.interfaces.rates_view import per_second, percent_text, time_text
from coordq.interfaces.table import Column, Row
from coordq.interfaces.words import count, one_line

if TYPE_CHECKING:
    from coordq.fleet.agents import AgentSummary

AGENT_COLUMNS: Final = (
    Column("Agent"),
    Column("Role", spare=1),
    Column("Workers", right=True),
    Column("Running", right=True),
    Column("Succeeded", right=True),
    Column("Failed", right=True),
    Column("Success", right=True),
    Column("Average", right=True),
    Column("Last minute", right=True, spare=2),
)


def agent_rows(agents: Iterable[AgentSummary]) -> list[Row]:
    """One row an agent. `3+1` workers: one of the four does not say what it has done."""
    rows: list[Row] = []
    for one in agents:
        silent = f"+{count(one.uncounted)}" if one.uncounted else ""
        recent = "-" if one.recent is None else per_second(one.recent.ended_s)
        rows.append(
            (
                one_line("(others)" if one.name == "*" else one.name),
                one_line(", ".join(one.roles)) or "-",
                f"{count(one.workers - one.uncounted)}{silent}",
                count(one.running),
                count(one.succeeded),
                count(one.failed),
                percent_text(one.success_percent),
                time_text(one.mean_ms),
                recent,
            )
        )
    return rows
