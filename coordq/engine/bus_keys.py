"""The Redis keys of the bus, one function each, with its type; see `keys.py`."""

from __future__ import annotations


def stream(root: str, place: str) -> str:
    """Messages of a channel and lane, place `<lane><channel>`: STREAM of h, b, x, c."""
    return f"{root}bus:s:{place}"


def channel(root: str, channel: str) -> str:
    """What lies in a channel, and its bounds: HASH, see lua/lib/channel.lua."""
    return f"{root}bus:ch:{channel}"


def on(root: str, channel: str) -> str:
    """Groups that hear a channel: HASH of group to + or, when it is leaving, -."""
    return f"{root}bus:on:{channel}"


def done(root: str, channel: str) -> str:
    """How many groups have not acknowledged an entry: HASH, where they were several."""
    return f"{root}bus:done:{channel}"


def channels(root: str) -> str:
    """Channels and when each was last published to: ZSET, score in milliseconds."""
    return f"{root}bus:channels"


def space(root: str, place: str) -> str:
    """What publishers of a full channel block on: LIST, expires."""
    return f"{root}bus:space:{place}"


def groups(root: str) -> str:
    """Groups of readers and what they are promised: HASH, see lua/lib/group.lua."""
    return f"{root}bus:groups"


def patterns(root: str) -> str:
    """Patterns of the groups that have any: HASH."""
    return f"{root}bus:patterns"


def version(root: str) -> str:
    """How often groups or bounds were changed: STRING, a number."""
    return f"{root}bus:version"


def bounds(root: str) -> str:
    """Bounds of channels and patterns: HASH of `<entries> <bytes>`."""
    return f"{root}bus:bounds"


def leaving(root: str) -> str:
    """Groups that have ended and not let go of everything yet: HASH, group to why."""
    return f"{root}bus:leaving"


def group(root: str, group: str) -> str:
    """A group's figures: HASH."""
    return f"{root}bus:g:{group}"


def heads(root: str, group: str) -> str:
    """Places where a group has something to read, in order: ZSET."""
    return f"{root}bus:heads:{group}"


def held(root: str, group: str) -> str:
    """What a group's readers hold, until when: ZSET of `<place> <entry>`, milliseconds."""
    return f"{root}bus:held:{group}"


def marker(root: str, group: str) -> str:
    """What a group's idle readers block on: ZSET."""
    return f"{root}bus:marker:{group}"


def consumers(root: str, group: str) -> str:
    """Readers of a group and since when: HASH."""
    return f"{root}bus:consumers:{group}"


def readers(root: str) -> str:
    """Readers of any group and when each was last heard: ZSET, score in milliseconds."""
    return f"{root}bus:readers"


def alone(root: str, group: str) -> str:
    """Who reads a group alone, in causal order: STRING, expires."""
    return f"{root}bus:alone:{group}"


def took(root: str, reader: str) -> str:
    """What a reader was given last: STRING, expires."""
    return f"{root}bus:took:{reader}"


def dead(root: str) -> str:
    """Dead letters of the bus: STREAM, capped, see lua/lib/bury.lua."""
    return f"{root}bus:dead"


def sent(root: str, nonce: str) -> str:
    """What a call that made something was answered: STRING, expires."""
    return f"{root}bus:sent:{nonce}"


def replies(root: str, asker: str) -> str:
    """Replies to who has asked: STREAM, capped, expires."""
    return f"{root}bus:replies:{asker}"


def session(root: str, session_id: str) -> str:
    """A conversation: HASH, see lua/lib/session.lua."""
    return f"{root}bus:session:{session_id}"


def who(root: str, session_id: str) -> str:
    """Who takes part in a session: HASH of name to `<state> <at> <nth> <role>`."""
    return f"{root}bus:who:{session_id}"


def said(root: str, session_id: str) -> str:
    """What was said in a session once: HASH of nonce to `<turn> <message>`."""
    return f"{root}bus:said:{session_id}"


def sessions(root: str) -> str:
    """Sessions and when each last moved: ZSET, score in milliseconds."""
    return f"{root}bus:sessions"


def sessions_due(root: str) -> str:
    """Sessions and when each has to be looked at: ZSET, score in milliseconds."""
    return f"{root}bus:sessions:due"


def sessions_of(root: str, name: str) -> str:
    """Open sessions that somebody takes part in: ZSET, score in milliseconds."""
    return f"{root}bus:sessions:of:{name}"
