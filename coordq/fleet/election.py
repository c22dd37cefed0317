"""Who leads the supervisors: campaigning, holding, and handing over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.engine.call import Call

LEADER_LEASE_MS: Final = 3000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A supervisor that would lead."""

    name: str
    """No other process has it."""
    lease_ms: int = LEADER_LEASE_MS
    settings: dict[str, Any] = field(default_factory=dict)
    """How it would lead."""
    info: dict[str, Any] = field(default_factory=dict)
    """Where it runs, for lists."""


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads."""

    name: str
    epoch: int
    left_ms: int
    """How long its lease lasts unless it is renewed."""
    since_ms: int
    """When it was elected, in milliseconds since 1970, by Redis's clock."""
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a campaign."""

    leads: bool
    """Whether the candidate is the leader now."""
    leader: Leader


@dataclass(frozen=True, slots=True)
class Listed:
    """A supervisor that was heard lately, leading or not."""

    name: str
    heard_ms: int
    """When it last campaigned, in milliseconds since 1970, by Redis's clock."""
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """Who leads, and who else would."""

    leader: Leader | None
    supervisors: tuple[Listed, ...]
    """The leader among them, longest silent first."""
    now_ms: int


def campaign(candidate: Candidate, *, floor: int = 0) -> Call[Answer]:
    """Lead, or go on leading, unless another does.

    floor: the highest epoch that must not be the candidate's own. One less than the epoch it holds
    keeps that; else the highest it has heard of.
    """

    def read(reply: Any) -> Answer:
        leads, *office = reply
        return Answer(leads == 1, _read_leader(office))

    args = (
        candidate.name,
        candidate.lease_ms,
        floor,
        _dump(candidate.settings),
        _dump(candidate.info),
    )
    return Call("fleet/campaign", 0, args, read)


def resign(name: str) -> Call[bool]:
    """A supervisor ends in good order; true when it led, and another may at once."""
    return Call("fleet/resign", 0, (name,), lambda reply: reply == 1)


def inaugurate(shard: int, epoch: int) -> Call[None]:
    """Make an epoch known to a shard. Raises Deposed when the shard has seen a newer one."""
    return Call("fleet/inaugurate", shard, (epoch,), lambda _: None)


def standing() -> Call[Standing]:
    """Who leads, and which supervisors there are."""

    def read(reply: Any) -> Standing:
        office, flat, now_ms = reply
        listed = tuple(
            Listed(flat[at].decode(), flat[at + 1], _load(flat[at + 2]))
            for at in range(0, len(flat), 3)
        )
        return Standing(_read_leader(office) if office else None, listed, now_ms)

    return Call("fleet/standing", 0, (), read)


def _read_leader(office: Any) -> Leader:
    name, epoch, left_ms, since_ms, settings = office
    return Leader(name.decode(), epoch, max(0, left_ms), since_ms, _load(settings))


def _dump(facts: dict[str, Any]) -> str:
    return json.dumps(facts, separators=(",", ":"))


def _load(text: bytes) -> dict[str, Any]:
    """What another version, or a stranger, may have written: {} when it is no JSON object."""
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
