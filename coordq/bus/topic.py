"""Where messages lie until they are read: channels; and the places and groups that they have.

A channel is a topic (`orders.created`), the mailbox of an agent (`@ada`), the broadcast to all
agents (`*`), a session (`~<id>`), or what was given back to a group of its own (`!<group>`).
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from coordq.ids import is_id, shard_of
from coordq.names import check_name
from coordq.topics import check_topic

PATTERNS_MAX: Final = 64
"""Of one group."""
BROADCAST: Final = "*"
"""The channel that every agent hears."""
LANES: Final = {"critical": "c", "normal": "n", "low": "l"}
PRIORITIES: Final = {lane: name for name, lane in LANES.items()}


def mailbox(agent: object) -> str:
    """The channel, and the group, of an agent's mailbox. Raises InvalidName."""
    return f"@{check_name('agent', agent)}"


def check_channel(channel: object) -> str:
    """`channel` itself when it can be published to or looked at. Raises InvalidTopic, InvalidName.

    A topic, `@<agent>`, `*`, `~<session>` or `!<group>`.
    """
    if channel == BROADCAST:
        return BROADCAST
    if isinstance(channel, str) and channel[:1] == "@":
        return mailbox(channel[1:])
    if isinstance(channel, str) and channel[:1] in {"~", "!"}:
        check_group(channel[1:]) if channel[0] == "!" else check_name("session", channel[1:])
        return channel
    return check_topic(channel)


def check_group(group: object) -> str:
    """`group` itself when readers may share messages under it. Raises InvalidName.

    A name, or `@<agent>` for those who read an agent's mailbox.
    """
    if isinstance(group, str) and group[:1] == "@":
        return mailbox(group[1:])
    return check_name("group", group)


def shard_of_channel(channel: str, shards: int) -> int:
    """The shard on which everything of a channel is."""
    if shards <= 1:
        return 0
    session = channel[1:] if channel[:1] == "~" else ""
    return shard_of(session) if is_id(session) else crc32(channel.encode()) % shards
