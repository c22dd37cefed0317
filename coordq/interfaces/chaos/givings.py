"""What may be said of how messages are given out: to whom, in which order, how many. Pure.

A message that one process handles is another's only when it was given back, or when it has not been
heard of for as long as it is held; that long from when it was published at the least. Of what one
process was given by one group, whatever was published after a critical message comes after it; and
what all processes are to hear is passed over by none. Both follow from the order in which a process
begins with what it was given, which is the order in which it was given.

The rush has room for few. As many as were acknowledged to their publisher, and handled by nobody to
the end, lie in the channel for certain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from coordq.ids import shard_of
from coordq.interfaces.chaos.bus_told import Hearing, Sent
from coordq.interfaces.chaos.history import History
from coordq.interfaces.chaos.listeners import (
    CHORUS,
    IN_THREADS,
    LATER_MS,
    LEDGER,
    OWN_BOX,
    PORTER,
    RUSH,
    RUSH_MAX,
    TO_ALL,
    VISIBILITY_S,
)
from coordq.interfaces.chaos.lives import Life
from coordq.interfaces.chaos.messages import runs_of
from coordq.interfaces.chaos.news import News
from coordq.interfaces.chaos.violation import Violation

HELD_MS: Final = int(VISIBILITY_S * 1000)
CRITICAL: Final = "c"
AT_WORK: Final = ("done", "failed")
"""How runs end whose process was there, and held the message, to the end."""
IN_LINE: Final = frozenset({LEDGER, "@ada", "@dan", *IN_THREADS})
"""Groups in any order, of which a process has one line; so has the box of each producer."""


def check_givings(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    """What is wrong with how messages were given out."""
    yield from _shared(history)
    yield from _overtaken(history)
    yield from _passed_over(history)
    yield from _crowded(history)


def _shared(history: History) -> Iterator[Violation]:
    """What was given to a second process while the first still had it."""
    told = history.bus
    for (group, message_id), runs in runs_of(told).items():
        sent = told.sent.get(message_id) or told.said.get(message_id)
        if sent is None or len(runs) == 1:
            continue
        runs.sort(key=lambda run: run.began_ms)
        for at, run in enumerate(runs):
            for other in runs[at + 1 :]:
                if other.began_ms >= sent.asked_ms + HELD_MS:
                    break
                if _had_it(run, other):
                    what = (
                        f"{group} had given it to {run.process} when it gave it to {other.process}"
                    )
                    back = run.shard, sent.asked_ms, other.began_ms
                    yield Violation("shared", message_id, what, back)


def _had_it(run: Hearing, other: Hearing) -> bool:
    at_work = run.how in AT_WORK and other.began_ms < run.ended_ms
    return at_work and run.process != other.process


def _overtaken(history: History) -> Iterator[Violation]:
    """Critical messages that were given out after what was published later."""
    told = history.bus
    critical: list[tuple[Hearing, Sent]] = []
    others: list[tuple[tuple[str, str, int], int, int]] = []
    for run in told.heard:
        sent = told.sent.get(run.id)
        if sent is None or run.attempt > 1 or not _in_line(run.group):
            continue
        if sent.place[0] == CRITICAL:
            critical.append((run, sent))
        else:
            others.append(((run.process, run.group, run.shard), sent.asked_ms, run.began_ms))
    news = News(others)
    for run, sent in critical:
        later_ms = news.after((run.process, run.group, run.shard), sent.ms + LATER_MS)
        if later_ms < run.began_ms:
            what = f"{run.group} was given it after what was published {LATER_MS} ms later"
            yield Violation("lane", run.id, what, (run.shard, sent.asked_ms, run.began_ms))


def _in_line(group: str) -> bool:
    return group in IN_LINE or group.startswith(OWN_BOX)


def _passed_over(history: History) -> Iterator[Violation]:
    """What is for all, and did not come to a process although something later did."""
    places: dict[str, list[tuple[int, str, Sent]]] = defaultdict(list)
    for message_id, sent in history.bus.sent.items():
        if sent.place[1:] == TO_ALL:
            places[sent.place].append((sent.asked_ms, message_id, sent))
    heard: dict[str, dict[str, Hearing]] = defaultdict(dict)
    for run in history.bus.heard:
        if run.group.startswith(CHORUS):
            heard[run.process].setdefault(run.id, run)
    for those in places.values():
        those.sort()
        for process, runs in heard.items():
            yield from _missed(history, process, those, runs)


def _missed(
    history: History,
    process: str,
    published: list[tuple[int, str, Sent]],
    runs: dict[str, Hearing],
) -> Iterator[Violation]:
    """A process is given all that is published from its first on.

    To its end, if it lives on. Else as far as it heard what came behind, and lived on for so long
    that what it was given by a call without an answer would have come again.
    """
    began = [run.began_ms for run in runs.values()]
    began_ms, enough_ms = min(began), max(began) - 2 * HELD_MS
    lives = next(iter(runs.values())).pid in history.alive
    known = [at for at, one, _ in published if one in runs and runs[one].began_ms < enough_ms]
    until_ms = known[-1] if known and not lives else 0
    first = bisect_left(published, (began_ms + 1, "", Sent("", "", 0, 0, 0)))
    for _, message_id, sent in published[first:]:
        if message_id in runs or not (lives or sent.ms < until_ms):
            continue
        what = f"{process} was not given it, and what was published later was"
        # a failover may take back the group itself, which is as young as its process
        back = shard_of(message_id), began_ms - HELD_MS, sent.ms
        yield Violation("message", message_id, what, back)


def _crowded(history: History) -> Iterator[Violation]:
    """More at a time than the channel of the rush has room for."""
    ended = dict[str, int]()
    for run in history.bus.heard:
        if run.group == PORTER and run.how == "done":
            ended[run.id] = min(run.ended_ms, ended.get(run.id, run.ended_ms))
    moves: list[tuple[int, int, str]] = []
    for message_id, sent in history.bus.sent.items():
        if sent.place[1:] == RUSH and ended.get(message_id, 0) > sent.ms:
            moves += (sent.ms, 1, message_id), (ended[message_id], -1, message_id)
    lying = 0
    for ms, step, message_id in sorted(moves):
        lying += step
        if lying > RUSH_MAX:
            what = f"{lying} messages lie in {RUSH}, which has room for {RUSH_MAX}"
            yield Violation("bound", message_id, what, (shard_of(message_id), ms, ms))
            return
