"""`coordq flow`: graphs of tasks, out of a file; how they stand, and what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import PAIR, SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_block, show_facts, show_json, show_table
from coordq.interfaces.words import as_text, printable, several

if TYPE_CHECKING:
    from coordq.work.flow.build import Flow
    from coordq.work.flow.view import FlowView

_EXAMPLES: Final = """\b
Examples:
  coordq flow check audit.yaml
  coordq flow run audit.yaml --set repository=https://example.org/r --wait
  coordq flow graph audit.yaml --format svg -o audit.svg
"""
FORMATS: Final = ("text", "mermaid", "svg")
STATES: Final = ("building", "running", "retrying", "succeeded", "failed", "cancelled")
_file = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
_settings = click.option(
    "--set", multiple=True, type=PAIR, help="What a ${name} of the file stands for; repeatable."
)


@click.group("flow", cls=Group, epilog=_EXAMPLES)
@common
def flow_command(_session: Session) -> None:
    """Run tasks that depend on each other, out of a file, and see how they stand."""


def _read(file: Path, settings: tuple[tuple[str, str], ...]) -> Flow:
    """What a file describes. Raises InvalidFlow."""
    from coordq.work.flow.file import read_file

    return read_file(file, dict(settings))


@flow_command.command("run")
@_file
@_settings
@click.option("--wait", is_flag=True, help="Wait for the end and print the results.")
@click.option("--wait-timeout", type=SPAN, help="How long to wait.")
@click.option("--force", is_flag=True, help="Also while the fleet is read-only.")
@click.option(
    "--durability",
    type=click.Choice(["primary", "replica"]),
    default="primary",
    help="replica: fail when no replica of the Redis confirms the flow.",
)
@common
def flow_run(
    session: Session,
    *,
    file: Path,
    set: tuple[tuple[str, str], ...],  # noqa: A002 - the option's name
    wait: bool,
    wait_timeout: float | None,
    force: bool,
    durability: str,
) -> None:
    """Start the flow that FILE describes, JSON or YAML, and print its id, or its results."""
    flow = _read(file, set)
    waits = wait or wait_timeout is not None
    with session.connect() as client:
        handle = client.flows.run(flow, force=force, durability=durability)
        if waits:
            results = handle.result(wait_timeout)
    if session.json:
        show_json({"id": handle.id, "results": results} if waits else {"id": handle.id})
    elif waits:
        say(as_text(results))
    else:
        say(handle.id)


@flow_command.command("check")
@_file
@_settings
@common
def flow_check(
    session: Session,
    *,
    file: Path,
    set: tuple[tuple[str, str], ...],  # noqa: A002 - the option's name
) -> None:
    """Say whether FILE describes a flow that can be run. Needs no Redis."""
    plan = _read(file, set).plan()
    edges = sum(len(node.parents) for node in plan.nodes)
    if session.json:
        keys = [node.key for node in plan.nodes]
        show_json({"name": plan.name, "tasks": keys, "edges": edges})
    else:
        say(f"flow {plan.name}: {several(len(plan.nodes), 'task')}, {several(edges, 'edge')}")


@flow_command.command("ls")
@click.option("--state", "-s", type=click.Choice(STATES), default=None)
@click.option("--name", "-n", default="", metavar="NAME", help="Flows of this name.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@common
def flow_ls(session: Session, *, state: str | None, name: str, limit: int) -> None:
    """List flows, newest first."""
    with session.connect() as client:
        flows = client.flows.ls(state=state or "", name=name, limit=limit)
    if session.json:
        show_json([flow.to_json() for flow in flows])
        return
    from coordq.interfaces.flow_view import FLOW_COLUMNS, flow_rows

    show_table(FLOW_COLUMNS, flow_rows(flows), empty="No flows.")


@flow_command.command("show")
@click.argument("flow_id", metavar="ID")
@click.option("--tasks", is_flag=True, help="List every task with its id, in place of the tree.")
@common
def flow_show(session: Session, *, flow_id: str, tasks: bool) -> None:
    """Show how a flow stands: its tasks, what has failed, and what waits for an answer."""
    with session.connect() as client:
        flow = client.flows.get(flow_id)
    if session.json:
        show_json(flow.to_json())
        return
    from coordq.interfaces.flow_view import (
        NODE_COLUMNS,
        flow_facts,
        node_rows,
        show_tree,
        worth_a_word,
    )

    show_facts(flow_facts(flow))
    if flow.returns and flow.state == "succeeded":
        show_block("result", as_text(flow.result))
    say("")
    if tasks:
        show_table(NODE_COLUMNS, node_rows(flow.nodes))
        return
    show_tree(flow)
    if worth_a_word(flow):
        say("")
        show_table(NODE_COLUMNS, node_rows(worth_a_word(flow)))


@flow_command.command("graph")
@click.argument("what", metavar="ID|FILE")
@_settings
@click.option("--format", "-f", type=click.Choice(FORMATS), default="text")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@common
def flow_graph(
    session: Session,
    *,
    what: str,
    set: tuple[tuple[str, str], ...],  # noqa: A002 - the option's name
    format: str,  # noqa: A002 - the option's name
    output: Path | None,
) -> None:
    """Draw a flow, by its id, or the one that a FILE describes."""
    from coordq.ids import is_id

    if is_id(what):
        with session.connect() as client:
            drawn = client.flows.graph(what, format=format)
    else:
        from coordq.client.flow_plans import picture
        from coordq.work.flow.graph import graph_of_plan

        drawn = picture(graph_of_plan(_read(Path(what), set).plan()), format)
    if output is not None:
        output.write_text(drawn, encoding="utf-8")
    elif session.json:
        show_json({"format": format, "graph": drawn})
    else:
        say(printable(drawn.rstrip("\n"), keep="\n"))


@flow_command.command("cancel")
@click.argument("flow_id", metavar="ID")
@click.option("--reason", default="cancelled by request", metavar="TEXT")
@common
def flow_cancel(session: Session, *, flow_id: str, reason: str) -> None:
    """Cancel all tasks of a flow that have not ended."""
    with session.connect() as client:
        _tell(session, client.flows.cancel(flow_id, reason=reason))


@flow_command.command("retry")
@click.argument("flow_id", metavar="ID")
@common
def flow_retry(session: Session, *, flow_id: str) -> None:
    """Run again what failed, was cancelled or never ran; what succeeded stays."""
    with session.connect() as client:
        _tell(session, client.flows.retry(flow_id))


@flow_command.command("forget")
@click.argument("flow_id", metavar="ID")
@yes_option
@common
def flow_forget(session: Session, *, flow_id: str, yes: bool) -> None:
    """Delete a flow that has ended, with its tasks and their results."""
    confirm(f"Delete flow {flow_id} and its tasks?", yes=yes)
    with session.connect() as client:
        client.flows.forget(flow_id)
    if session.json:
        show_json({"id": flow_id, "removed": True})
    else:
        say(f"flow {flow_id} is deleted")


def _tell(session: Session, flow: FlowView) -> None:
    from coordq.interfaces.flow_view import account

    if session.json:
        show_json(flow.to_json())
    else:
        say(f"flow {flow.id} is {flow.state}; {account(flow)}")
