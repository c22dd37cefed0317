"""Answers: whoever asked reads a stream of its own, in which parts and ends of answers lie."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from coordq.bus import body as bodies
from coordq.bus.envelope import Message
from coordq.engine.call import Call
from coordq.errors import InvalidMessage

HOWS: Final = ("part", "last", "error")


class Reply(NamedTuple):
    """One reply, as the asker reads it."""

    ask: str
    """Id of the message that it answers."""
    number: int
    how: str
    """part, last or error: after the last two there are no more."""
    sender: str
    body: Any


def address(shard: int, asker: str) -> str:
    """What a message's `reply_to` says."""
    return f"{shard}:{asker}"


def reply(
    message: Message, body: Any, *, number: int = 1, how: str = "last", sender: str, nonce: str
) -> Call[int]:
    """Answer a message. Raises InvalidMessage when nobody waits for that, PayloadTooLarge.

    number: from 1, counted for each message. how: "part" when more will follow; "error" with
    {"code", "message"}.
    """
    shard, _, asker = message.reply_to.partition(":")
    if not asker or not shard.isdecimal():
        raise InvalidMessage(f"Message {message.id} was not asked: nobody waits for a reply to it.")
    args = (nonce, asker, message.id, number, how, sender, bodies.dump(body))
    return Call("bus/reply", int(shard), args, int)


def read_reply(fields: list[bytes]) -> Reply | None:
    """The reply in an entry of the stream; None when coordq did not write it."""
    said = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        return Reply(
            said[b"a"].decode(),
            int(said[b"n"]),
            said[b"w"].decode(),
            said[b"f"].decode(),
            bodies.load(said[b"b"]),
        )
    except (KeyError, ValueError, RecursionError):
        return None
