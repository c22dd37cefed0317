"""Operations on the topology of the agents, written once for both clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from coordq.amounts import is_whole
from coordq.client import agent_plans
from coordq.client.plan import Plan
from coordq.errors import InvalidOption, TopologyNotFound
from coordq.fleet.directory import Directory, Wanted
from coordq.fleet.topology import calls
from coordq.fleet.topology.calls import Arrangement
from coordq.fleet.topology.change import Change, change
from coordq.fleet.topology.check import check
from coordq.fleet.topology.make import make
from coordq.fleet.topology.shape import Topology, wrong
from coordq.fleet.topology.view import View

FRESH_S: Final = 1.0
"""For so long a view is taken for the one that is set, unless the caller says otherwise."""


class Seen:
    """The view that a client has of the topology, and when it was last compared."""

    __slots__ = ("at_s", "view")

    def __init__(self) -> None:
        self.view = View()
        self.at_s = float("-inf")

    def fresh(self, now_s: float, max_age_s: float) -> bool:
        """Whether it need not be compared."""
        return now_s - self.at_s < max_age_s

    def compare(self, now_s: float) -> Plan[View]:
        """Ask for the version, and for the topology only if it is another one."""
        found = yield calls.look(self.view.version if self.at_s >= 0 else None)
        if found is not None:
            self.view = View(found.version, found.topology)
        self.at_s = now_s
        return self.view


def known(directory: Directory) -> Plan[list[str]]:
    """The agents that are here, by name: those that workers serve, and those outside of workers."""
    yield from agent_plans.learn(directory, afresh=True)
    return sorted(view.name for view in directory.find(Wanted()))


def wanted(
    directory: Directory, kind: str | Topology, members: Iterable[str] | None, given: dict[str, Any]
) -> Plan[Topology]:
    """What a caller asks for; without members all agents that are here."""
    if isinstance(kind, Topology):
        if members is not None or given:
            raise wrong("form", "A Topology is complete: give nothing else with it.")
        return kind
    named = {"groups", "reports", "links"} & set(given)
    if members is None and not named:
        members = yield from known(directory)
        if not members:
            raise wrong("size", "No agent is here now: say who the members are.")
    return make(kind, members or (), **given)


def put(
    directory: Directory,
    kind: str | Topology,
    members: Iterable[str] | None,
    given: dict[str, Any],
    *,
    expect: int | None,
    who: str,
    why: str,
) -> Plan[Arrangement]:
    """Set it; as it is set then."""
    _check_said(expect, who, why)
    topology = yield from wanted(directory, kind, members, given)
    yield calls.put(check(topology), expect=expect, who=who, why=why)
    return (yield from get())


def clear(*, expect: int | None, who: str, why: str) -> Plan[Arrangement]:
    """Take it away: everybody may talk to everybody."""
    _check_said(expect, who, why)
    yield calls.put(None, expect=expect, who=who, why=why)
    return (yield from get())


def _check_said(expect: Any, who: Any, why: Any) -> None:
    if expect is not None and not is_whole(expect, 0):
        raise InvalidOption(
            f"expect={expect!r}: give the version that must be set now, 0 for none.",
            option="expect",
        )
    for option, text in (("who", who), ("why", why)):
        if not isinstance(text, str):
            raise InvalidOption(f"{option}={text!r} is not text.", option=option)


def get() -> Plan[Arrangement]:
    """What is set."""
    found: Arrangement | None = yield calls.look()
    assert found is not None
    return found


def plan(
    directory: Directory, kind: str | Topology, members: Iterable[str] | None, given: dict[str, Any]
) -> Plan[Change]:
    """What setting it would change."""
    then = yield from wanted(directory, kind, members, given)
    now = yield from get()
    return change(View(now.version, now.topology), then)


def past() -> Plan[tuple[Arrangement, ...]]:
    """The versions that there were."""
    found: tuple[Arrangement, ...] = yield calls.past()
    return found


def restore(version: int, *, expect: int | None, who: str) -> Plan[Arrangement]:
    """Set an earlier version again, as a new one. Raises TopologyNotFound."""
    found = yield from past()
    old = next((one for one in found if one.version == version), None)
    if old is None:
        kept = ", ".join(str(one.version) for one in found) or "none yet"
        raise TopologyNotFound(
            f"Version {version!r} of the topology is not kept; there are: {kept}.", version=version
        )
    _check_said(expect, who, "")
    why = f"version {version} again"
    if old.topology is None:
        return (yield from clear(expect=expect, who=who, why=why))
    yield calls.put(check(old.topology), expect=expect, who=who, why=why)
    return (yield from get())
