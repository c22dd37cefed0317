"""`coordq topology`: who may talk to whom, and who reports to whom."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.interfaces.cli.failure import Trouble
from coordq.interfaces.cli.group import Group, options
from coordq.interfaces.cli.params import PAIR, SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_facts, show_json, show_table

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.fleet.topology.calls import Arrangement
    from coordq.fleet.topology.change import Change
    from coordq.fleet.topology.shape import Topology

KINDS: Final = ("mesh", "star", "ring", "tree", "groups", "graph", "auto")
_EXAMPLES: Final = """\b
Examples:
  coordq topology set star planner critic writer      # planner in the middle
  coordq topology set tree --fanout 3                 # all agents that are here
  coordq topology set graph --link ask=plan --link plan=write --one-way --acyclic
  coordq topology set auto --settle 2m                # follows the fleet
  coordq topology plan ring                           # what would change
"""
_ADAPT: Final = {"star_max": "star_max", "tree_max": "tree_max", "settle": "settle_s"}
_SEVERAL: Final = {"report": "reports", "group": "groups", "link": "links"}
"""Flags that may be repeated, and what all of them together are."""
_wish = options(
    click.argument("kind", type=click.Choice(KINDS), required=False),
    click.argument("members", nargs=-1, metavar="[AGENT]..."),
    click.option("--file", "-f", type=click.Path(path_type=Path), help="JSON or YAML, as --json."),
    click.option("--hub", metavar="AGENT", help="Of a star; by default the first."),
    click.option("--fanout", type=int, metavar="N", help="Of a tree: below each; 4."),
    click.option("--report", multiple=True, type=PAIR, metavar="AGENT=BOSS"),
    click.option("--group", multiple=True, metavar="A,B,...", help="Its head first."),
    click.option("--group-size", type=int, metavar="N", help="Of groups that are made; 8."),
    click.option("--link", multiple=True, type=PAIR, metavar="A=B", help="Of a graph."),
    click.option("--one-way", is_flag=True, help="Links go from A to B only."),
    click.option("--acyclic", is_flag=True, help="A graph must have no cycles."),
    click.option("--degree-max", type=int, metavar="N", help="Links of one agent, at most."),
    click.option("--strangers", type=click.Choice(["refuse", "allow"]), help="Who is no member."),
    click.option("--in-flight", type=click.Choice(["deliver", "return"]), help="Older messages."),
    click.option("--star-max", type=int, metavar="N", help="auto: a star up to so many; 8."),
    click.option("--tree-max", type=int, metavar="N", help="auto: a tree up to so many; 40."),
    click.option("--settle", type=SPAN, help="auto: how long it has to be so; 1m."),
)


@click.group("topology", cls=Group, epilog=_EXAMPLES)
@common
def topology_command(_session: Session) -> None:
    """Say who may talk to whom and who reports to whom, and see it drawn."""


def _wanted(
    kind: str | None, members: tuple[str, ...], file: Path | None, said: dict[str, Any]
) -> tuple[str | Topology, tuple[str, ...] | None, dict[str, Any]]:
    """What the words mean, as `client.topology.set` takes it. Raises InvalidTopology."""
    given = {
        _SEVERAL.get(name, name): value
        for name, value in said.items()
        if value not in (None, (), False)
    }
    if file is not None:
        if kind or given:
            raise click.UsageError("A file says everything: give nothing else with it.")
        return _read(file), None, {}
    if kind is None:
        raise click.UsageError(f"Say what kind of topology: {', '.join(KINDS)}, or --file.")
    if "groups" in given:
        given["groups"] = [text.split(",") for text in given["groups"]]
    adapt = {field: given.pop(name) for name, field in _ADAPT.items() if name in given}
    if adapt and kind != "auto":
        raise click.UsageError("--star-max, --tree-max and --settle go with the kind auto.")
    if adapt:
        given["adapt"] = adapt
    return kind, members or None, given


def _read(file: Path) -> Topology:
    import yaml

    from coordq.fleet.topology.shape import read_topology, wrong

    try:
        facts = yaml.safe_load(file.read_text())
    except OSError as error:
        raise wrong("form", f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise wrong("form", f"{file} is neither JSON nor YAML.") from error
    if isinstance(facts, dict) and {"version", "topology"} <= set(facts):
        facts = facts["topology"]  # what `show --json` prints
    return read_topology(facts)


@topology_command.command("set")
@_wish
@click.option("--expect", type=int, metavar="VERSION", help="Only in the place of this one.")
@click.option("--why", default="", metavar="TEXT", help="For the history.")
@common
def topology_set(
    session: Session,
    *,
    kind: str | None,
    members: tuple[str, ...],
    file: Path | None,
    expect: int | None,
    why: str,
    **said: Any,
) -> None:
    """Arrange the agents; without names all that are here now.

    What is already under way is delivered, unless --in-flight return.
    """
    what, names, given = _wanted(kind, members, file, said)
    with session.connect() as client:
        seen = client.topology.set(what, names, expect=expect, who=_who(), why=why, **given)
    _tell(session, seen)


@topology_command.command("plan")
@_wish
@common
def topology_plan(
    session: Session,
    *,
    kind: str | None,
    members: tuple[str, ...],
    file: Path | None,
    **said: Any,
) -> None:
    """Show what `set` would change; nothing is done. Exit code 1 when it would be refused."""
    what, names, given = _wanted(kind, members, file, said)
    with session.connect() as client:
        plan = client.topology.plan(what, names, **given)
    if session.json:
        show_json(plan.to_json())
    else:
        from coordq.interfaces.topology_view import plan_facts

        show_facts(plan_facts(plan))
    if plan.problems:
        raise Trouble(1)


@topology_command.command("validate")
@_wish
@common
def topology_validate(
    session: Session,
    *,
    kind: str | None,
    members: tuple[str, ...],
    file: Path | None,
    **said: Any,
) -> None:
    """Say whether a topology is sound, and what it means; without a kind the one that is set.

    Members that are not here now are named, and are no mistake.
    """
    with session.connect() as client:
        if kind is None and file is None:
            topology = client.topology.get().topology
            if topology is None:
                say("no topology is set: everybody may talk to everybody", err=True)
                return
            plan = client.topology.plan(topology)
        else:
            what, names, given = _wanted(kind, members, file, said)
            plan = client.topology.plan(what, names, **given)
        here = client.topology.known()
    _report(session, plan, here)


def _report(session: Session, plan: Change, here: list[str]) -> None:
    from coordq.fleet.topology.survey import survey
    from coordq.interfaces.topology_view import named, survey_facts

    topology = plan.then
    assert topology is not None
    away = [one for one in topology.members if one not in set(here)]
    seen = None if plan.problems else survey(topology)
    if session.json:
        wrong = [one.to_json() for one in plan.problems]
        facts = None if seen is None else seen.to_json()
        show_json({"valid": not wrong, "problems": wrong, "survey": facts, "away": away})
    elif seen is None:
        for one in plan.problems:
            say(f"{one.rule}: {one.words}")
    else:
        show_facts([("valid", topology.words()), *survey_facts(seen)])
        if away:
            say(f"not here now: {named(away)}", err=True)
    if plan.problems:
        raise Trouble(1)


@topology_command.command("show")
@click.option("--version", type=int, metavar="N", help="An earlier one.")
@common
def topology_show(session: Session, *, version: int | None) -> None:
    """Draw the topology that is set."""
    with session.connect() as client:
        seen = client.topology.get() if version is None else _version(client, version)
    if session.json:
        show_json(seen.to_json())
        return
    from coordq.interfaces.topology_view import arrangement_facts, show_drawing

    show_facts(arrangement_facts(seen))
    if seen.topology is not None:
        say("")
        show_drawing(seen.topology)


def _version(client: Client, version: int) -> Arrangement:
    from coordq.errors import TopologyNotFound

    past = client.topology.history()
    for one in past:
        if one.version == version:
            return one
    kept = ", ".join(str(one.version) for one in past) or "none yet"
    raise TopologyNotFound(f"Version {version} is not kept; there are: {kept}.", version=version)


@topology_command.command("history")
@common
def topology_history(session: Session) -> None:
    """List the last versions, newest first."""
    with session.connect() as client:
        past = client.topology.history()
    if session.json:
        show_json([one.to_json() for one in past])
        return
    from coordq.interfaces.topology_view import HISTORY_COLUMNS, history_rows

    show_table(HISTORY_COLUMNS, history_rows(past), empty="No topology was ever set.")


@topology_command.command("restore")
@click.argument("version", type=int)
@click.option("--expect", type=int, metavar="VERSION", help="Only in the place of this one.")
@common
def topology_restore(session: Session, *, version: int, expect: int | None) -> None:
    """Set an earlier version again, as a new one."""
    with session.connect() as client:
        seen = client.topology.restore(version, expect=expect, who=_who())
    _tell(session, seen)


@topology_command.command("clear")
@click.option("--expect", type=int, metavar="VERSION", help="Only in the place of this one.")
@click.option("--why", default="", metavar="TEXT", help="For the history.")
@common
def topology_clear(session: Session, *, expect: int | None, why: str) -> None:
    """Take the topology away: everybody may talk to everybody."""
    with session.connect() as client:
        seen = client.topology.clear(expect=expect, who=_who(), why=why)
    _tell(session, seen)


def _tell(session: Session, seen: Arrangement) -> None:
    if session.json:
        show_json(seen.to_json())
    else:
        words = "none: everybody may talk" if seen.topology is None else seen.topology.words()
        say(f"topology version {seen.version}: {words}")


def _who() -> str:
    """Who is at the keyboard, for the history."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "operator"
