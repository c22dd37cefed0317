"""One worker silent: a crash. Much of its zone silent in the same moment: the zone is cut off.

Which of the two cannot be seen from outside, only judged: a machine that dies takes its workers
with it like a cable that is pulled. So a verdict comes with its evidence, and what follows from it
is right in both cases: claims lapse, and who comes back comes as a new incarnation. The difference
is whether the fleet counts on them: those of a partition stay known until they are back, a crashed
worker only for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from coordq.fleet.sentences import counted, lasting, listed

TOGETHER_MIN: Final = 2
"""So many workers at least make a partition."""
SHARE_MIN: Final = 0.5
"""... and such a part of their zone."""
WINDOW_BEATS: Final = 2.0
"""Last beats no further apart than this may have one cause."""
MISSED_BEATS: Final = 1.5
"""Who has been silent for so long has missed a beat."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A worker that has missed a beat at least."""

    name: str
    zone: str
    heard_ms: int
    silence_ms: float
    beat_ms: float
    phi: float
    dead: bool
    """It has been silent for long enough to be declared dead."""
    overdue: bool
    """... and there is no time left to wait for others of its zone."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has become of workers that are silent for good."""

    kind: Literal["crash", "partition"]
    zone: str
    members: tuple[str, ...]
    evidence: str
    """A sentence without a full stop."""


def classify(
    silent: Sequence[Silent],
    population: Mapping[str, int],
    *,
    parted: Iterable[str] = (),
    own_zone: str = "",
) -> list[Verdict]:
    """Verdicts on those of `silent` that are dead; on nobody for whose zone it is too early.

    population: zone -> how many of its workers could be reached before, the silent ones included.
    parted: zones that are cut off already; who falls silent there has gone with them.
    own_zone: where the judge is. It reaches Redis, so its zone is not cut off.
    """
    verdicts: list[Verdict] = []
    gone = frozenset(parted)
    quiet = Counter(one.zone for one in silent)
    beating = {zone: amount - quiet[zone] for zone, amount in population.items()}
    for zone in dict.fromkeys(one.zone for one in silent if one.dead):
        there = [one for one in silent if one.zone == zone]
        zone_verdicts = (
            [_latecomer(one) for one in there if one.dead]
            if zone in gone
            else _judge(zone, there, beating, own_zone)
        )
        verdicts += zone_verdicts
    return verdicts


def _judge(
    zone: str, there: Sequence[Silent], beating: Mapping[str, int], own_zone: str
) -> list[Verdict]:
    dead = [one for one in there if one.dead]
    first = min(dead, key=lambda one: one.heard_ms)
    together = [one for one in there if _same_moment(first, one)]
    here = beating.get(zone, 0) + len(there)
    if zone == own_zone or len(together) < TOGETHER_MIN or len(together) < here * SHARE_MIN:
        return [_crash(one, there, beating, own_zone) for one in dead]
    if not (all(one.dead for one in together) or any(one.overdue for one in together)):
        return []
    cut_off = [one for one in together if one.dead]
    others = [one for one in dead if one not in cut_off]
    if len(cut_off) < TOGETHER_MIN or len(cut_off) < here * SHARE_MIN:
        return [_crash(one, there, beating, own_zone) for one in dead]
    return [
        _partition(zone, cut_off, here, beating),
        *(_crash(one, there, beating, own_zone) for one in others),
    ]


def _same_moment(first: Silent, other: Silent) -> bool:
    apart_ms = abs(first.heard_ms - other.heard_ms)
    return apart_ms <= WINDOW_BEATS * max(first.beat_ms, other.beat_ms)


def silence(one: Silent) -> str:
    """What tells against a worker: silent for 9.1 s, beats every 2 s, phi 12.3."""
    return (
        f"silent for {lasting(one.silence_ms)}, beats every {lasting(one.beat_ms)}, "
        f"phi {one.phi:.1f}"
    )


def _crash(
    one: Silent, there: Sequence[Silent], beating: Mapping[str, int], own_zone: str
) -> Verdict:
    well = beating.get(one.zone, 0)
    if well == 1:
        others = f"the other worker of zone {one.zone} beats"
    elif well > 1:
        others = f"the other {well} workers of zone {one.zone} beat"
    elif one.zone == own_zone:
        others = f"zone {one.zone} is not cut off, this supervisor is in it and reaches Redis"
    elif len(there) > 1:
        others = f"so are {counted(len(there) - 1, 'other')} of zone {one.zone}, at other moments"
    else:
        others = f"no other worker is in zone {one.zone}"
    return Verdict("crash", one.zone, (one.name,), f"{silence(one)}; {others}")


def _latecomer(one: Silent) -> Verdict:
    evidence = f"{silence(one)}; its zone {one.zone} is cut off"
    return Verdict("partition", one.zone, (one.name,), evidence)


def _partition(
    zone: str, cut_off: Sequence[Silent], here: int, beating: Mapping[str, int]
) -> Verdict:
    heard = [one.heard_ms for one in cut_off]
    within = lasting(max(heard) - min(heard))
    ago = lasting(min(one.silence_ms for one in cut_off))
    names = [one.name for one in cut_off]
    rest = {other: amount for other, amount in beating.items() if other != zone and amount}
    elsewhere = (
        f"{counted(sum(rest.values()), 'worker')} of {counted(len(rest), 'other zone')} "
        "can be reached"
        if rest
        else "no worker of another zone beats"
    )
    return Verdict(
        "partition",
        zone,
        tuple(names),
        f"{len(names)} of {counted(here, 'worker')} ({listed(names)}) fell silent within {within}, "
        f"{ago} ago; {elsewhere}: the zone is cut off, or its machines died together",
    )
