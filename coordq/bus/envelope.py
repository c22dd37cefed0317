"""A message: its envelope and its body, and how both are written down.

A stream entry has two fields, or three: `h`, the envelope as compact JSON with keys of one letter;
`b`, the body, see `body.py`; `x`, when it expires, by Redis's clock. Where it lies says the rest:
its channel and its priority.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

from coordq.amounts import is_number, is_whole
from coordq.bus import body as bodies
from coordq.bus.causal import Clock, read_clock
from coordq.bus.topic import LANES
from coordq.errors import InvalidMessage, InvalidTime
from coordq.ids import created_ms, is_id, new_id
from coordq.names import TRACEPARENT

WORD_MAX: Final = 200
"""Characters of kind, sender, correlation and causation."""
EXPIRES_MAX_S: Final = 365 * 86_400
SCHEMA_MAX: Final = 1_000_000


class Message(NamedTuple):
    """A message, as its reader sees it. A tuple: one is made for each that is read."""

    id: str
    """22 characters that sort by birth, made by the sender."""
    channel: str
    """The topic; or `@<agent>`, `*`, `~<session>`."""
    body: Any
    """Any JSON value."""
    sender: str = ""
    """Who says so: an agent's name, or whatever the sender calls itself."""
    kind: str = "message"
    """What it is for: `message`, `ask`, `event`, `gap` or a word of yours."""
    priority: str = "normal"
    """critical, normal or low."""
    correlation: str = ""
    """What it belongs to; of a reply and its ask the same."""
    causation: str = ""
    """The id of the message or task that it came of."""
    trace: str = ""
    """W3C traceparent."""
    schema: int = 1
    """Version of what the body means."""
    reply_to: str = ""
    """Where an answer is waited for, see `reply.py`; "" when none is."""
    attempt: int = 1
    """From 1: how often the group has been given it, this time included."""
    expires_ms: int = 0
    """Since 1970, by Redis's clock; 0 = never."""
    turn: int = 0
    """Of a session, which turn it is, from 1; 0 elsewhere."""
    arranged: int = 0
    """By which version of the topology its sender was allowed to send it; 0 if none was asked."""
    clock: Clock | None = None
    """What it comes after, if its publisher said so, see `causal.py`."""

    @property
    def topic(self) -> str:
        """The channel, by the name that most of them have."""
        return self.channel

    @property
    def sent_ms(self) -> int:
        """When it was made, in milliseconds since 1970, by its sender's clock; 0 if unknown."""
        return created_ms(self.id) if is_id(self.id) else 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "id": self.id,
            "channel": self.channel,
            "sender": self.sender,
            "kind": self.kind,
            "priority": self.priority,
            "correlation": self.correlation,
            "causation": self.causation,
            "trace": self.trace,
            "schema": self.schema,
            "attempt": self.attempt,
            "sent_ms": self.sent_ms,
            "expires_ms": self.expires_ms,
            "turn": self.turn,
            "body": self.body,
        }


class Parcel(NamedTuple):
    """A message that is about to be sent."""

    id: str
    channel: str
    lane: str
    """c, n or l."""
    header: bytes
    body: bytes
    expires_ms: int = 0
    """From when it is published; 0 = never."""

    def clocked(self, clock: Clock) -> Parcel:
        """The same, with a clock in its envelope."""
        header = b'%b,"o":%b}' % (self.header[:-1], clock.text(self.channel))
        return self._replace(header=header)


class Stamp(NamedTuple):
    """What many messages have in common: an envelope but for its id."""

    lane: str
    rest: bytes
    """The envelope behind the id."""
    expires_ms: int
    compress: bool

    def parcel(self, channel: str, body: Any, id_: str) -> Parcel:
        """A message ready to be sent; `channel` was checked. Raises as `bodies.dump`."""
        header = b'{"i":"%b"%b}' % (id_.encode(), self.rest)
        text = bodies.dump(body, compress=self.compress)
        return Parcel(id_, channel, self.lane, header, text, self.expires_ms)


def stamp(
    *,
    priority: str = "normal",
    sender: str = "",
    kind: str = "message",
    correlation: str = "",
    causation: str = "",
    trace: str = "",
    schema: int = 1,
    reply_to: str = "",
    arranged: int = 0,
    expires: float | timedelta | None = None,
    compress: bool = False,
) -> Stamp:
    """An envelope as callers ask for it. Raises InvalidMessage, InvalidTime.

    expires: seconds, or a timedelta, after which nobody is given it any more. compress: if its
    body takes 4 KiB or more.
    """
    lane = LANES.get(priority) if isinstance(priority, str) else None
    if lane is None:
        raise InvalidMessage(f"priority={priority!r}: use one of {', '.join(LANES)}.")
    said: dict[str, object] = {
        "sender": sender,
        "kind": kind if kind != "message" else "",
        "correlation": correlation,
        "causation": causation,
        "trace": trace,
        "schema": "" if type(schema) is int and schema == 1 else schema,
        "reply_to": reply_to,
        "arranged": arranged or "",
    }
    return Stamp(lane, _rest(said), _expires_ms(expires), compress)


def parcel(
    channel: str,
    body: Any,
    *,
    id: str | None = None,  # noqa: A002 - that is what it is
    shard: int = 0,
    **envelope: Any,
) -> Parcel:
    """One message ready to be sent; `channel` was checked, the rest is as `stamp` takes it.

    id: made before, as by coordq.new_id. Raises InvalidMessage and its kinds.
    """
    if id is not None and (not isinstance(id, str) or not is_id(id)):
        raise InvalidMessage(f"id={id!r}: an id has the form of coordq.new_id().")
    return stamp(**envelope).parcel(channel, body, id or new_id(shard))


def _rest(said: dict[str, object]) -> bytes:
    """The envelope behind the id; what is "" goes without saying."""
    words: dict[str, object] = {}
    for field, value in said.items():
        if value != "":
            key, check = _WRITTEN[field]
            words[key] = check(field, value)
    if not words:
        return b""
    try:
        text = json.dumps(words, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidMessage("The envelope holds half a surrogate pair: use Unicode.") from error
    return b"," + text[1:-1]


def _word(field: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= WORD_MAX:
        raise InvalidMessage(
            f"{field}={str(value)[:60]!r}: give text of up to {WORD_MAX} characters."
        )
    return value


def _traceparent(field: str, value: object) -> str:
    if not isinstance(value, str) or TRACEPARENT.match(value) is None:
        raise InvalidMessage(
            f"{field}={str(value)[:60]!r} is no W3C traceparent, such as "
            "'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'."
        )
    return value


def _schema(field: str, value: object) -> int:
    if not is_whole(value, 1, SCHEMA_MAX):
        raise InvalidMessage(f"{field}={value!r}: give a whole number from 1 to {SCHEMA_MAX:,}.")
    return value


def _expires_ms(expires: object) -> int:
    if expires is None:
        return 0
    length = expires.total_seconds() if isinstance(expires, timedelta) else expires
    if not is_number(length, 0, EXPIRES_MAX_S) or length == 0:
        raise InvalidTime(
            f"expires={expires!r}: give seconds or a timedelta, above 0 and up to a year.",
            option="expires",
        )
    return max(1, round(length * 1000))


_WRITTEN: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "sender": ("f", _word),
    "kind": ("k", _word),
    "correlation": ("c", _word),
    "causation": ("a", _word),
    "trace": ("t", _traceparent),
    "schema": ("s", _schema),
    "reply_to": ("r", _word),
    "arranged": ("v", _schema),
}
_PLAIN_HEAD: Final = b'{"i":"'
_PLAIN_END: Final = b'"}'
_PLAIN: Final = 30
"""Bytes of an envelope that holds an id and nothing else, as most do."""
_BY_KEY: Final = {
    "i": ("id", str),
    "f": ("sender", str),
    "k": ("kind", str),
    "c": ("correlation", str),
    "a": ("causation", str),
    "t": ("trace", str),
    "s": ("schema", int),
    "r": ("reply_to", str),
    "v": ("arranged", int),
}


def read_message(
    channel: str,
    priority: str,
    header: bytes,
    body: bytes,
    *,
    attempt: int = 1,
    expires_ms: int = 0,
    turn: int = 0,
) -> Message:
    """The message in a stream entry. Raises ValueError when coordq did not write it."""
    if len(header) == _PLAIN and header[:6] == _PLAIN_HEAD and header[28:] == _PLAIN_END:
        id_, said = header[6:28].decode(), bodies.load(body)
        return Message(
            id_, channel, said, "", "message", priority, "", "", "", 1, "", attempt, expires_ms
        )
    words = json.loads(header)
    if type(words) is not dict:
        raise ValueError("an envelope is a JSON object")
    order = words.pop("o", None)
    told: dict[str, Any] = {} if order is None else {"clock": read_clock(order, channel)}
    for key, value in words.items():
        known = _BY_KEY.get(key)  # a newer version may know more
        if known is not None:
            if type(value) is not known[1]:
                raise ValueError(f"{known[0]} of an envelope is {value!r}")
            told[known[0]] = value
    if "id" not in told:
        raise ValueError("an envelope has an id")
    return Message(
        channel=channel,
        priority=priority,
        body=bodies.load(body),
        attempt=attempt,
        expires_ms=expires_ms,
        turn=turn,
        **told,
    )
