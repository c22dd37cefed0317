"""Topologies from a few words: `make("tree", names, fanout=4)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from coordq.amounts import is_whole
from coordq.fleet.topology.adapt import STAGES, Adapt, stage
from coordq.fleet.topology.follow import arranged
from coordq.fleet.topology.layout import branches, regrouped
from coordq.fleet.topology.shape import KINDS, Topology, read_topology, wrong
from coordq.names import check_name

FANOUT: Final = 4
"""How many report to one, in a tree that is made."""
GROUP: Final = 8
"""How many are in a group that is made."""
AUTO: Final = "auto"
WISHES: Final = {
    "star": ("hub",),
    "tree": ("fanout", "reports"),
    "groups": ("group_size", "groups"),
    "graph": ("links", "one_way", "acyclic", "reports"),
}
"""What may be said of one kind only."""
ALWAYS: Final = ("degree_max", "strangers", "in_flight", "adapt")


def make(kind: str, members: Iterable[str] = (), /, **given: Any) -> Topology:
    """A topology of so many agents; what is not said is laid out as evenly as can be.

    star: `hub`, by default the first member. tree: `reports` says who reports to whom, else the
    members are laid out from the first down, `fanout` below each. groups: `groups`, else filled one
    after the other, `group_size` in each. graph: `links`, `one_way`, `acyclic`, `reports`.
    auto: star, tree or groups, by their number, and from then on as `adapt` says.
    Members need not be said where groups, reports or links name them all. See `Topology` for
    `degree_max`, `strangers`, `in_flight` and `adapt`.

    Raises InvalidTopology and InvalidName; what the graph has to be is checked by `check`.
    """
    if kind not in (*KINDS, AUTO):
        raise wrong("kind", f"kind={kind!r}: use one of {', '.join((*KINDS, AUTO))}.")
    _refuse_others(kind, given)
    if isinstance(members, str) or not isinstance(members, Iterable):
        raise wrong("form", f"members={members!r}: give a list of names of agents.")
    said = [check_name("agent", one) for one in members]
    if kind == AUTO:
        return _adaptive(said, given)
    fanout, size = given.pop("fanout", None), given.pop("group_size", None)
    facts: dict[str, Any] = {"kind": kind, **given}
    facts["members"] = said or read_topology({**facts, "members": []}).named()
    names: list[str] = facts["members"]
    if kind == "star" and not facts.get("hub"):
        facts["hub"] = names[0] if names else ""
    if kind == "tree" and "reports" not in facts:
        facts["reports"] = branches(names, _whole("fanout", fanout, FANOUT))
    if kind == "groups" and "groups" not in facts:
        facts["groups"] = regrouped((), names, _whole("group_size", size, GROUP))
    return read_topology(facts)


def _refuse_others(kind: str, given: dict[str, Any]) -> None:
    known = (*WISHES.get(kind, ()), *ALWAYS)
    for name in given:
        if name not in known:
            raise wrong("form", f"A {kind} has no {name!r}; it has: {', '.join(known)}.")


def _adaptive(names: list[str], given: dict[str, Any]) -> Topology:
    bare = read_topology({"kind": "mesh", "members": names, **given})
    settings = bare.adapt or Adapt()
    kind = stage(settings, "", len(names)) if names else STAGES[0]
    bare = replace(bare, adapt=settings)
    return arranged(bare, kind, bare.members) if names else replace(bare, kind=kind)


def _whole(field: str, given: object, usual: int) -> int:
    if given is None:
        return usual
    if not is_whole(given, 1):
        raise wrong("form", f"{field}={given!r}: give a whole number from 1.")
    return given
