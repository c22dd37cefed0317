"""What topologies look like: drawn in a terminal, as a plan of changes, as a history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from coordq.interfaces.table import Cell, Column, Row, on_terminal, say, show
from coordq.interfaces.words import count, moment, one_line, several

if TYPE_CHECKING:
    from coordq.fleet.topology.calls import Arrangement
    from coordq.fleet.topology.change import Change
    from coordq.fleet.topology.shape import Topology
    from coordq.fleet.topology.survey import Survey

DRAWN_MAX: Final = 200
"""Agents that are drawn; the others are counted."""
NAMED_MAX: Final = 12
"""Agents that one line names."""
LINKS_SHOWN: Final = 10
HISTORY_COLUMNS: Final = (
    Column("Version", right=True),
    Column("When", spare=2),
    Column("Who", spare=1),
    Column("Topology"),
    Column("Why", elastic=True),
)


# -- drawing ---------------------------------------------------------------------------------------

Line = tuple[str, str, str]
"""The branches that lead to it, the agent, a note."""


def draw(topology: Topology) -> list[Line]:
    """The lines of a drawing, from the top."""
    match topology.kind:
        case "mesh":
            lines = _mesh(topology.members)
        case "ring":
            lines = _ring(topology.members)
        case "groups":
            lines = _groups(topology.groups)
        case "graph":
            lines = _graph(topology)
        case _:
            lines = _tree(topology)
    drawn = list(islice(lines, DRAWN_MAX))
    left = len(topology.members) - DRAWN_MAX
    more = [("", f"... and {count(left)} more agents", "")] if left > 0 else []
    return drawn + more if len(drawn) == DRAWN_MAX else drawn


def _tree(topology: Topology) -> Iterator[Line]:
    """Each below the one it reports to."""
    below: dict[str, list[str]] = {}
    bosses = dict(topology.bosses())
    for low, high in bosses.items():
        below.setdefault(high, []).append(low)
    todo = [(one, "", "") for one in reversed(topology.members) if one not in bosses]
    while todo:
        one, lead, branch = todo.pop()
        yield branch, one, ""
        under = below.get(one, [])
        for at in range(len(under) - 1, -1, -1):
            last = at == len(under) - 1
            lines = lead + ("   " if last else "│  ")
            todo.append((under[at], lines, lead + ("└─ " if last else "├─ ")))


def _mesh(members: Sequence[str]) -> Iterator[Line]:
    """Each with each."""
    for at, one in enumerate(members):
        mark = "─" if len(members) == 1 else "┬" if at == 0 else "┴" if one == members[-1] else "┼"
        yield f"─{mark}─ ", one, "each talks to each" if at == 0 and len(members) > 1 else ""


def _ring(members: Sequence[str]) -> Iterator[Line]:
    """Each with the next, and the last with the first."""
    for at, one in enumerate(members):
        mark = "┌► " if at == 0 else "└─ " if at == len(members) - 1 else "│  "
        yield mark, one, ""


def _groups(groups: Iterable[Sequence[str]]) -> Iterator[Line]:
    """The heads, each with those who report to it."""
    for at, group in enumerate(groups):
        yield "◆ ", group[0], "heads talk to each other" if at == 0 else ""
        for place, one in enumerate(group[1:], 2):
            yield ("   └─ " if place == len(group) else "   ├─ "), one, ""


def _graph(topology: Topology) -> Iterator[Line]:
    """Each with those it may send to."""
    arrow = "─► " if topology.one_way else "── "
    peers: dict[str, list[str]] = {one: [] for one in topology.members}
    for one, other in dict.fromkeys(topology.links):
        peers[one].append(other)
        if not topology.one_way:
            peers[other].append(one)
    width = max((len(one) for one in topology.members), default=0)
    for one, others in peers.items():
        yield "", one.ljust(width), f"{arrow}{named(others)}" if others else ""


def named(agents: Sequence[str]) -> str:
    """`a, b and 3 more`."""
    some = ", ".join(agents[:NAMED_MAX])
    return some + (f" and {len(agents) - NAMED_MAX} more" if len(agents) > NAMED_MAX else "")


def show_drawing(topology: Topology) -> None:
    """Print the drawing, in colours where there are any."""
    lines = draw(topology)
    if not on_terminal():
        for branch, agent, note in lines:
            say(f"{branch}{agent}{'  ' + note if note else ''}")
        return
    from rich.text import Text

    text = Text()
    for branch, agent, note in lines:
        text.append(branch, style="dim").append(agent).append(f"  {note}\n", style="dim")
    text.rstrip()
    show(text)


# -- facts -----------------------------------------------------------------------------------------


def arrangement_facts(seen: Arrangement) -> list[tuple[str, str | Cell]]:
    """Everything about a version but its drawing."""
    topology = seen.topology
    facts: list[tuple[str, str | Cell]] = [("version", str(seen.version))]
    if topology is None:
        return [*facts, ("topology", "none: everybody may talk to everybody")]
    facts.append(("topology", topology.words()))
    if seen.at_ms:
        facts += [("set", moment(seen.at_ms)), ("by", seen.who)]
    optional = {
        "why": one_line(seen.why),
        "links": "one way" if topology.one_way else "",
        "degree": f"at most {topology.degree_max}" if topology.degree_max else "",
        "strangers": "may talk" if topology.strangers == "allow" else "",
        "in flight": "returned" if topology.in_flight == "return" else "",
        "adaptive": _adaptive(topology),
    }
    return facts + [(name, text) for name, text in optional.items() if text]


def _adaptive(topology: Topology) -> str:
    adapt = topology.adapt
    if adapt is None:
        return ""
    return (
        f"a star up to {adapt.star_max} agents, a tree up to {adapt.tree_max}, then groups of "
        f"{adapt.group_size}; when it has been so for {adapt.settle_s:g} s"
    )


def survey_facts(seen: Survey) -> list[tuple[str, str | Cell]]:
    """What a topology means."""
    longest = "not looked for" if seen.longest is None else several(seen.longest, "step")
    weak = named(seen.weak) if seen.weak else "nobody"
    return [
        ("agents", count(seen.agents)),
        ("links", count(seen.links)),
        ("longest way", longest),
        ("busiest", f"{seen.busiest}, {several(seen.busiest_links, 'link')}"),
        ("falls apart without", Cell(weak, "yellow" if seen.weak else "")),
    ]


def history_rows(past: Iterable[Arrangement]) -> list[Row]:
    """One row a version."""
    return [
        (
            str(one.version),
            moment(one.at_ms),
            one_line(one.who),
            "none" if one.topology is None else one.topology.words(),
            one_line(one.why),
        )
        for one in past
    ]


def plan_facts(plan: Change) -> list[tuple[str, str | Cell]]:
    """What would change."""
    now, then = (
        "none" if one is None else one.words() for one in (plan.now, plan.then)
    )  # fmt: skip
    facts: list[tuple[str, str | Cell]] = [("from", f"version {plan.version}, {now}"), ("to", then)]
    if plan.problems:
        return [*facts, *(("wrong", Cell(one.words, "red")) for one in plan.problems)]
    if plan.empty:
        return [*facts, ("changes", "nothing")]
    told = (
        ("come", named(plan.joining), "green"),
        ("leave", named(plan.leaving), "red"),
        ("may talk then", _links(plan.opened, plan.opened_some), "green"),
        ("may not then", _links(plan.closed, plan.closed_some), "red"),
        ("report anew", _reports(plan), ""),
    )
    return facts + [(name, Cell(words, style)) for name, words, style in told if words]


def _links(amount: int, some: Sequence[tuple[str, str]]) -> str:
    if not amount:
        return ""
    words = ", ".join(f"{one} to {other}" for one, other in some[:LINKS_SHOWN])
    more = f" and {count(amount - LINKS_SHOWN)} more" if amount > LINKS_SHOWN else ""
    return f"{count(amount)}: {words}{more}"


def _reports(plan: Change) -> str:
    words = [f"{one} to {then or 'nobody'}" for one, _, then in plan.promoted[:LINKS_SHOWN]]
    more = len(plan.promoted) - LINKS_SHOWN
    return ", ".join(words) + (f" and {count(more)} more" if more > 0 else "")
