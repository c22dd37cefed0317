"""An adaptive topology follows its fleet: who joins, who is gone, and what kind it is; pure.

What is changed is kept small: those who stay keep their places, and one who comes takes that of
one who has left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coordq.fleet.topology.adapt import Adapt, Leaning, lean, weight
from coordq.fleet.topology.layout import branches, regrouped
from coordq.fleet.topology.shape import Topology


@dataclass(frozen=True, slots=True)
class Memory:
    """What has been seen of the fleet and is not decided yet."""

    leaning: Leaning = field(default_factory=Leaning)
    away: Mapping[str, float] = field(default_factory=dict)
    """Members that are not there, and since when."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now."""

    topology: Topology | None
    """What the fleet should be from now on; None: nothing is to change."""
    why: str
    memory: Memory


def follow(
    now: Topology, present: Collection[str], load: float, memory: Memory, now_s: float
) -> Step:
    """One look at the fleet. `now` must be adaptive.

    present: the agents that are there. load: the share of their slots that are taken, 0 to 1.
    now_s: seconds on a clock that never steps. One who comes is a member at once; one who is gone
    stays a member for `settle_s`, since most come back; the last members stay.
    """
    settings = now.adapt or Adapt()
    away = {one: memory.away.get(one, now_s) for one in now.members if one not in present}
    gone = {one for one, since in away.items() if now_s - since >= settings.settle_s}
    new = [one for one in sorted(present) if one not in now.members]
    names = places(now.members, gone, new)
    if not names:
        return Step(None, "", Memory(away=away))
    heavy = weight(settings, len(names), load)
    kind, leaning = lean(settings, now.kind, heavy, memory.leaning, now_s)
    kept = Memory(leaning, {one: since for one, since in away.items() if one not in gone})
    if kind == now.kind and not (gone or new):
        return Step(None, "", kept)
    return Step(arranged(now, kind, names), _why(now, kind, gone, new, load), kept)


def _why(now: Topology, kind: str, gone: Collection[str], new: Collection[str], load: float) -> str:
    words = [f"{len(new)} came"] if new else []
    words += [f"{len(gone)} left"] if gone else []
    if kind != now.kind:
        size = len(now.members) + len(new) - len(gone)
        words.append(f"{size} agents at {load:.0%} load are better off as a {kind}")
    return ", ".join(words)


def places(members: Sequence[str], gone: Collection[str], new: Sequence[str]) -> list[str]:
    """Who is a member from now on; those who come, and then the last, fill the gaps."""
    kept, coming = list(members), list(new)
    for at in range(len(kept) - 1, -1, -1):
        if kept[at] not in gone:
            continue
        if coming:
            kept[at] = coming.pop(0)
        else:
            last = kept.pop()
            if at < len(kept):
                kept[at] = last
    return kept + coming


def arranged(now: Topology, kind: str, names: Sequence[str]) -> Topology:
    """The members as a kind, near to what they are now."""
    settings = now.adapt or Adapt()
    hub = now.hub if now.hub in names else names[0]
    bare = replace(
        now, kind=kind, members=tuple(names), hub="", reports=(), groups=(), links=(),
        one_way=False, acyclic=False,
    )  # fmt: skip
    if kind == "star":
        return replace(bare, hub=hub)
    if kind == "tree":
        return replace(bare, reports=branches(names, settings.fanout))
    before = now.groups if now.kind == "groups" else ()
    return replace(bare, groups=regrouped(before, names, settings.group_size))
