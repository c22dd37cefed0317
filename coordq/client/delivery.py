"""Messages that a reader was given: what both clients know of them."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

from coordq.amounts import whole
from coordq.bus.causal import Missing
from coordq.bus.envelope import Message
from coordq.bus.group import Group, group
from coordq.bus.take import EVENTS, Given, Settling, Taken, gather, take
from coordq.bus.topic import mailbox
from coordq.clock import monotonic
from coordq.engine.call import Call
from coordq.errors import InvalidOption
from coordq.work.events import read_entry

PREFETCH: Final = 16
PREFETCH_MAX: Final = 500
NACK_S: Final = 1.0
NACK_MAX_S: Final = 60.0
EVENTS_EVERY_S: Final = 0.25
"""How often those look who ask for what happened: nobody wakes them."""
UNREADABLE: Final = "coordq did not write it"


@dataclass(slots=True)
class Share:
    """What several messages of one entry have in common: it is done with when all are."""

    given: Given
    shard: int = 0
    left: int = 1
    since: float = 0.0
    """When it was taken or last held, by `clock.monotonic`."""
    settled: bool = False

    def done(self) -> bool:
        """One more is done with; whether the entry is, now."""
        self.left -= 1
        return self.left <= 0 and self.finish()

    def undo(self) -> None:
        """Redis was not told: whoever settles it tries again."""
        self.left, self.settled = max(1, self.left + 1), False

    def finish(self) -> bool:
        """The entry is done with; False when it was before."""
        was, self.settled = self.settled, True
        return not was


Settled = dict[int, list[Settling]]
"""By shard."""


def verdicts(verdict: str, shares: Sequence[Share], **more: Any) -> Settled:
    """One verdict over many entries, as each shard has to be told."""
    found: dict[int, list[Given]] = {}
    for share in shares:
        found.setdefault(share.shard, []).append(share.given)
    return {shard: gather(verdict, given, **more) for shard, given in found.items()}


@dataclass(slots=True)
class Arrival:
    """A message that has come, and what it is settled with."""

    message: Message
    share: Share
    missing: tuple[Missing, ...] = ()
    """In causal order: what it comes after, and what did not come."""


def reader_group(patterns: Sequence[str], name: str | None, **options: object) -> Group:
    """The group that a subscription reads as.

    A pattern `@<agent>` stands for that agent's mailbox, and names the group. Without a name the
    group is this reader's alone, and ends with it. Raises InvalidTopic, InvalidName, InvalidOption.
    """
    boxes = [pattern for pattern in patterns if isinstance(pattern, str) and pattern[:1] == "@"]
    topics = [pattern for pattern in patterns if pattern not in boxes]
    if len(boxes) > 1 or (boxes and name not in {None, boxes[0]}):
        raise InvalidOption(
            f"A mailbox is read by its own group: subscribe to {boxes[0]!r} apart.", option="group"
        )
    if not patterns and name is None:
        raise InvalidOption("Subscribe to at least one pattern, or name a group that exists.")
    if boxes:
        return group(mailbox(boxes[0][1:]), *topics, **options)
    if name is None:
        return replace(group(f"sub-{uuid4().hex[:16]}", *topics, **options), ephemeral=True)
    return group(name, *topics, **options)


def reader_name() -> str:
    """A name for a reader that was given none: another one for each."""
    host = socket.gethostname().partition(".")[0] or "host"
    return f"{host}-{os.getpid()}-{uuid4().hex[:8]}"


def backoff_ms(delay: float | None, attempt: int) -> int:
    """For how long a message that was given back waits: a second, doubled with each attempt."""
    if delay is None:
        delay = min(NACK_MAX_S, NACK_S * 2 ** min(attempt - 1, 10))
    return round(delay * 1000)


class Tray:
    """What one reader has taken and not handed out yet, and how it asks for more."""

    def __init__(self, group: Group, reader: str, prefetch: int) -> None:
        self.group = group
        self.reader = reader
        self.prefetch = min(whole("prefetch", prefetch, 1), PREFETCH_MAX)
        self.arrived: deque[Arrival] = deque()
        self._joined: set[int] = set()

    def ask(
        self, shard: int, want: int | None = None, settled: Sequence[Settling] = ()
    ) -> Call[Taken]:
        """Takes as much as there is room for."""
        amount = self.prefetch if want is None else want
        join = shard not in self._joined
        self._joined.add(shard)
        return take(
            shard,
            self.reader,
            [self.group.name],
            want=max(0, min(amount, PREFETCH_MAX)),
            nonce=uuid4().hex,
            settled=settled,
            join=join,
        )

    def leave(self, shard: int) -> Call[Taken]:
        """What this reader holds still, or was given in a call that was broken off, goes back."""
        self._joined.discard(shard)
        return self.ask(shard, 0)

    def put(self, shard: int, taken: Taken) -> list[Settling]:
        """Keep what was taken; what cannot be read is to be settled so."""
        foreign: list[Given] = []
        now, accept = monotonic(), self.accept
        for given in taken.given:
            share = Share(given, shard, 1, now)
            try:
                if given.place[0] != EVENTS:
                    accept(Arrival(given.message(), share))
                    continue
                arrivals = [Arrival(message, share) for message in read(shard, given)]
            except (ValueError, RecursionError):
                arrivals = []
            if not arrivals:
                foreign.append(given)
            share.left = len(arrivals)
            self.arrived += arrivals
        return gather("d", foreign, reason=UNREADABLE)

    def accept(self, arrival: Arrival) -> None:
        """One more has come."""
        self.arrived.append(arrival)

    def handed_out(self, arrival: Arrival) -> None:
        """Its reader has it."""

    def gave_back(self, arrival: Arrival) -> None:
        """It was not handled, and comes again."""

    def stale_since(self) -> float:
        """What was taken before has lain here for so long that somebody else may have it soon."""
        return monotonic() - self.group.visibility_s / 3

    def rest(self) -> Settled:
        """What was not handed out goes back; the tray is empty then."""
        shares = {id(each.share): each.share for each in self.arrived}
        self.arrived.clear()
        return verdicts("r", [share for share in shares.values() if share.finish()])


def read(shard: int, given: Given) -> Iterator[Message]:
    """The messages in an entry: one, or all that an entry of the events tells."""
    if given.place[:1] != EVENTS or given.header:
        yield given.message()
        return
    for event in read_entry(shard, (given.entry.encode(), [b"e", given.body])):
        yield Message(
            id=f"{shard}/{given.entry}/{event.subject}",
            channel=given.place[1:],
            body=event.to_json(),
            kind="event",
            attempt=given.attempt,
        )
