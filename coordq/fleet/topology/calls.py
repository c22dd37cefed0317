"""Operations on the topology that is set, on shard 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Call
from coordq.errors import Conflict, ForeignData
from coordq.fleet.topology.shape import Topology, load_topology
from coordq.ids import new_id

HISTORY_MAX: Final = 32
"""Versions that are kept; lua/topology/set.lua cuts the list."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """One version of the topology."""

    version: int
    """0: none was ever set."""
    topology: Topology | None = None
    """None: everybody may talk to everybody; in the history also one that cannot be read."""
    at_ms: int = 0
    """When it was set, in milliseconds since 1970, by Redis's clock."""
    who: str = ""
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "version": self.version,
            "topology": None if self.topology is None else self.topology.to_json(),
            "at_ms": self.at_ms,
            "who": self.who,
            "why": self.why,
        }


def put(
    topology: Topology | None,
    *,
    expect: int | None = None,
    who: str,
    why: str = "",
    epoch: int | None = None,
) -> Call[int]:
    """Set it, if `expect` is the version that is set now; its version.

    topology: checked before; None takes it away. expect: None for whatever is set. epoch: a
    leader's. A topology that is set already is not set again. Raises Conflict, Deposed.
    """

    def read(reply: Any) -> int:
        done, version = reply
        if not done:
            raise Conflict(
                f"The topology is version {version} now, not {expect}: look at it again.",
                version=version,
                expected=expect,
            )
        return int(version)

    args = (
        "" if epoch is None else epoch,
        new_id(),
        "" if expect is None else expect,
        "" if topology is None else topology.text(),
        _line(who) or "-",
        _line(why),
        "none: all may talk to all" if topology is None else topology.words(),
    )
    return Call("topology/set", 0, args, read)


def look(known: int | None = None) -> Call[Arrangement | None]:
    """The topology that is set; None when that is still version `known`. Raises ForeignData."""

    def read(reply: Any) -> Arrangement | None:
        if len(reply) == 1:
            return None
        seen = _read(*reply)
        if seen.topology is None and reply[4]:
            raise ForeignData(
                f"The topology (version {seen.version}, by {seen.who}) cannot be read: another "
                "version of coordq may have written it. Set it again, or upgrade.",
                version=seen.version,
            )
        return seen

    return Call("topology/look", 0, ("" if known is None else known,), read)


def past() -> Call[tuple[Arrangement, ...]]:
    """The last versions, newest first, up to 32."""

    def read(reply: Any) -> tuple[Arrangement, ...]:
        return tuple(_read(*entry) for entry in reply)

    return Call("topology/past", 0, (), read)


def _read(version: int, at_ms: bytes, who: bytes, why: bytes, text: bytes) -> Arrangement:
    return Arrangement(
        int(version),
        load_topology(text) if text else None,
        int(at_ms),
        who.decode(errors="replace"),
        why.decode(errors="replace"),
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
