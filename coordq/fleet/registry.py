"""The registry of agents: what is kept of them on shard 0, and how it is changed.

Every operation is a Call; what two callers could decide differently is decided in lua/lib/agents.
`directory.py` makes agents out of what is read here and what workers say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

from coordq.engine.call import Argument, Call
from coordq.fleet.profile import Profile

STAND_IN_AFTER_S: Final = 10.0
"""An agent that is away for so long gets a stand-in, if it names some: longer than a restart."""


class Verdict(NamedTuple):
    """What became of a change."""

    verdict: str
    """ok, gone, conflict, hosted, unknown, full: as the scripts say."""
    number: int
    """A version, or how many workers have the agent."""


@dataclass(frozen=True, slots=True)
class Record:
    """One agent as HASH agents holds it; see lua/lib/agents.lua."""

    version: int
    revision: int
    born_ms: int
    changed_ms: int
    in_workers: bool
    base: bytes
    said: bytes


class Outside(NamedTuple):
    """An agent outside workers, as far as it was heard."""

    until_ms: int
    load: float | None


class StandIn(NamedTuple):
    """Who acts for an agent."""

    by: str
    who: str
    """Who said so: an operator's name, or `policy`."""
    since_ms: int


@dataclass(frozen=True, slots=True)
class News:
    """What the registry has to tell somebody who knows it up to some revision."""

    now_ms: int
    revision: int
    all: bool
    """Whether these are all agents, or those that moved."""
    records: Mapping[str, Record | None]
    """None: forgotten."""
    stand_ins: Mapping[str, StandIn]
    outside: Mapping[str, Outside] | None
    """None: as it was, since nothing moved."""
    away: Mapping[str, int] | None
    infos: tuple[bytes, ...] | None
    """What workers say of themselves: JSON; None unless asked for."""


def host(worker: str, agents: Mapping[str, Profile]) -> Call[int]:
    """A worker says which agents it has; how many are new or have changed, -1 for no room."""
    args = [text for name, one in agents.items() for text in (name, one.text())]
    return Call("fleet/host", 0, (worker, *args), int)


def unhost(worker: str) -> Call[list[str]]:
    """A worker has no agents any more; those that nobody has now."""
    return Call("fleet/unhost", 0, (worker,), lambda reply: [name.decode() for name in reply])


def register(
    name: str, profile: Profile, *, load: float | None = None, version: int | None = None
) -> Call[Verdict]:
    """An agent outside workers makes itself known, or describes itself anew.

    version: which it must have, 0 for none yet; None: any. Repeating it has one effect.
    """
    expected: Argument = "" if version is None else version
    args = (name, profile.text(), profile.ttl_ms, _load_text(load), expected)
    return Call("fleet/register", 0, args, _verdict)


def present(name: str, *, load: float | None = None) -> Call[int]:
    """It is still there: for how many ms that counts; 0 not known, -1 workers speak for it."""
    return Call("fleet/present", 0, (name, _load_text(load)), int)


def revise(name: str, said: str, *, version: int, who: str) -> Call[Verdict]:
    """All that an operator says of an agent from now on, as `profile.said_text` makes it."""
    return Call("fleet/revise", 0, (name, version, said, who), _verdict)


def depart(name: str, *, forget: bool = False) -> Call[Verdict]:
    """It leaves; it stays known unless it is forgotten."""
    return Call("fleet/depart", 0, (name, int(forget)), _verdict)


def stand_in(name: str, by: str, *, who: str) -> Call[str]:
    """One acts for another from now on; "" ends it. ok, unknown, nobody or circle."""
    return Call("fleet/stand_in", 0, (name, by, who), lambda reply: reply.decode())


def tend(epoch: int, *, after_s: float = STAND_IN_AFTER_S) -> Call[tuple[int, int]]:
    """The leader notices who is gone: how many, and how many stand-ins began."""
    return Call("fleet/tend", 0, (epoch, round(after_s * 1000)), lambda reply: (*reply,))


def look(since: int = 0, *, live: bool = True) -> Call[News]:
    """What moved since a revision; 0: everything. live: with what workers say of themselves."""
    return Call("fleet/agents", 0, (since, int(live)), _news)


def read_stand_ins(flat: Sequence[Any]) -> dict[str, StandIn]:
    """HASH stand-ins, field by value: who acts, by the name of whom."""
    return dict(_parsed(flat, _stand_in))


def deputies(stand_ins: Mapping[str, StandIn]) -> dict[str, str]:
    """Who acts for whom in the end, when a stand-in has one of its own."""
    found: dict[str, str] = {}
    for name, one in stand_ins.items():
        by, passed = one.by, {name}
        while by in stand_ins and by not in passed:
            passed.add(by)
            by = stand_ins[by].by
        found[name] = by
    return found


# -- reading ---------------------------------------------------------------------------------------


def _load_text(load: float | None) -> str:
    return "" if load is None else f"{load:.3f}"


def _verdict(reply: Any) -> Verdict:
    return Verdict(reply[0].decode(), int(reply[1]))


def _news(reply: Any) -> News:
    now_ms, revision, every, records, stand_ins, outside, away, infos = reply
    return News(
        now_ms,
        int(revision),
        every == 1,
        {name: _record(text) for name, text in _pairs(records)},
        read_stand_ins(stand_ins),
        None if outside is None else dict(_parsed(outside, _outside)),
        None if away is None else dict(_parsed(away, int)),
        None if infos is None else tuple(infos),
    )


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for name, value in list(pairwise(flat))[::2]:
        yield name.decode(errors="replace"), value


def _parsed(flat: Sequence[Any], parse: Any) -> Iterator[tuple[str, Any]]:
    """What can be read; a stranger's entries are left out."""
    for name, text in _pairs(flat):
        try:
            yield name, parse(text)
        except (ValueError, TypeError, IndexError, AttributeError):
            continue


def _record(text: bytes | None) -> Record | None:
    """None for what is not there, or was not written by coordq."""
    try:
        head, base, said = (text or b"").split(b"\n")
        version, revision, born, changed, kind = head.split(b" ")
        return Record(
            int(version), int(revision), int(born), int(changed), kind == b"w", base, said
        )
    except ValueError:
        return None


def _outside(text: bytes) -> Outside:
    until, _, load = text.split(b" ")
    return Outside(int(until), float(load) if load else None)


def _stand_in(text: bytes) -> StandIn:
    by, who, since = text.decode().split(" ")
    return StandIn(by, who, int(since))
