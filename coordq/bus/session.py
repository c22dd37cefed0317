"""Conversations: turns in one order, kept until they are over, heard by all who take part.

A session is a channel of its own, `~<id>`. Who takes part hears it through their mailbox, one turn
at a time and in order; the next comes when the last was acknowledged. What was said is kept, so a
reader that crashed goes on where it was, and whoever comes later can read it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.bus.envelope import Message, Parcel, parcel
from coordq.bus.reply import reply
from coordq.bus.session_view import SessionView, Turn, read_turn, read_view
from coordq.engine.call import Argument, Call
from coordq.errors import (
    AgentNotFound,
    Conflict,
    CoordqError,
    NotParticipant,
    NotYourTurn,
    SessionClosed,
    SessionFull,
    SessionNotFound,
)
from coordq.ids import shard_of

ORDERS: Final = ("free", "round")
TURNS: Final = 1_000
TURNS_MAX: Final = 100_000
BYTES: Final = 8 * 1024 * 1024
BYTES_MAX: Final = 2**30
PEOPLE: Final = 64
PEOPLE_MAX: Final = 1_000
IDLE_S: Final = 86_400.0
KEPT_S: Final = 86_400.0
PAGE: Final = 500
SYSTEM: Final = ("joined", "left", "closed")
"""Kinds of turns that nobody has spoken."""


@dataclass(frozen=True, slots=True)
class Said:
    """A turn that was said."""

    turn: int
    id: str
    """The message's."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a session goes. Times in seconds."""

    order: str = "free"
    turns: int = TURNS
    max_bytes: int = BYTES
    people: int = PEOPLE
    idle_s: float = IDLE_S
    """Without a turn for so long it is closed."""
    kept_s: float = KEPT_S
    """It is kept for so long when it is closed."""
    deadline_s: float = 0
    """From now: it is closed then whatever comes; 0 for no such moment."""


def open_session(
    session_id: str, by: str, about: bytes, rules: Rules, people: Sequence[tuple[str, str]]
) -> Call[None]:
    """Begin a session with names and roles; again by the same id it has no effect.

    The reply raises AgentNotFound, SessionFull.
    """
    args: list[Argument] = [
        session_id,
        by,
        about,
        rules.order,
        rules.turns,
        rules.max_bytes,
        rules.people,
        round(rules.idle_s * 1000),
        round(rules.kept_s * 1000),
        round(rules.deadline_s * 1000),
    ]
    for name, role in people:
        args += (name, role)

    def read(reply: Any) -> None:
        _check(session_id, *(word.decode() for word in reply))

    return Call("session/open", shard_of(session_id), tuple(args), read)


def enter(
    session_id: str, verb: str, name: str, *, role: str = "", history: bool = False
) -> Call[int]:
    """Come (j), be invited (i) or leave (l); the number of the last turn then.

    history: who comes hears all that was said before. The reply raises SessionNotFound,
    SessionClosed, AgentNotFound, SessionFull, NotParticipant.
    """

    def read(reply: Any) -> int:
        verdict, detail = (word.decode() for word in reply)
        if verdict in {"nobody", "busy", "stranger"}:
            detail = name
        _check(session_id, verdict, detail)
        return int(detail)

    args = (session_id, verb, name, role, int(history))
    return Call("session/enter", shard_of(session_id), args, read)


def say(
    session_id: str,
    speaker: str,
    parcel: Parcel,
    *,
    nonce: str,
    to: Sequence[str] = (),
    expects: int = -1,
    answers: tuple[str, str] = ("", ""),
) -> Call[Said]:
    """The next turn. Repeating it, also much later, has no second effect.

    to: who shall hear it; nobody named: all others. expects: what the last turn must be. answers:
    whose question it answers, and its id; then nobody else hears it as a turn.
    The reply raises SessionNotFound, SessionClosed, NotParticipant, NotYourTurn, Conflict,
    SessionFull.
    """
    heard = f" {' '.join(to)} " if to else ""
    args = (session_id, nonce, speaker, heard, expects, parcel.id, *answers)

    def read(reply: Any) -> Said:
        verdict, detail, message = (word.decode() for word in reply)
        _check(session_id, verdict, speaker if verdict == "stranger" else detail)
        return Said(int(detail), message)

    return Call("session/say", shard_of(session_id), (*args, parcel.header, parcel.body), read)


def answer(message: Message, body: Any, speaker: str, *, nonce: str) -> Call[Said]:
    """Answer a question that was asked in a session: who asked hears it, and it is kept.

    Raises InvalidMessage, PayloadTooLarge; the reply as `say`.
    """
    session_id = message.channel[1:]
    said = parcel(
        message.channel,
        body,
        sender=speaker,
        kind="reply",
        correlation=message.id,
        shard=shard_of(session_id),
    )
    asker = message.reply_to.partition(":")[2]
    return say(session_id, speaker, said, nonce=nonce, answers=(asker, message.id))


def reply_to(
    message: Message, body: Any, group: str, *, number: int, how: str, sender: str, nonce: str
) -> Call[Any]:
    """Answer whatever was asked, as a reader of `group`; the last word in a session is kept there.

    Arguments and errors are those of `bus.reply`.
    """
    if message.turn and how == "last" and message.reply_to:
        return answer(message, body, group.removeprefix("@"), nonce=nonce)
    return reply(message, body, number=number, how=how, sender=sender or group, nonce=nonce)


def close(session_id: str, why: str) -> Call[None]:
    """End a session. The reply raises SessionNotFound."""

    def read(reply: Any) -> None:
        _check(session_id, reply.decode(), "")

    return Call("session/close", shard_of(session_id), (session_id, why), read)


def look(
    session_id: str, *, after: int = 0, limit: int = 0
) -> Call[tuple[SessionView, list[Turn]]]:
    """A session, and turns behind one. The reply raises SessionNotFound."""

    def read(reply: Any) -> tuple[SessionView, list[Turn]]:
        if not reply:
            _check(session_id, "unknown", "")
        fields, people, places, turns = reply
        found = [read_turn(session_id, entry, words) for entry, words in turns]
        view = read_view(session_id, fields, people=people, places=places)
        return view, [turn for turn in found if turn is not None]

    return Call("session/look", shard_of(session_id), (session_id, after, limit), read)


def ls(
    shard: int, name: str = "", *, offset: int = 0, limit: int = PAGE
) -> Call[list[SessionView]]:
    """A page of sessions, those that moved last first, without the names of who takes part.

    name: only open ones that somebody takes part in.
    """

    def read(reply: Any) -> list[SessionView]:
        return [
            read_view(id_.decode(), fields, moved=float(moved), present=present)
            for id_, moved, fields, present in reply
            if fields
        ]

    return Call("session/ls", shard, (name, offset, limit), read)


@dataclass(frozen=True, slots=True)
class Tended:
    """What a page of tending did."""

    closed: int
    gone: int
    more: bool


def tend(shard: int, *, limit: int = 200, epoch: int | None = None) -> Call[Tended]:
    """Close sessions whose time is over, and let those go that were kept long enough.

    epoch: the leader's; None for who does not lead. The reply raises Deposed.
    """
    return Call(
        "session/tend",
        shard,
        ("" if epoch is None else epoch, limit),
        lambda reply: Tended(reply[0], reply[1], reply[2] == 1),
    )


_REFUSALS: Final[dict[str, tuple[type[CoordqError], str, str]]] = {
    "unknown": (
        SessionNotFound,
        "There is no session {id}: it was never opened, or was closed long ago.",
        "",
    ),
    "closed": (SessionClosed, "Session {id} is closed ({detail}).", "why"),
    "nobody": (
        AgentNotFound,
        "{detail!r} reads no mailbox and cannot take part: start its worker, or subscribe as it.",
        "agent",
    ),
    "busy": (SessionFull, "{detail!r} takes part in a thousand sessions already.", "name"),
    "crowded": (SessionFull, "Session {id} has no room for one more.", ""),
    "stranger": (NotParticipant, "{detail!r} takes no part in session {id}.", "name"),
    "absent": (NotParticipant, "{detail!r} takes no part in session {id}.", "name"),
    "not-yours": (
        NotYourTurn,
        "Session {id} goes in a round, and it is the turn of {detail!r}.",
        "next",
    ),
    "conflict": (
        Conflict,
        "Session {id} has moved on: its last turn is {detail}. Read it, and decide anew.",
        "turn",
    ),
    "full": (SessionFull, "Session {id} may have no more {detail}: close it.", ""),
}
"""Verdicts of the scripts: the error, what it says, and under which name it carries the detail."""


def _check(session_id: str, verdict: str, detail: str) -> None:
    """Raise what a script's verdict means, unless that is ok."""
    if verdict == "ok":
        return
    kind, words, fact = _REFUSALS[verdict]
    facts = {"id": session_id} | ({fact: detail} if fact else {})
    raise kind(words.format(id=session_id, detail=detail), **facts)
