"""What flows look like: as rows, as named values, as a tree in colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from coordq.clock import now_ms
from coordq.interfaces.show import error_line, state_cell
from coordq.interfaces.table import Cell, Column, Row, on_terminal, say, show
from coordq.interfaces.words import count, moment, one_line, printable, span

if TYPE_CHECKING:
    from coordq.work.flow.view import FlowView, NodeView

FLOW_COLUMNS: Final = (
    Column("ID"),
    Column("State"),
    Column("Name", spare=1),
    Column("Ended", right=True),
    Column("Failed", right=True, spare=4),
    Column("Skipped", right=True, spare=6),
    Column("Created", spare=5),
    Column("Took", right=True, spare=3),
    Column("About", elastic=True, spare=2),
)
NODE_COLUMNS: Final = (
    Column("Task"),
    Column("State"),
    Column("ID"),
    Column("Name", spare=2),
    Column("Since", right=True, spare=3),
    Column("Note", elastic=True, spare=1),
)


def flow_rows(flows: Iterable[FlowView]) -> list[Row]:
    """One row a flow."""
    return [
        (
            flow.id,
            state_cell(flow.state),
            flow.name,
            f"{count(flow.total - flow.left)}/{count(flow.total)}",
            Cell(count(flow.failed), "red" if flow.failed > flow.handled else ""),
            count(flow.skipped),
            moment(flow.created_ms),
            _took(flow),
            one_line(str(flow.about.get("description", ""))),
        )
        for flow in flows
    ]


def flow_facts(flow: FlowView) -> list[tuple[str, str | Cell]]:
    """Everything about a flow but its tasks."""
    facts: list[tuple[str, str | Cell]] = [
        ("id", flow.id),
        ("name", flow.name),
        ("state", state_cell(flow.state)),
        ("tasks", account(flow)),
        ("created", moment(flow.created_ms)),
    ]
    labels = flow.about.get("labels") or {}
    optional = {
        "took": _took(flow) if flow.ended else "",
        "last progress": _ago(flow.moved_ms) if not flow.ended else "",
        "description": one_line(str(flow.about.get("description", ""))),
        "labels": one_line(", ".join(f"{name}={value}" for name, value in labels.items())),
        "kept for": span(flow.ttl_s * 1000) if flow.ended else "",
    }
    return facts + [(name, text) for name, text in optional.items() if text]


def account(flow: FlowView) -> str:
    """`7 of 9 have ended: 5 succeeded, 1 failed (handled), 1 skipped`."""
    handled = f" ({count(flow.handled)} handled)" if flow.handled else ""
    told = {
        "succeeded": flow.succeeded,
        f"failed{handled}": flow.failed,
        "cancelled": flow.cancelled,
        "skipped": flow.skipped,
    }
    how = ", ".join(f"{count(amount)} {what}" for what, amount in told.items() if amount)
    return f"{count(flow.total - flow.left)} of {count(flow.total)} have ended{how and ': '}{how}"


def _took(flow: FlowView) -> str:
    if not flow.started_ms:
        return "-"
    return span(max(0, (flow.ended_ms or now_ms()) - flow.started_ms))


def _ago(ms: int) -> str:
    return f"{span(max(0, now_ms() - ms))} ago" if ms else ""


def node_rows(nodes: Iterable[NodeView]) -> list[Row]:
    """One row a task."""
    now = now_ms()
    return [
        (
            one_line(node.key),
            state_cell(node.state),
            node.id,
            node.name,
            span(max(0, now - node.since_ms)) if node.since_ms else "-",
            _note(node),
        )
        for node in nodes
    ]


def _note(node: NodeView) -> str:
    if node.state == "suspended" and node.kind == "approval":
        return f"coordq approve {node.id}"
    if node.error:
        return error_line(node.error)
    return f"on {node.worker}" if node.worker and not node.ended else ""


def worth_a_word(flow: FlowView) -> list[NodeView]:
    """The tasks that somebody may have to do something about: failed, or waiting for an answer."""
    waiting = [node for node in flow.nodes if node.state == "suspended"]
    return [*flow.failures(), *waiting]


def show_tree(flow: FlowView) -> None:
    """Print the flow's tasks as a tree, in colours where there are any."""
    from coordq.work.flow.draw import rows
    from coordq.work.flow.graph import graph_of_view

    drawn = rows(graph_of_view(flow))
    if not on_terminal():
        for row in drawn:
            say(printable(str(row)))
        return
    from rich.text import Text

    text = Text()
    for row in drawn:
        style = str(state_cell(row.state).style)
        text.append(printable(row.branches), "dim")
        text.append(printable(f"{row.sign} {row.text}"), style)
        text.append(f"  {printable(row.note)}\n" if row.note else "\n", "dim")
    text.rstrip()
    show(text)
