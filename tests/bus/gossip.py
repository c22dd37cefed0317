"""Who said what after what: random histories of publishers, and what a reader makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import strategies as st

from coordq.bus.causal import Causal, Clock
from coordq.bus.causal_buffer import CausalBuffer, Released

CHANNELS = ("a", "b", "c")
PUBLISHERS = 4


class Said(NamedTuple):
    """A message, and which others came before it: all of them, by number."""

    number: int
    channel: str
    clock: Clock
    past: frozenset[int]


class Step(NamedTuple):
    """A publisher reads some of what was said, the latest first, and says something."""

    who: int
    channel: str
    reads: tuple[int, ...]
    """How far back each is."""


steps = st.lists(
    st.builds(
        Step,
        st.integers(0, PUBLISHERS - 1),
        st.sampled_from(CHANNELS),
        st.lists(st.integers(0, 6), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=30,
)


def tell(history: list[Step], made: type[Causal] = Causal) -> list[Said]:
    """What was said, with clocks by `made`, and with the truth."""
    publishers = [made(f"p{number}") for number in range(PUBLISHERS)]
    pasts: list[set[int]] = [set() for _ in publishers]
    said: list[Said] = []
    for who, channel, reads in history:
        for back in reads:
            if back < len(said):
                read = said[-1 - back]
                publishers[who].saw(Heard(read.channel, read.clock))
                pasts[who] |= {*read.past, read.number}
        clock = publishers[who].draw(channel).clocks[0]
        said.append(Said(len(said), channel, clock, frozenset(pasts[who])))
        pasts[who].add(said[-1].number)
    return said


@dataclass(frozen=True)
class Heard:
    """As much of a message as a publisher looks at."""

    channel: str
    clock: Clock | None


@dataclass
class Reader:
    """Puts messages into a buffer, and writes down what comes out."""

    hears: frozenset[str] = frozenset(CHANNELS)
    bound: int = 1000
    made: type[CausalBuffer[Said]] = CausalBuffer
    out: list[Said] = field(default_factory=list)
    marked: set[int] = field(default_factory=set)
    most: int = 0
    """So many waited at once."""

    def __post_init__(self) -> None:
        self.buffer = self.made(self.hears.__contains__, bound=self.bound, patience_s=10)

    def take(self, said: Said, now_s: float = 0.0) -> None:
        """It has come."""
        self.note(self.buffer.add(said, said.channel, said.clock, now_s))
        self.most = max(self.most, len(self.buffer))

    def note(self, released: list[Released[Said]]) -> None:
        """It was handed out."""
        self.out += [each.item for each in released]
        self.marked |= {each.item.number for each in released if each.missing}

    def early(self) -> list[tuple[int, int]]:
        """Which were handed out, unmarked, before one that they come after.

        Marked is also what comes after one that is.
        """
        at = {said.number: place for place, said in enumerate(self.out)}
        return [
            (said.number, before)
            for said in self.out
            for before in said.past
            if at.get(before, -1) > at[said.number] and not self.marked & {said.number, *said.past}
        ]
