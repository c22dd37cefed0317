"""A topology as a value: its kind, its members, and what links them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import combinations, pairwise
from typing import Any, Final

from coordq.amounts import is_whole
from coordq.errors import InvalidTopology
from coordq.fleet.topology.adapt import Adapt
from coordq.names import check_name

KINDS: Final = ("mesh", "star", "ring", "tree", "groups", "graph")
MEMBERS_MAX: Final = 5000
LINKS_MAX: Final = 20_000
"""That are written down one by one, in a graph."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Topology:
    """How agents are arranged. What no network could be is found by `check`, not here."""

    kind: str
    """mesh: each with each. star: all with one. ring: each with the next. tree: each with the one
    it reports to. groups: each with its group, and the heads of the groups with each other.
    graph: as it is written down."""
    members: tuple[str, ...]
    """Names of agents. Their order is that of a ring."""
    hub: str = ""
    """Of a star: the one in the middle, to whom all report."""
    reports: tuple[Pair, ...] = ()
    """Of a tree or graph: (agent, the one it reports to)."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Of groups: the members of each; its first is its head, to whom the others report."""
    links: tuple[Pair, ...] = ()
    """Of a graph: who may talk to whom, both ways unless `one_way`."""
    one_way: bool = False
    """Of a graph: the first of a link may talk to the second, and not the other way."""
    acyclic: bool = False
    """Of a graph: it must have no cycles."""
    degree_max: int = 0
    """How many others one agent may be linked with; 0: any number."""
    strangers: str = "refuse"
    """What becomes of agents that are no members: refuse (they may talk to nobody), or allow."""
    in_flight: str = "deliver"
    """Messages that were sent before a change that forbids them: deliver or return."""
    adapt: Adapt | None = None
    """How the supervisor's leader rearranges it by size and load; None: it does not."""

    def pairs(self) -> Iterator[Pair]:
        """Every link, once; of a graph as it is written down."""
        match self.kind:
            case "mesh":
                yield from combinations(self.members, 2)
            case "star":
                yield from ((self.hub, one) for one in self.members if one != self.hub)
            case "ring":
                yield from pairwise((*self.members, *self.members[:1]))
            case "tree":
                yield from self.reports
            case "groups":
                for group in self.groups:
                    yield from combinations(group, 2)
                yield from combinations([group[0] for group in self.groups if group], 2)
            case _:
                yield from self.links

    def bosses(self) -> Iterator[Pair]:
        """Who reports to whom."""
        match self.kind:
            case "star":
                yield from ((one, self.hub) for one in self.members if one != self.hub)
            case "groups":
                yield from ((one, group[0]) for group in self.groups for one in group[1:])
            case _:
                yield from self.reports

    def named(self) -> list[str]:
        """All that are named by groups, reports or links, those above before those below."""
        names = [one for group in self.groups for one in group]
        names += [one for low, high in self.reports for one in (high, low)]
        names += [one for link in self.links for one in link]
        return list(dict.fromkeys(([self.hub] if self.hub else []) + names))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what goes without saying; `read_topology` reads it."""
        said: dict[str, Any] = {}
        for at in fields(self):
            value = getattr(self, at.name)
            if at.name in {"kind", "members"} or value != at.default:
                said[at.name] = value.to_json() if isinstance(value, Adapt) else _plain(value)
        return said

    def text(self) -> str:
        """As Redis keeps it."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    def words(self) -> str:
        """`star of 5, around planner`."""
        more = {
            "star": f", around {self.hub}",
            "groups": f" in {len(self.groups)} groups",
            "graph": f", {len(self.links)} links",
        }
        adaptive = ", adaptive" if self.adapt is not None else ""
        kind = "mesh" if self.kind == "groups" else self.kind
        return f"{kind} of {len(self.members)}{more.get(self.kind, '')}{adaptive}"


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


# -- reading ---------------------------------------------------------------------------------------


def read_topology(facts: object) -> Topology:
    """A topology out of plain JSON, as `to_json` writes it. Raises InvalidTopology, InvalidName."""
    if not isinstance(facts, Mapping):
        raise wrong("form", f"A topology is a JSON object, not {type(facts).__name__}.")
    known = [at.name for at in fields(Topology)]
    for name in facts:
        if name not in known:
            raise wrong("form", f"A topology has no {name!r}; it has: {', '.join(known)}.")
    if facts.get("kind") not in KINDS:
        raise wrong("kind", f"kind={facts.get('kind')!r}: use one of {', '.join(KINDS)}.")
    return Topology(
        kind=facts["kind"],
        members=_names("members", facts.get("members", ())),
        hub=_hub(facts.get("hub", "")),
        reports=_pairs("reports", facts.get("reports", ())),
        groups=_groups(facts.get("groups", ())),
        links=_pairs("links", facts.get("links", ())),
        one_way=_switch("one_way", facts.get("one_way", False)),
        acyclic=_switch("acyclic", facts.get("acyclic", False)),
        degree_max=_amount("degree_max", facts.get("degree_max", 0)),
        strangers=_choice("strangers", facts.get("strangers", "refuse"), ("refuse", "allow")),
        in_flight=_choice("in_flight", facts.get("in_flight", "deliver"), ("deliver", "return")),
        adapt=_adapt(facts.get("adapt")),
    )


def load_topology(text: bytes | str) -> Topology | None:
    """What Redis holds; None when coordq did not write it."""
    try:
        return read_topology(json.loads(text))
    except ValueError:
        return None


def wrong(rule: str, words: str, *agents: str) -> InvalidTopology:
    """What to raise for a topology that breaks a rule."""
    return InvalidTopology(words, rule=rule, agents=list(agents))


def _names(field: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, list | tuple | set | frozenset):
        raise wrong("form", f"{field}={given!r}: give a list of names of agents.")
    if len(given) > MEMBERS_MAX:
        raise wrong("size", f"{field}: {len(given):,} agents are too many; up to {MEMBERS_MAX:,}.")
    some = sorted(given) if isinstance(given, set | frozenset) else given
    return tuple(check_name("agent", one) for one in some)


def _hub(given: object) -> str:
    return "" if given in ("", None) else check_name("agent", given)


def _pairs(field: str, given: object) -> tuple[Pair, ...]:
    if isinstance(given, Mapping):
        given = list(given.items())
    if isinstance(given, str) or not isinstance(given, list | tuple):
        raise wrong("form", f"{field}={given!r}: give pairs of names, such as [('a', 'b')].")
    if len(given) > LINKS_MAX:
        raise wrong("size", f"{field}: {len(given):,} pairs are too many; up to {LINKS_MAX:,}.")
    return tuple(_pair(field, one) for one in given)


def _pair(field: str, given: object) -> Pair:
    if isinstance(given, str) or not isinstance(given, list | tuple) or len(given) != 2:  # noqa: PLR2004 - a pair
        raise wrong("form", f"{field}: {given!r} is no pair of names.")
    return check_name("agent", given[0]), check_name("agent", given[1])


def _groups(given: object) -> tuple[tuple[str, ...], ...]:
    if isinstance(given, str) or not isinstance(given, list | tuple):
        raise wrong("form", f"groups={given!r}: give lists of names, one for each group.")
    return tuple(_names("groups", group) for group in given)


def _switch(field: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise wrong("form", f"{field}={given!r}: say True or False.")
    return given


def _amount(field: str, given: object) -> int:
    if not is_whole(given, 0, MEMBERS_MAX):
        raise wrong(
            "form", f"{field}={given!r}: give a whole number up to {MEMBERS_MAX:,}, 0: any."
        )
    return given


def _choice(field: str, given: object, known: tuple[str, ...]) -> str:
    if given not in known:
        raise wrong("form", f"{field}={given!r}: use one of {', '.join(known)}.")
    return str(given)


def _adapt(given: object) -> Adapt | None:
    if given is None or isinstance(given, Adapt):
        return given
    if not isinstance(given, Mapping):
        raise wrong("form", f"adapt={given!r}: give settings by name, or None.")
    known = [at.name for at in fields(Adapt)]
    for name in given:
        if name not in known:
            raise wrong("form", f"adapt has no {name!r}; it has: {', '.join(known)}.")
    return Adapt(**given)
