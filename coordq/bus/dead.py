"""Dead letters of the bus: messages that will not be given out again until they are revived."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.bus.envelope import Message, read_message
from coordq.bus.topic import PRIORITIES
from coordq.engine.call import Call
from coordq.errors import InvalidOption

PAGE_MAX: Final = 500
KEPT: Final = 10_000
"""On a shard; older ones are cut off."""
_ID: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,19}-[0-9]{1,19})\Z")


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that was given up, and why."""

    id: str
    """What it is revived and purged by: `<shard>/<entry>`."""
    group: str
    """The group that gave it up; "" when it was shed before all had it."""
    channel: str
    priority: str
    reason: str
    """too many deliveries, expired, shed, rejected, or what its reader said."""
    deliveries: int
    header: bytes
    body: bytes

    @property
    def at_ms(self) -> int:
        """When, in milliseconds since 1970, by Redis's clock."""
        return int(self.id.partition("/")[2].partition("-")[0])

    def message(self) -> Message:
        """What it says. Raises ValueError when coordq did not write it."""
        return read_message(
            self.channel, self.priority, self.header, self.body, attempt=max(1, self.deliveries)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; a body that cannot be read as text."""
        try:
            said: Any = self.message().to_json()
        except (ValueError, RecursionError):
            said = {"body": self.body.decode(errors="replace")}
        return {
            **said,
            "id": self.id,
            "message": said.get("id", ""),
            "group": self.group,
            "channel": self.channel,
            "priority": self.priority,
            "reason": self.reason,
            "deliveries": self.deliveries,
            "at_ms": self.at_ms,
        }


def dead(shard: int, before: str = "+", *, limit: int = 100) -> Call[list[DeadMessage]]:
    """Dead letters of a shard, newest first; before: an entry id, those after it are left out."""

    def read(reply: Any) -> list[DeadMessage]:
        return [_letter(shard, entry.decode(), fields) for entry, fields in reply]

    return Call("bus/dead", shard, (before, limit), read)


def _letter(shard: int, entry: str, fields: list[bytes]) -> DeadMessage:
    said = dict(zip(fields[::2], fields[1::2], strict=True))

    def text(name: bytes) -> str:
        return said.get(name, b"").decode(errors="replace")

    deliveries = text(b"n")
    return DeadMessage(
        f"{shard}/{entry}",
        text(b"g"),
        text(b"c"),
        PRIORITIES.get(text(b"l"), "normal"),
        text(b"r"),
        int(deliveries) if deliveries.isdecimal() else 0,
        said.get(b"h", b""),
        said.get(b"b", b""),
    )


def by_shard(ids: Sequence[str], shards: int) -> dict[int, list[str]]:
    """Ids of dead letters as entries of their shards. Raises InvalidOption."""
    found: dict[int, list[str]] = {}
    for id_ in ids:
        match = _ID.match(id_) if isinstance(id_, str) else None
        if match is None or int(match[1]) >= shards:
            raise InvalidOption(
                f"{id_!r} is no id of a dead letter: `coordq bus dead` shows them, such as "
                "0/1763740000000-0."
            )
        found.setdefault(int(match[1]), []).append(match[2])
    return found


def revive(shard: int, entries: Sequence[str], *, nonce: str) -> Call[int]:
    """Give up to 500 out again, to the group that gave each up; how many were.

    The others are not there any more, or their group is not. nonce as in `publish`.
    """
    return Call("bus/revive", shard, (nonce, *entries), int)


def purge(shard: int, entries: Sequence[str]) -> Call[int]:
    """Delete up to 500; how many were."""
    return Call("bus/purge", shard, tuple(entries), int)
