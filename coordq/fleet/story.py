"""What the leader tells of the fleet: events, each a sentence with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coordq.fleet.gap import Gap
from coordq.fleet.known import Tracked
from coordq.fleet.quorum import Standing
from coordq.fleet.roster import Health, Introduction, Member
from coordq.fleet.sentences import counted, lasting
from coordq.fleet.tell import Telling
from coordq.fleet.zones import Verdict

CROWD = 20
"""So many that come or go at once are told together."""


def gap(found: Gap, *, leader: str, there: int) -> list[Telling]:
    """The leader could not look for a while. there: how many workers could be reached before."""
    workers = counted(there, "worker")
    if found.kind == "outage":
        away = lasting(found.ms)
        what = f"did not answer for {away}, neither to this supervisor nor to {workers}"
        if found.moved:
            what = f"another server answers, after a failover, restart or move of up to {away}"
        detail = (
            f"{what}; nobody is suspected for it, and nobody at all before one lease has passed"
        )
        return [("outage", "redis", detail)]
    if found.kind == "cut-off":
        detail = (
            f"could not look for {lasting(found.ms)}, while {found.heard} of {workers} went on "
            "beating: it was cut off from Redis, or stopped; nobody is suspected for it"
        )
        return [("cut-off", leader, detail)]
    return []


def joined(arrived: Sequence[tuple[Member, str]], *, known: int) -> Iterable[Telling]:
    """Workers that are new, each with the name of the crashed one it replaces, or ""."""
    if len(arrived) > CROWD:
        zones = counted(len({member.zone for member, _ in arrived}), "zone")
        yield "joined", "fleet", f"{len(arrived)} workers of {zones}; the fleet has {known}"
        return
    for member, replaced in arrived:
        place = f", in the place of {replaced}" if replaced else ""
        detail = f"{_described(member)}{place}; the fleet has {counted(known, 'worker')}"
        yield "joined", member.name, detail


def _described(member: Member) -> str:
    if member.protocol < 2:  # noqa: PLR2004 - of 0.1
        return f"zone {member.zone}, of version 0.1: no incarnation, does not know read-only"
    return f"zone {member.zone}, beats every {lasting(member.pace_ms)}"


def rejoined(before: Member, said: Introduction, now_ms: int) -> Telling:
    """A worker that was given up is back."""
    cut_off = before.health is Health.PARTITIONED
    why = f"was cut off with zone {before.zone}" if cut_off else "was taken for crashed"
    number = f"incarnation {said.incarnation}" if said.incarnation else "of version 0.1"
    away = lasting(now_ms - before.heard_ms)
    return "rejoined", before.name, f"{number}; it {why}, and away for {away}"


def left(gone: Sequence[Member], *, remain: int, now_ms: int) -> Iterable[Telling]:
    """Workers that ended in good order."""
    rest = f"{counted(remain, 'worker')} {'remains' if remain == 1 else 'remain'}"
    if len(gone) > CROWD:
        yield "left", "fleet", f"{len(gone)} workers; {rest}"
        return
    for member in gone:
        stayed = lasting(now_ms - member.joined_ms)
        yield "left", member.name, f"in good order after {stayed}; {rest}"


def suspect(one: Tracked, now_ms: int) -> Telling:
    """A worker has been silent for longer than it ever is."""
    silence_ms = one.silence_ms(now_ms)
    detail = (
        f"silent for {lasting(silence_ms)}, beats every {lasting(one.rhythm.mean_ms)}, "
        f"phi {one.rhythm.phi(silence_ms):.1f}"
    )
    return "suspect", one.member.name, detail


def flapping(one: Tracked, now_ms: int) -> Telling:
    """A worker is suspected and heard again, and again."""
    detail = (
        f"suspected and heard again {one.damper.penalty(now_ms):.0f} times within minutes: no more "
        "of that is told until it has been steady for a while"
    )
    return "flapping", one.member.name, detail


def crashed(verdict: Verdict) -> Telling:
    """A worker is given up, alone."""
    detail = f"taken for crashed: {verdict.evidence}; its claims go back as their leases end"
    return "dead", verdict.members[0], detail


def straggler(name: str, zone: str) -> Telling:
    """A worker did not come back with its zone."""
    return "dead", name, f"taken for crashed: most of zone {zone} are back, it is not"


def forgotten(member: Member, now_ms: int) -> Telling:
    """A crashed worker counts no more."""
    gone = lasting(now_ms - member.since_ms)
    detail = f"dead for {gone} and not replaced: the fleet counts on it no more"
    return "forgotten", member.name, detail


def reachable(standing: Standing) -> str:
    """How much of the fleet is there."""
    said = "expected" if standing.expected else "known"
    return f"{standing.reachable} of {standing.known} {said} workers can be reached"


def minority(standing: Standing) -> str:
    """Why a fleet takes no new work."""
    return (
        f"{reachable(standing)}, fewer than the majority of {standing.majority}: the others may be "
        "at work on the other side of a partition; nothing new is taken or started"
    )
