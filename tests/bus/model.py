"""What the bus promises, in a few lines of plain Python: who is owed which message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from coordq.topics import matches

LANES = ("critical", "normal", "low")


@dataclass
class Owed:
    """A message that a group has not done with."""

    number: int
    topic: str
    priority: str
    attempts: int = 0
    holder: str = ""
    """Who was given it last; "" once it was given back."""
    due: bool = True
    """Whether it may be given out now."""
    fresh: bool = True
    """Whether it was never given out."""


@dataclass
class GroupModel:
    """A group, and what it is owed, in order of publication."""

    name: str
    patterns: tuple[str, ...]
    deliveries: int
    owed: list[Owed] = field(default_factory=list)
    handled: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)

    def hears(self, topic: str) -> bool:
        """Whether it asks for a topic."""
        return any(matches(pattern, topic) for pattern in self.patterns)

    def find(self, number: int) -> Owed | None:
        """What it is owed under a number."""
        return next((each for each in self.owed if each.number == number), None)

    def done(self, number: int, *, dead: bool = False) -> None:
        """It has done with a message."""
        found = self.find(number)
        assert found is not None
        self.owed.remove(found)
        (self.dead if dead else self.handled).add(number)

    def fresh(self, topic: str, priority: str) -> list[int]:
        """What was never given out of a place, in order."""
        return [
            each.number
            for each in self.owed
            if (each.topic, each.priority) == (topic, priority) and each.fresh
        ]

    def may_give(self) -> set[int]:
        """What a reader may be given now."""
        return {each.number for each in self.owed if each.due}


class Model:
    """Groups and channels."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupModel] = {}
        self.count = 0

    def publish(self, topic: str, priority: str) -> tuple[int, int]:
        """A new message: its number, and how many groups are owed it."""
        self.count += 1
        heard = [group for group in self.groups.values() if group.hears(topic)]
        for group in heard:
            group.owed.append(Owed(self.count, topic, priority))
        return self.count, len(heard)

    def entries(self, topic: str) -> set[int]:
        """Messages of a topic that some group is owed."""
        return {
            each.number
            for group in self.groups.values()
            for each in group.owed
            if each.topic == topic
        }

    def lane_full(self, topic: str, priority: str, bound: int) -> bool:
        """Whether a channel has no room for one more of a priority."""
        share = {"critical": 1.1, "normal": 1.0, "low": 0.8}[priority]
        there = len(self.entries(topic))
        return there > 0 and there + 1 > bound * share


def order_of(numbers: Iterable[int]) -> bool:
    """Whether numbers only grow."""
    seen = list(numbers)
    return seen == sorted(seen)
