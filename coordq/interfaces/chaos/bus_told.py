"""What producers and listeners wrote down of messages and turns; part of a history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

from coordq.ids import shard_of


class Sent(NamedTuple):
    """Redis has taken a message, or a turn, says its producer."""

    producer: str
    place: str
    """Lane and channel; of a turn `n~<session>`."""
    receivers: int
    """How many groups will be given it, as the producer was told; of a turn its number."""
    asked_ms: int
    """When the producer asked, on the machine's monotonic clock."""
    ms: int
    """When it knew."""


@dataclass(slots=True, eq=False)
class Hearing:
    """One run of a listener."""

    process: str
    group: str
    id: str
    """The message's."""
    attempt: int
    began_ms: int
    how: str = ""
    """done, or failed, or stopped: told to; empty when it never ended."""
    ended_ms: int = 0

    @property
    def shard(self) -> int:
        """Where the message lay."""
        return shard_of(self.id)

    @property
    def pid(self) -> int:
        """Of its process."""
        return int(self.process.split("-")[1])

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.group} was given it, attempt {self.attempt}, in {self.process}"


class TurnLeft(NamedTuple):
    """A turn as the transcript has it."""

    number: int
    speaker: str
    """"" for turns that nobody has spoken."""
    id: str
    body: Any


@dataclass(frozen=True, slots=True)
class BusRest:
    """What Redis held of messages when everything was over."""

    held: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What is given out or waits to be, by group: `<place> <entry>`."""
    heads: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Where there may be something to read, by group: places."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Entries of each place but sessions."""
    dead: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Dead letters: group and message to reason."""
    transcripts: Mapping[str, Sequence[TurnLeft]] = field(default_factory=dict)
    """By session."""
    figures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What groups counted, see `bus.look.FIGURES`."""


@dataclass(slots=True)
class BusTold:
    """Of all producers and listeners together."""

    tried: set[str] = field(default_factory=set)
    """Messages that producers wanted to publish."""
    sent: dict[str, Sent] = field(default_factory=dict)
    """Messages that were taken, by id; in the order of each life of a producer."""
    said: dict[str, Sent] = field(default_factory=dict)
    """Turns that were, by message."""
    heard: list[Hearing] = field(default_factory=list)
    refused: int = 0
    """How many messages found no room at first."""
    _running: dict[tuple[str, str, str, str], Hearing] = field(default_factory=dict)

    def read(self, line: Sequence[str]) -> None:
        """Take a line of a journal into account."""
        match line:
            case ["mtr", message_id]:
                self.tried.add(message_id)
            case ["ful", _, amount]:
                self.refused += int(amount)
            case ["mak" | "sak" as kind, message_id, producer, place, number, asked_ms, ms]:
                sent = Sent(intern(producer), intern(place), int(number), int(asked_ms), int(ms))
                (self.sent if kind == "mak" else self.said)[message_id] = sent
            case ["hea", process, group, message_id, attempt, ms]:
                one = Hearing(intern(process), intern(group), message_id, int(attempt), int(ms))
                self.heard.append(one)
                self._running[process, group, message_id, attempt] = one
            case ["hed", process, group, message_id, attempt, how, ms]:
                one = self._running[process, group, message_id, attempt]
                one.how, one.ended_ms = intern(how), int(ms)
