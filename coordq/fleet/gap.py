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
"""An outage worth telling is at least so long, and a beat longer when somebody seems to be heard in
it: whoever lives is heard in that time, or then surely."""
CUT_OFF_BEATS: Final = 2.75
"""So long an outage would have been noticed by the workers; if not, it was us."""
EDGE_MS: Final = 1000
"""An outage begins so soon after the last look at the latest, and ends so shortly before this one
at the earliest: beats that near to either end tell nothing.

A brief beat (`work.beat.brief`) that lay in the buffer of a paused Redis names the moment at which
it was sent. So a worker may seem to be heard for one beat more, but not for longer: it waits for
the answer. Only who is heard after that is heard surely."""


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
    """How many workers were surely heard in it."""
    doubtful: bool = False
    """It excuses nobody, but by beats that may have lain in a buffer: wait for one beat more."""
    moved: bool = False
    """Another server answers than before."""


NO_GAP: Final = Gap(0, "none", excuses=False)


def judge_gap(
    now_ms: int,
    seen_ms: int,
    beats: Collection[tuple[int, float]],
    *,
    ours: bool,
    grace: bool,
    other_server: bool,
) -> Gap:
    """What a gap since `seen_ms` was.

    beats: the last ones of all that could be reached before, each with how often its worker has
    promised to beat, in milliseconds. ours: the last look was this supervisor's own. grace:
    workers noticed an outage. other_server: another server answers than before.
    """
    ms = now_ms - seen_ms
    beat_ms = min((promised_ms for _, promised_ms in beats), default=0)
    if not seen_ms or not beats or (ms < NOTABLE_BEATS * beat_ms and not other_server):
        return NO_GAP
    heard = [at_ms for at_ms, _ in beats if at_ms > seen_ms + EDGE_MS]
    surely = sum(at_ms > seen_ms + EDGE_MS + promised_ms for at_ms, promised_ms in beats)
    away = grace or other_server or not surely
    kind: Literal["pause", "outage", "cut-off"] = "pause"
    long = ms >= EDGE_MS + (TOLD_BEATS + bool(heard)) * beat_ms
    if other_server or (away and (ours or grace) and long):
        kind = "outage"
    elif ours and not away and ms >= EDGE_MS + CUT_OFF_BEATS * beat_ms:
        kind = "cut-off"
    in_the_middle = any(at_ms < now_ms - EDGE_MS for at_ms in heard)
    excuses = grace or other_server or ours or not in_the_middle
    return Gap(ms, kind, excuses=excuses, heard=surely, moved=other_server, doubtful=not excuses)
