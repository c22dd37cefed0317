"""When the leader could not look for a while: was Redis away, or the leader itself?

Both look alike from inside: no answer. Afterwards they differ. If nobody's beat arrived meanwhile,
or the workers noticed by themselves that nobody had beaten, or another server answers, Redis was
away; if others went on beating, it was the leader who was cut off, or stopped. Neither is a reason
to think less of a worker.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

NOTABLE_BEATS: Final = 0.75
"""Shorter than this is no gap: nothing can be overlooked in it."""
TOLD_BEATS: Final = 1.5
"""An outage worth telling is at least so long."""
CUT_OFF_BEATS: Final = 2.75
"""So long an outage would have been noticed by the workers; if not, it was us."""
EDGE_MS: Final = 1000
"""An outage begins so soon after the last look at the latest, and ends so shortly before this one
at the earliest: beats that near to either end tell nothing."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which the leader did not look."""

    ms: int
    kind: Literal["none", "pause", "outage", "cut-off"]
    """none: nothing to speak of. pause: something was missed, but it is not clear whose fault that
    was, and it was too short to matter."""
    excuses: bool
    """Whether silences start anew: who was not heard in it is not to blame."""
    heard: int = 0
    """How many workers were heard in it."""
    moved: bool = False
    """Another server answers than before."""


NO_GAP: Final = Gap(0, "none", excuses=False)


def judge_gap(
    now_ms: int,
    seen_ms: int,
    beats: Collection[int],
    *,
    beat_ms: float,
    ours: bool,
    grace: bool,
    other_server: bool,
) -> Gap:
    """What a gap since `seen_ms` was.

    beats: the last ones of all that could be reached before. beat_ms: the shortest promise among
    them. ours: the last look was this supervisor's own. grace: workers noticed an outage.
    other_server: another server answers than before.
    """
    ms = now_ms - seen_ms
    if not seen_ms or not beats or (ms < NOTABLE_BEATS * beat_ms and not other_server):
        return NO_GAP
    heard = [beat for beat in beats if beat > seen_ms + EDGE_MS]
    away = grace or other_server or not heard
    in_the_middle = any(beat < now_ms - EDGE_MS for beat in heard)
    kind: Literal["pause", "outage", "cut-off"] = "pause"
    long = ms >= EDGE_MS + TOLD_BEATS * beat_ms
    if other_server or (away and (ours or grace) and long):
        kind = "outage"
    elif ours and not away and ms >= EDGE_MS + CUT_OFF_BEATS * beat_ms:
        kind = "cut-off"
    excuses = away or ours or not in_the_middle
    return Gap(ms, kind, excuses=excuses, heard=len(heard), moved=other_server)
