"""Groups of readers: each message reaches one reader of each group that asked for its channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from coordq.amounts import is_number, whole
from coordq.bus.topic import PATTERNS_MAX, check_group
from coordq.engine.call import Call
from coordq.errors import InvalidOption, InvalidTime
from coordq.topics import check_pattern, tells

VISIBILITY_MIN_S: Final = 0.1
VISIBILITY_MAX_S: Final = 86_400.0
DELIVERIES_MAX: Final = 1000
ABANDON_MAX_S: Final = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Group:
    """A group of readers, and what it is promised. Raises InvalidName, InvalidTopic, InvalidOption.

    `@<agent>` is the group of those who read an agent's mailbox: it hears `@<agent>` and broadcasts
    besides its patterns.
    """

    name: str
    patterns: tuple[str, ...] = ()
    """Topics it asks for, see `topic.check_pattern`."""
    visibility_s: float = 30.0
    """After so long without an ack or a hold a message is given to another reader."""
    deliveries: int = 5
    """So often is a message given out; then it is a dead letter."""
    ordered: bool = False
    """Of each channel one message at a time, the next after its ack."""
    ephemeral: bool = False
    """Ends a minute after its last reader was heard."""
    abandon_s: float = 86_400.0
    """Ends when nobody has read for so long while messages wait for it; 0 = never."""

    def __post_init__(self) -> None:
        check_group(self.name)
        if len(self.patterns) > PATTERNS_MAX:
            raise InvalidOption(f"Group {self.name!r}: give up to {PATTERNS_MAX} patterns.")
        for pattern in self.patterns:
            check_pattern(pattern)
        _span("visibility", self.visibility_s, VISIBILITY_MIN_S, VISIBILITY_MAX_S)
        _span("abandon", self.abandon_s, 0, ABANDON_MAX_S)
        whole("max_deliveries", self.deliveries, 1, DELIVERIES_MAX)

    @property
    def tells(self) -> bool:
        """Whether it asks for what happened, too."""
        return any(map(tells, self.patterns))

    def text(self) -> str:
        """As HASH bus:groups holds it, see lua/lib/group.lua."""
        numbers = (
            round(self.visibility_s * 1000),
            self.deliveries,
            int(self.ordered),
            int(self.ephemeral),
            round(self.abandon_s * 1000),
            int(self.tells),
        )
        return " ".join(map(str, (*numbers, *self.patterns)))


def _span(option: str, value: object, least: float, most: float) -> None:
    if not is_number(value, least, most):
        raise InvalidTime(
            f"{option}={value!r}: give seconds, from {least:g} to {most:g}.", option=option
        )


def group(name: str, *patterns: str, **given: Any) -> Group:
    """A group from what a caller says: as `Group`, times also as timedelta.

    visibility, abandon: seconds. max_deliveries, ordered, ephemeral. None stands for the default.
    """
    names = {
        "visibility": "visibility_s",
        "abandon": "abandon_s",
        "max_deliveries": "deliveries",
        "ordered": "ordered",
        "ephemeral": "ephemeral",
    }
    said: dict[str, Any] = {}
    for option, value in given.items():
        if option not in names:
            raise InvalidOption(
                f"A group has no {option!r}; it has: {', '.join(names)}.", option=option
            )
        if value is not None:
            seconds = value.total_seconds() if isinstance(value, timedelta) else value
            said[names[option]] = seconds
    return Group(name, tuple(patterns), **said)


def read_group(name: str, text: bytes) -> Group | None:
    """The group that a text of HASH bus:groups means; None when coordq did not write it."""
    words = text.decode(errors="replace").split(" ")
    try:
        visibility, deliveries, ordered, ephemeral, abandon, _ = map(int, words[:6])
        return Group(
            name,
            tuple(words[6:]),
            visibility / 1000,
            deliveries,
            ordered == 1,
            ephemeral == 1,
            abandon / 1000,
        )
    except ValueError:
        return None


def subscribe(shard: int, group: Group, *, only_new: bool = False) -> Call[bool]:
    """Make a group, or change it, on a shard; every shard has all groups.

    only_new: one that exists stays as it is. True when it is as asked now.
    """
    args = (group.name, group.text(), int(group.tells), int(only_new))
    return Call("bus/subscribe", shard, args, lambda reply: reply == 1)


def unsubscribe(shard: int, name: str) -> Call[bool]:
    """End a group on a shard. What waits for it is let go by `sweep`; False when there is none."""
    return Call("bus/unsubscribe", shard, (name,), lambda reply: reply == 1)
