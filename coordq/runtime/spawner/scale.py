"""How many workers a group should have, from how long its tasks wait and how busy it is.

Growing asks for both: tasks that have waited too long, and workers that are busy. If they are
not, more of them would change nothing: a queue may be paused, or nobody may know its tasks. It
grows by as much as would bring utilisation down to what is wanted, at least by one, at most to
twice its size.

Shrinking is slow on purpose: one worker at a time, only after a cooldown in which nothing waited
and one worker less would have done, and done with room to spare, or it would soon be wanted back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SPARE: Final = 0.9
"""One worker less must keep utilisation below this share of what is wanted: the hysteresis."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a group's file says. Times are seconds."""

    least: int
    most: int
    scale_up_age_s: float = 5.0
    utilisation: float = 0.7
    cooldown_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What a group has to do, and what it has to do it with."""

    size: int
    """Workers wanted now."""
    backlog_age_s: float | None
    """Age of the oldest task that is ready; None when nothing is."""
    utilisation: float
    """Running tasks per slot of the workers that serve; 0 when none does."""
    serving: int
    """Workers that have begun to serve."""
    idle_s: float = 0.0
    """For how long the group has been too large, see `too_large`."""


def decide(load: Load, rule: Rule) -> int:
    """The size that a group should have from now on."""
    size = min(max(load.size, rule.least), rule.most)
    if size != load.size:
        return size
    if load.size == 0:
        return 0 if load.backlog_age_s is None else min(1, rule.most)
    if _too_small(load, rule):
        wanted = math.ceil(load.size * load.utilisation / rule.utilisation)
        return min(max(load.size + 1, min(wanted, load.size * 2)), rule.most)
    if too_large(load, rule) and load.idle_s >= rule.cooldown_s:
        return max(load.size - 1, rule.least)
    return load.size


def _too_small(load: Load, rule: Rule) -> bool:
    """Tasks wait, all workers that were wanted have come, and they are busy."""
    if load.backlog_age_s is None or load.backlog_age_s < rule.scale_up_age_s:
        return False
    return load.serving >= load.size and load.utilisation >= rule.utilisation


def too_large(load: Load, rule: Rule) -> bool:
    """Whether one worker less would do. How long that has been so is `idle_s`."""
    if load.size <= rule.least or load.serving < load.size:
        return False
    if load.backlog_age_s is not None and load.backlog_age_s >= rule.scale_up_age_s:
        return False
    if load.size == 1:
        return load.backlog_age_s is None and load.utilisation == 0
    shared = load.utilisation * load.size / (load.size - 1)
    return shared < rule.utilisation * SPARE
