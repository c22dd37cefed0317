"""Messages go out: a reader settles what it has, and is given more, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from coordq.bus.envelope import Message, read_message
from coordq.bus.topic import PRIORITIES
from coordq.engine.call import Argument, Call

WANT_MAX: Final = 500
EVENTS: Final = "e"
"""The place of what happened: the shard's stream of events."""


class Given(NamedTuple):
    """A message that a reader holds, and where it lies: what it is settled with."""

    group: str
    place: str
    """Lane and channel, such as `norders.created`; `e` for what happened."""
    entry: str
    """Its id in the stream."""
    size: int
    """Bytes of its fields."""
    attempt: int
    """From 1: how often the group has been given it, this time included."""
    header: bytes
    body: bytes
    expires_ms: int = 0
    channel: str = ""
    """Where it lay first, if it was revived; else as in `place`."""

    def message(self) -> Message:
        """What it says. Raises ValueError when coordq did not write it."""
        where, priority, is_session = _lies(self.place)
        turn = int(self.entry.partition("-")[0]) if is_session else 0
        channel = self.channel or where
        return read_message(
            channel,
            priority,
            self.header,
            self.body,
            attempt=self.attempt,
            expires_ms=self.expires_ms,
            turn=turn,
        )


@lru_cache(maxsize=1024)
def _lies(place: str) -> tuple[str, str, bool]:
    """Of a place its channel, the priority, and whether it is a session."""
    return place[1:], PRIORITIES.get(place[0], "normal"), place[1:2] == "~"


@dataclass(frozen=True, slots=True)
class Settling:
    """What becomes of messages of one group that lie in one place."""

    verdict: str
    """a acknowledged, n given back, r given back unhandled (no delivery), d dead letter."""
    group: str
    place: str
    entries: tuple[tuple[str, int], ...]
    """Each entry, up to 500, with its size; or, where it was not acknowledged, with the attempt."""
    delay_ms: int = 0
    """n: before they are given out again."""
    reason: str = ""
    """d, and n at the limit of deliveries: why, for people."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a take got."""

    given: tuple[Given, ...]
    next_due_ms: int | None
    """From now until something is to be given out again; None when nothing is."""
    more: bool
    """There may be more for this reader right now."""
    missing: tuple[str, ...]
    """Groups that do not exist, or no more."""


def take(
    shard: int,
    reader: str,
    groups: Sequence[str],
    *,
    want: int,
    nonce: str,
    settled: Sequence[Settling] = (),
    join: bool = False,
) -> Call[Taken]:
    """Settle what was handled, and take up to `want` (0 to 500) messages of some groups.

    reader: its name, the same after a restart. join: its first call: what its predecessor of that
    name held is given out again at once. nonce: new for every call, kept when a call is repeated.
    """
    args: list[Argument] = [reader, nonce, min(want, WANT_MAX), int(join), " ".join(groups)]
    for each in settled:
        ids, numbers = zip(*each.entries, strict=True)
        how = str(sum(numbers)) if each.verdict == "a" else f"{each.delay_ms} {each.reason}"
        args += (each.verdict, each.group, each.place, how)
        args += (" ".join(map(str, numbers)), len(ids), *ids)
    return Call("bus/take", shard, tuple(args), _read)


def gather(verdict: str, given: Sequence[Given], **more: Any) -> list[Settling]:
    """One verdict over many, as `take` wants it."""
    places: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for each in given:
        number = each.size if verdict == "a" else each.attempt
        places.setdefault((each.group, each.place), []).append((each.entry, number))
    return [
        Settling(verdict, group, place, tuple(entries[at : at + WANT_MAX]), **more)
        for (group, place), entries in places.items()
        for at in range(0, len(entries), WANT_MAX)
    ]


def _read(reply: Any) -> Taken:
    words, next_due_ms, more, missing = reply
    given: list[Given] = []
    at = 0
    while at < len(words):
        group, place, attempt, amount, width = words[at].decode().split(" ")
        wide, end, times = int(width), at + 1 + int(width) * int(amount), int(attempt)
        ids, headers, bodies, *rests = (words[at + 1 + each : end : wide] for each in range(wide))
        batch = [
            Given(group, place, entry.decode(), len(header) + len(body), times, header, body)
            for entry, header, body in zip(ids, headers, bodies, strict=True)
        ]
        given += map(_marked, batch, *rests) if rests else batch
        at = end
    return Taken(
        tuple(given),
        None if next_due_ms < 0 else next_due_ms,
        more == 1,
        tuple(name.decode() for name in missing),
    )


def _marked(given: Given, rest: bytes) -> Given:
    """With what is said of those that expire, or were revived."""
    ends, _, channel = rest.decode(errors="replace").partition(" ")
    expires_ms = int(ends) if ends.isdecimal() else 0
    return given._replace(expires_ms=expires_ms, channel=channel)


def hold(shard: int, reader: str, held: Sequence[Given]) -> Call[int]:
    """Keep messages that are still being handled for another visibility time; how many were.

    Fewer than given: the others are not this reader's any more.
    """
    args: list[Argument] = [reader]
    for each in gather("a", held):
        args += (each.group, each.place, len(each.entries), *(entry for entry, _ in each.entries))
    return Call("bus/hold", shard, tuple(args), int)
