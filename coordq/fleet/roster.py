"""The roster: who belongs to the fleet, what is thought of them, and the calls that keep it.

It lives in Redis, so that a new leader goes on where the last one stopped. Workers themselves never
read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from coordq.engine.call import Argument, Call
from coordq.fleet.agents import whole
from coordq.fleet.suspicion import DEFAULT_BEAT_MS

PROTOCOL: Final = 2
"""What workers of this version speak. Those of 0.1 do not say, and speak 1."""
LEASE_BEATS: Final = 5
MEMORY: Final = "*memory"
"""The field in which the leader remembers what concerns no single worker."""
_INFO_LEASES: Final = 3
"""How many leases a worker's info lives for after each full beat."""


class Health(StrEnum):
    """What is thought of a worker."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    """Silent for longer than it ever is."""
    FLAPPING = "flapping"
    """It beats, but has been suspected again and again."""
    DEAD = "dead"
    """Silent for so long that it is taken for crashed."""
    PARTITIONED = "partitioned"
    """Silent together with much of its zone."""

    @property
    def reachable(self) -> bool:
        """Whether it counts among those who can be reached."""
        return self not in {Health.DEAD, Health.PARTITIONED}


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the fleet has to know of a worker, out of what it says of itself."""

    zone: str = "-"
    """What fails together: its zone, else its host."""
    beat_ms: int = 0
    """0: it does not say, as those of 0.1."""
    lease_ms: int = DEFAULT_BEAT_MS * LEASE_BEATS
    incarnation: int = 0
    """How often it has come into the fleet; 0: it does not say."""
    lost: int = 0
    """How many of its claims others took, since it started."""
    protocol: int = 1


def introduction(info: bytes, ttl_ms: int = 0) -> Introduction:
    """What a worker's info says; it may be of another version, or no JSON at all.

    ttl_ms: how long the info will live, from its last beat on. It tells how long the lease is.
    """
    try:
        facts = json.loads(info)
    except ValueError:
        facts = {}
    if not isinstance(facts, dict):
        facts = {}
    beat_ms = whole(facts.get("beat_ms"))
    lease_ms = whole(facts.get("lease_ms")) or max(0, ttl_ms) // _INFO_LEASES
    return Introduction(
        zone=_word(facts.get("zone")) or _word(facts.get("host")) or "-",
        beat_ms=beat_ms,
        lease_ms=lease_ms or (beat_ms or DEFAULT_BEAT_MS) * LEASE_BEATS,
        incarnation=whole(facts.get("incarnation")),
        lost=whole(facts.get("lost")),
        protocol=whole(facts.get("protocol")) or 1,
    )


def _word(value: Any) -> str:
    return "-".join(str(value).split())[:100] if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Member:
    """One worker of the known fleet."""

    name: str
    zone: str
    health: Health
    since_ms: int
    """Since when it is thought of like that; milliseconds since 1970, by Redis's clock."""
    heard_ms: int
    """Its last beat, when this was written."""
    joined_ms: int
    beat_ms: int
    """It promised a beat in so long; 0: it did not say."""
    lease_ms: int
    incarnation: int
    lost: int
    protocol: int
    penalty: float = 0.0
    """For flapping, see `suspicion.Damper`; as of `since_ms`."""

    @property
    def lineage(self) -> str:
        """What it shares with the worker that replaces it when it is restarted."""
        return f"{self.zone} {self.name.rpartition('.')[0]}"

    @property
    def pace_ms(self) -> int:
        """The longest that may lie between two beats, as far as it told: a third of its lease."""
        return self.beat_ms or max(1, self.lease_ms // 3)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "zone": self.zone,
            "health": self.health.value,
            "since_ms": self.since_ms,
            "heard_ms": self.heard_ms,
            "joined_ms": self.joined_ms,
            "beat_ms": self.beat_ms,
            "lease_ms": self.lease_ms,
            "incarnation": self.incarnation,
            "lost": self.lost,
            "protocol": self.protocol,
            "penalty": round(self.penalty, 2),
        }


def newcomer(name: str, said: Introduction, *, now_ms: int, heard_ms: int) -> Member:
    """A worker that comes into the fleet, or back into it."""
    return Member(
        name=name,
        zone=said.zone,
        health=Health.HEALTHY,
        since_ms=now_ms,
        heard_ms=heard_ms,
        joined_ms=now_ms,
        beat_ms=said.beat_ms,
        lease_ms=said.lease_ms,
        incarnation=said.incarnation,
        lost=said.lost,
        protocol=said.protocol,
    )


def read_member(name: str, text: bytes) -> Member | None:
    """A field of the roster; None when a stranger wrote it."""
    try:
        facts = json.loads(text)
        penalty = float(facts.pop("penalty", 0))
        zone, health = str(facts.pop("zone")), Health(facts.pop("health"))
        numbers = {key: int(facts[key]) for key in _NUMBERS}
        return Member(name=name, zone=zone, health=health, penalty=penalty, **numbers)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


_NUMBERS: Final = (
    "since_ms",
    "heard_ms",
    "joined_ms",
    "beat_ms",
    "lease_ms",
    "incarnation",
    "lost",
    "protocol",
)

Verb = Literal["add", "set", "dead", "drop"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of the roster."""

    verb: Verb
    """add a worker; set what is thought of a known one; dead: set, and have Redis forget the worker
    if it has not beaten since; drop it."""
    member: Member


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has said."""

    expect: int = 0
    """How large the fleet is; 0: count it."""
    writable: bool = False
    """The fleet shall not become read-only by itself until it has been whole again."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The fleet as the leader saw it at one moment. Times are Redis's."""

    now_ms: int
    seen_ms: int
    """When a leader last looked before and had its answer; 0: never."""
    grace_ms: int
    """> 0: workers noticed an outage of Redis themselves; for so long nobody reaps."""
    known: int
    """How many workers the roster has."""
    beats: dict[str, int]
    """Worker -> its last beat."""
    introductions: dict[str, Introduction] = field(default_factory=dict)
    """Of those that were asked for."""
    policy: Policy = field(default_factory=Policy)


def observe(epoch: int, *, seen_ms: int = 0, wanted: Sequence[str] = ()) -> Call[Sight]:
    """Look at all beats; `wanted`: whose introductions are needed. Raises Deposed.

    seen_ms: `Sight.now_ms` of the last look whose answer arrived, 0 for none.
    """
    return Call("fleet/observe", 0, (epoch, seen_ms, *wanted), _read_sight)


def _read_sight(reply: Any) -> Sight:
    now_ms, seen_ms, grace_ms, known, beats, infos, expect, writable = reply
    return Sight(
        now_ms=now_ms,
        seen_ms=seen_ms,
        grace_ms=grace_ms,
        known=known,
        beats=read_beats(beats),
        introductions={
            infos[at].decode(): introduction(infos[at + 1], infos[at + 2])
            for at in range(0, len(infos), 3)
        },
        policy=Policy(expect, writable == 1),
    )


def read_beats(flat: list[bytes]) -> dict[str, int]:
    """Worker -> when it last beat, from a ZRANGE with scores."""
    return {flat[at].decode(): int(float(flat[at + 1])) for at in range(0, len(flat), 2)}


def enroll(epoch: int, entries: Iterable[Entry], *, memory: str = "") -> Call[dict[str, str]]:
    """Change the roster. Raises Deposed.

    Answers by worker: "ok"; "alive", it has beaten, so it is not dead; "unknown", somebody has
    forgotten it.

    memory: JSON of what the leader remembers besides, "" to leave it.
    """
    listed = list(entries)
    args: list[Argument] = [epoch, memory]
    for entry in listed:
        text = json.dumps(entry.member.to_json(), separators=(",", ":"))
        args += [entry.verb, entry.member.name, entry.member.heard_ms, text]

    def read(reply: Any) -> dict[str, str]:
        answers = zip(listed, reply, strict=True)
        return {entry.member.name: answer.decode() for entry, answer in answers}

    return Call("fleet/enroll", 0, tuple(args), read)


def disown(shard: int, epoch: int, heard: Mapping[str, int]) -> Call[int]:
    """Have a further shard forget dead workers that it has not heard since. Raises Deposed.

    heard: worker -> its last beat, in milliseconds. Returns how many were forgotten.
    """
    args: list[Argument] = [epoch]
    for name, heard_ms in heard.items():
        args += [name, heard_ms]
    return Call("fleet/disown", shard, tuple(args), int)


@dataclass(frozen=True, slots=True)
class Roster:
    """All of the roster."""

    members: dict[str, Member]
    names: tuple[str, ...]
    """Of all its fields, also of those that a stranger wrote."""
    memory: bytes
    """JSON, or empty."""


def read_roster(flat: list[bytes]) -> Roster:
    """The HASH `roster`, from an HGETALL."""
    fields = {flat[at].decode(): flat[at + 1] for at in range(0, len(flat), 2)}
    memory = fields.pop(MEMORY, b"")
    texts = {name: text for name, text in fields.items() if name[:1] != "*"}
    read = (read_member(name, text) for name, text in texts.items())
    members = {member.name: member for member in read if member is not None}
    return Roster(members, tuple(texts), memory)


def forget(shard: int, worker: str, silence_ms: int) -> Call[str]:
    """Strike a worker from everything but its claims.

    Answers "forgotten"; "alive", it beat less than `silence_ms` ago and nothing was changed;
    "unknown", nothing knows it.
    """
    return Call("fleet/forget", shard, (worker, silence_ms), lambda reply: reply.decode())


def set_policy(
    name: Literal["expect", "writable"], value: int, *, epoch: int | None = None
) -> Call[None]:
    """Write down what the operator says; 0 takes it back.

    epoch: the leader's, which takes back what has come to pass; None for an operator.
    Raises Deposed.
    """
    args = ("" if epoch is None else epoch, name, value)
    return Call("fleet/policy", 0, args, lambda _: None)
