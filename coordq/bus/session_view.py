"""Sessions as they stand, and what was said in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.bus.envelope import Message, read_message

_STATES: Final = {"j": "joined", "i": "invited", "l": "left"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who takes part, or was to, or did."""

    name: str
    state: str
    """joined, invited or left."""
    role: str
    since: int
    """The last turn when they came, were invited or left."""
    heard: int = 0
    """Up to which turn they were given it."""
    pending: int = 0
    """How many of that they have not acknowledged."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said."""

    number: int
    """From 1."""
    speaker: str
    """"" for a turn that nobody has spoken, such as word that the session is closed."""
    to: tuple[str, ...] | None
    """Who was to hear it; None for all. An answer is heard by who asked, and names nobody here."""
    message: Message

    @property
    def kind(self) -> str:
        """say, ask, reply, offer, joined, closed, or a word of yours."""
        return self.message.kind

    @property
    def body(self) -> Any:
        """What the message says."""
        return self.message.body

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        said = self.message
        return {
            "turn": self.number,
            "speaker": self.speaker,
            "to": None if self.to is None else list(self.to),
            "kind": said.kind,
            "id": said.id,
            "correlation": said.correlation,
            "sent_ms": said.sent_ms,
            "body": said.body,
        }


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as it stands."""

    id: str
    state: str
    """open or closed."""
    about: Any
    """What it is about, as its opener said: any JSON."""
    opened_by: str
    opened_ms: int
    closed_ms: int
    """0 while it is open."""
    why: str
    """How it came to be closed: what was said, or empty, idle, deadline."""
    order: str
    """free, or round: those who take part speak one after the other."""
    next: str
    """Whose turn it is, in a round."""
    turn: int
    """Number of the last turn."""
    bytes: int
    max_turns: int
    max_bytes: int
    max_people: int
    deadline_ms: int
    """When it is closed whatever comes, in milliseconds since 1970 by Redis's clock; 0 = never."""
    present: int = 0
    """How many take part."""
    people: tuple[Person, ...] = ()
    """Also those who were invited, or have left; empty in a list of sessions."""
    moved_ms: int = 0

    @property
    def joined(self) -> tuple[str, ...]:
        """Those who take part, in the order of their coming."""
        return tuple(one.name for one in self.people if one.state == "joined")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "people"}
        people = [{name: getattr(one, name) for name in Person.__slots__} for one in self.people]
        return {**values, "people": people}


def _named(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode(errors="replace") for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _people(flat: Sequence[bytes], places: Sequence[Any]) -> tuple[Person, ...]:
    heard = {
        places[at].decode(): (int(places[at + 1]), int(places[at + 2]))
        for at in range(0, len(places), 3)
    }
    found = []
    for name, text in _named(flat).items():
        state, since, nth, role = text.split(" ", 3)
        person = Person(name, _STATES[state], role, int(since), *heard.get(name, (0, 0)))
        found.append((int(nth), person))
    return tuple(person for _, person in sorted(found, key=lambda each: each[0]))


def read_view(
    session_id: str,
    flat: Sequence[bytes],
    *,
    people: Sequence[bytes] = (),
    places: Sequence[Any] = (),
    moved: float = 0,
    present: int | None = None,
) -> SessionView:
    """A session from HASH bus:session:<id>, and who takes part as session/look says it.

    present: how many that are, when it is not said who.
    """
    said = _named(flat)
    everyone = _people(people, places)
    if present is None:
        present = sum(one.state == "joined" for one in everyone)

    def number(field: str) -> int:
        return int(said.get(field) or 0)

    return SessionView(
        id=session_id,
        state=said.get("state", ""),
        about=json.loads(said.get("about") or "null"),
        opened_by=said.get("by", ""),
        opened_ms=number("opened"),
        closed_ms=number("closed"),
        why=said.get("why", ""),
        order=said.get("order", ""),
        next=said.get("next", "") if said.get("order") == "round" else "",
        turn=number("turn"),
        bytes=number("bytes"),
        max_turns=number("turns"),
        max_bytes=number("most"),
        max_people=number("people"),
        deadline_ms=number("until"),
        present=present,
        people=everyone,
        moved_ms=round(moved),
    )


def read_turn(session_id: str, entry: bytes, flat: Sequence[bytes]) -> Turn | None:
    """A turn of the transcript; None for what coordq did not write."""
    said = dict(zip(flat[::2], flat[1::2], strict=True))
    number = int(entry.partition(b"-")[0])
    try:
        message = read_message(f"~{session_id}", "normal", said[b"h"], said[b"b"], turn=number)
    except (KeyError, ValueError, RecursionError):
        return None
    hears = said.get(b"t", b"*").decode(errors="replace")
    to = None if hears == "*" else tuple(name for name in hears.split() if name != "-")
    return Turn(number, said.get(b"f", b"").decode(errors="replace"), to, message)
