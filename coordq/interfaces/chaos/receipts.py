"""What the groups themselves have counted, against what was published and heard. Pure.

A group counts what it acknowledged and what it buried, in the script that does it. With nothing
left that is as much as there ever was for it: each message ended once. It counts as well what it
was given, and given again; no message knows of more deliveries than there were. After a failover
the counts are what survived, and say nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from coordq.interfaces.chaos.history import History
from coordq.interfaces.chaos.listeners import PEOPLE, groups_of
from coordq.interfaces.chaos.lives import Life
from coordq.interfaces.chaos.violation import Violation


def check_receipts(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    """What is wrong with the groups' figures."""
    if history.rewound:
        return
    meant, attempts = _meant(history), _attempts(history)
    for group, figures in history.rest.bus.figures.items():
        ended = figures["handled"] + figures["dead"]
        if ended != meant[group]:
            told = f"{meant[group]} messages were for it, and {ended} have ended: " + ", ".join(
                f"{name} {amount}" for name, amount in figures.items()
            )
            yield Violation("receipts", group, told)
        given = figures["taken"] + figures["again"]
        if attempts[group] > given:
            told = f"its messages were given out {attempts[group]} times, and it counted {given}"
            yield Violation("receipts", group, told)


def _meant(history: History) -> Counter[str]:
    """How many messages and turns there were for each group.

    What Redis took and nobody was told of is known by who heard it.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for message_id, sent in history.bus.sent.items():
        for group in groups_of(sent.place[1:]):
            ids[group].add(message_id)
    turns = [turn for those in history.rest.bus.transcripts.values() for turn in those]
    said = {turn.id for turn in turns}
    for run in history.bus.heard:
        if run.id not in said:
            ids[run.group].add(run.id)
    for group, message_id in history.rest.bus.dead:
        if message_id not in said:
            ids[group].add(message_id)
    meant = Counter({group: len(those) for group, those in ids.items()})
    for name in PEOPLE:
        meant[f"@{name}"] += sum(turn.speaker != name for turn in turns)
    return meant


def _attempts(history: History) -> Counter[str]:
    """How often the messages of each group were given out, as their last runs say."""
    last: dict[tuple[str, str], int] = defaultdict(int)
    for run in history.bus.heard:
        last[run.group, run.id] = max(run.attempt, last[run.group, run.id])
    total = Counter[str]()
    for (group, _), attempt in last.items():
        total[group] += attempt
    return total
