"""A topology compiled for the question that is asked for each message: may these two talk?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from coordq.fleet.topology.shape import Topology


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one agent may talk to another. True when it may."""

    ok: bool
    reason: str
    """A sentence when it may not; "" when it may."""
    version: int
    """Of the topology that says so."""

    def __bool__(self) -> bool:
        return self.ok

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"ok": self.ok, "reason": self.reason, "version": self.version}


class View:
    """One version of a topology, ready to be asked; it never changes.

    Without a topology everybody may talk to everybody.
    """

    __slots__ = ("_allowed", "_bosses", "_linked", "_members", "_peers", "topology", "version")

    def __init__(self, version: int = 0, topology: Topology | None = None) -> None:
        self.version = version
        self.topology = topology
        self._allowed: Final = Verdict(True, "", version)  # noqa: FBT003 - the verdict
        self._members = dict.fromkeys(topology.members if topology else ())
        self._bosses: dict[str, str] = dict(topology.bosses()) if topology else {}
        self._peers = _peers(topology) if topology else {}
        self._linked: Callable[[str, str], bool] = self._is_peer
        if topology is not None and topology.kind == "mesh":
            self._linked = _always

    def may_talk(self, sender: str, receiver: str) -> Verdict:
        """Whether `sender` may send to `receiver` now, and why not.

        "" stands for whoever is no agent, such as a program that only publishes: it may always.
        """
        topology = self.topology
        if topology is None or sender == receiver or not sender or not receiver:
            return self._allowed
        members = self._members
        if sender in members and receiver in members:
            if self._linked(sender, receiver):
                return self._allowed
            return Verdict(False, self._apart(sender, receiver), self.version)  # noqa: FBT003
        if topology.strangers == "allow":
            return self._allowed
        stranger = receiver if sender in members else sender
        return Verdict(
            False,  # noqa: FBT003
            f"{stranger} is not in the topology (version {self.version}), and it lets no strangers "
            "talk: add it, or set strangers=allow.",
            self.version,
        )

    def at_take(self, sender: str, receiver: str, sent_under: int) -> Verdict:
        """Whether a message that was sent under an older version is still delivered.

        sent_under: the version by which the sender was allowed to send, 0 for none. With
        in_flight=deliver what was allowed then is delivered; with return only what is allowed now.
        """
        verdict = self.may_talk(sender, receiver)
        if verdict.ok or self.topology is None:
            return verdict
        if self.topology.in_flight == "deliver" and sent_under < self.version:
            return self._allowed
        return verdict

    def peers(self, agent: str) -> frozenset[str]:
        """To whom an agent may send, itself not included; members only."""
        if self.topology is not None and self.topology.kind == "mesh":
            return frozenset(self._members) - {agent} if agent in self._members else frozenset()
        return frozenset(self._peers.get(agent, ()))

    def boss(self, agent: str) -> str:
        """To whom an agent reports; "" for nobody."""
        return self._bosses.get(agent, "")

    def reports(self, agent: str) -> tuple[str, ...]:
        """Who reports to an agent."""
        return tuple(low for low, high in self._bosses.items() if high == agent)

    def __contains__(self, agent: object) -> bool:
        return agent in self._members

    def _is_peer(self, sender: str, receiver: str) -> bool:
        peers = self._peers.get(sender)
        return peers is not None and receiver in peers

    def _apart(self, sender: str, receiver: str) -> str:
        topology = self.topology
        assert topology is not None
        start = f"{sender} may not talk to {receiver}: "
        version = f" (topology version {self.version})"
        match topology.kind:
            case "star":
                return f"{start}in this star all talk by way of {topology.hub}{version}."
            case "ring":
                return f"{start}in this ring each talks to the one before it and the next{version}."
            case "tree":
                near = f"{self.boss(sender) or 'nobody'}, to whom it reports"
                return f"{start}in this tree it talks to {near}, and who reports to it{version}."
            case "groups":
                return f"{start}they are in different groups, and not both are heads{version}."
        if topology.one_way and sender in self._peers.get(receiver, ()):
            return f"{start}their link goes the other way{version}."
        return f"{start}no link joins them{version}."


def _always(_sender: str, _receiver: str) -> bool:
    return True


def _peers(topology: Topology) -> dict[str, set[str]]:
    """To whom each may send; empty for a mesh, where that is everybody."""
    peers: dict[str, set[str]] = {}
    if topology.kind == "mesh":
        return peers
    for one, other in topology.pairs():
        peers.setdefault(one, set()).add(other)
        if not topology.one_way:
            peers.setdefault(other, set()).add(one)
    return peers
