"""Agents as the registry knows them: a row for each, the facts of one, and who answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from coordq.interfaces.rates_view import percent_text, time_text
from coordq.interfaces.table import Cell, Column, Row
from coordq.interfaces.words import count, moment, one_line, span

if TYPE_CHECKING:
    from coordq.fleet.directory import AgentView
    from coordq.fleet.ping import AgentPing
    from coordq.fleet.recommend import Recommendation

STATE_STYLES: Final = {"serving": "green", "outside": "green", "away": "yellow"}
REGISTRY_COLUMNS: Final = (
    Column("Agent"),
    Column("Role", spare=2),
    Column("State"),
    Column("Load", right=True),
    Column("Zone", spare=3),
    Column("Can", elastic=True),
)
PING_COLUMNS: Final = (
    Column("Agent"),
    Column("State"),
    Column("Answered", right=True),
    Column("Best", right=True),
    Column("Worst", right=True),
    Column("Silent", elastic=True),
)
RECOMMENDED_COLUMNS: Final = (
    Column("Agent"),
    Column("Score", right=True),
    Column("Why", elastic=True),
)


def recommended_rows(found: Iterable[Recommendation]) -> list[Row]:
    """One row an agent, best first."""
    return [
        (one_line(one.agent.name), f"{one.score:.2f}", one_line("; ".join(one.reasons)))
        for one in found
    ]


def registry_rows(views: Iterable[AgentView]) -> list[Row]:
    """One row an agent."""
    return [
        (
            one_line(view.name),
            one_line(view.role) or "-",
            state_cell(view),
            "-" if view.state == "away" else f"{view.load:.0%}",
            one_line(", ".join(view.zones)) or "-",
            one_line(", ".join(sorted(view.capabilities))) or "-",
        )
        for view in views
    ]


def state_cell(view: AgentView) -> Cell:
    """Where it is, and who acts for it."""
    text = f"on {count(len(view.workers))}" if view.workers else view.state
    if view.stood_in_by is not None:
        text += f", {view.stood_in_by.by} stands in"
    return Cell(text, STATE_STYLES[view.state])


def agent_facts(view: AgentView, now_ms: int) -> list[tuple[str, str | Cell]]:
    """Everything about one agent."""
    state = (
        f"on {count(len(view.workers))}: {', '.join(view.workers)}"
        if view.workers
        else (f"away since {span(now_ms - view.since_ms)}" if view.since_ms else view.state)
    )
    facts: list[tuple[str, str | Cell]] = [
        ("agent", view.name),
        ("state", Cell(one_line(state), STATE_STYLES[view.state])),
        ("role", view.role),
        ("capabilities", ", ".join(sorted(view.capabilities))),
        ("tasks", ", ".join(sorted(view.tasks))),
        ("interests", one_line(view.interests)),
        ("zone", ", ".join(view.zones)),
        ("load", "" if view.state == "away" else f"{view.load:.0%}"),
        ("max load", count(view.max_load) if view.max_load else ""),
        ("weight", f"{view.weight:g}"),
        ("stand-ins", ", ".join(view.stand_ins)),
    ]
    stand_in = view.stood_in_by
    if stand_in is not None:
        told = f"{stand_in.by}, says {stand_in.who}, since {span(now_ms - stand_in.since_ms)}"
        facts.append(("stood in by", one_line(told)))
    facts += [(f"persona {key}", one_line(_text(value))) for key, value in view.persona.items()]
    if view.succeeded + view.failed:
        done = 100 * view.succeeded / (view.succeeded + view.failed)
        facts += [("succeeded", f"{count(view.succeeded)}, {percent_text(round(done, 1))}")]
        facts += [("average", time_text(view.mean_ms))]
    if view.version:
        facts += [("version", f"{view.version}, of {moment(view.changed_ms)}")]
    return [(name, value) for name, value in facts if value]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def ping_rows(pings: Iterable[AgentPing]) -> list[Row]:
    """One row an agent."""
    return [
        (
            one_line(ping.name),
            Cell(ping.state, STATE_STYLES[ping.state]),
            count(ping.answered),
            time_text(ping.best_ms),
            time_text(ping.worst_ms),
            Cell(one_line(", ".join(ping.silent)) or "-", "bold red" if ping.silent else ""),
        )
        for ping in pings
    ]
