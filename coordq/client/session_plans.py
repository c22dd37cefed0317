"""Operations on sessions of more than one step, written once for both clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, Final
from uuid import uuid4

from coordq.amounts import whole
from coordq.bus import body as bodies
from coordq.bus import session as talk
from coordq.bus.envelope import parcel
from coordq.bus.group import Group
from coordq.bus.reply import Reply, address, read_reply
from coordq.bus.session import Rules, Said
from coordq.bus.session_view import SessionView, Turn
from coordq.bus.topic import mailbox
from coordq.client import bus_plans, posting
from coordq.client.plan import BLOCK_S, Command, Plan
from coordq.clock import monotonic
from coordq.engine import bus_keys, keys
from coordq.errors import (
    AskFailed,
    Conflict,
    InvalidMessage,
    InvalidOption,
    SessionNotFound,
    WaitTimeout,
)
from coordq.ids import is_id, new_id, shard_of
from coordq.names import check_name
from coordq.work.options import seconds

People = Iterable[str | tuple[str, str]] | Mapping[str, str]
"""Names, or names with roles."""
OnPart = Callable[[Any], None]
OFFERS: Final = ("offer", "counter")
BARGAINING: Final = (*OFFERS, "accept", "decline")


@dataclass(slots=True)
class Voice:
    """Who speaks in a session, and under which nonces: those of a handler are the same again."""

    session_id: str
    name: str
    key: str = ""
    """What a repeated run has in common with the first; "" = nothing is repeated."""
    acting: str = ""
    """Who really speaks, when it is somebody's stand-in."""
    _said: count[int] = field(default_factory=lambda: count(1))

    def nonce(self) -> str:
        """For the next turn."""
        return f"{self.key}:{next(self._said)}" if self.key else uuid4().hex


def check_session(session_id: object) -> str:
    """`session_id` itself when it has the form of one. Raises SessionNotFound."""
    if not isinstance(session_id, str) or not is_id(session_id):
        raise SessionNotFound(
            f"{session_id!r:.60} is no session: an id has 22 characters, as `coordq session ls` "
            "shows.",
            id=session_id,
        )
    return session_id


def rules(**given: Any) -> Rules:
    """The rules that a caller asks for. Raises InvalidOption, InvalidTime."""
    order = given["order"]
    if order not in talk.ORDERS:
        raise InvalidOption(
            f"order={order!r}: use one of {', '.join(talk.ORDERS)}.", option="order"
        )
    spans = {name: seconds(name, given[name]) for name in ("idle", "keep", "deadline")}
    return Rules(
        order=order,
        turns=whole("turns", given["turns"], 1, talk.TURNS_MAX),
        max_bytes=whole("max_bytes", given["max_bytes"], 1, talk.BYTES_MAX),
        people=whole("max_people", given["max_people"], 1, talk.PEOPLE_MAX),
        idle_s=spans["idle"] or talk.IDLE_S,
        kept_s=spans["keep"],
        deadline_s=spans["deadline"],
    )


def people_of(given: People) -> list[tuple[str, str]]:
    """Names and roles, checked, each once. Raises InvalidName, InvalidOption."""
    if isinstance(given, str):
        raise InvalidOption(f"participants={given!r}: give a list of names.", option="participants")
    pairs = given.items() if isinstance(given, Mapping) else given
    people: dict[str, str] = {}
    for one in pairs:
        name, role = (one, "") if isinstance(one, str) else one
        people[check_name("agent", name)] = check_name("role", role) if role else ""
    return list(people.items())


def open_session(
    shards: int, voice: Voice, about: Any, *, how: Rules, people: People
) -> Plan[None]:
    """Begin; who opens it takes part, and has a mailbox from now on."""
    listed = people_of(people)
    if voice.name and voice.name not in dict(listed):
        listed.insert(0, (voice.name, ""))
    text = bodies.dump(about)
    if voice.name:
        yield from bus_plans.subscribe(shards, Group(mailbox(voice.name)), only_new=True)
    yield talk.open_session(voice.session_id, voice.name, text, how, listed)


def _me(voice: Voice) -> str:
    """Who speaks, comes or goes. Raises InvalidOption."""
    if not voice.name:
        raise InvalidOption("Who speaks? Get the session with me=<name>.", option="me")
    return voice.name


def join(shards: int, voice: Voice, role: str, *, history: bool) -> Plan[int]:
    """Come in; who comes has a mailbox from now on."""
    _me(voice)
    if role:
        check_name("role", role)
    yield talk.look(voice.session_id)  # before a mailbox is made for a session that is not there
    yield from bus_plans.subscribe(shards, Group(mailbox(voice.name)), only_new=True)
    turn: int = yield talk.enter(voice.session_id, "j", voice.name, role=role, history=history)
    return turn


def leave(voice: Voice) -> Plan[int]:
    """Take no part any more."""
    turn: int = yield talk.enter(voice.session_id, "l", _me(voice))
    return turn


def invite(shards: int, voice: Voice, name: str, role: str) -> Plan[int]:
    """Ask somebody to come: they find it in their mailbox, as a message of kind invite."""
    check_name("agent", name)
    if role:
        check_name("role", role)
    turn: int = yield talk.enter(voice.session_id, "i", name, role=role)
    view, _ = yield talk.look(voice.session_id)
    body = {"session": voice.session_id, "about": view.about, "role": role, "by": voice.name}
    letter = posting.draft(shards, mailbox(name), body, {"kind": "invite", "sender": voice.name})
    yield from posting.post("", shards, [letter], posting.Terms("refuse"))
    return turn


def say(
    voice: Voice,
    body: Any,
    *,
    kind: str = "say",
    to: Sequence[str] = (),
    expects: int | None = None,
    answers: tuple[str, str] = ("", ""),
    reply: bool = False,
    **envelope: Any,
) -> Plan[Said]:
    """The next turn."""
    _me(voice)
    if kind in talk.SYSTEM:
        raise InvalidMessage(f"kind={kind!r} is said by the session itself.")
    said: dict[str, Any] = {"sender": voice.name, "kind": kind, **envelope}
    if voice.acting and voice.acting != voice.name:
        said["causation"] = f"stand-in:{voice.acting}"
    shard = shard_of(voice.session_id)
    message_id = new_id(shard)
    if reply:
        said["reply_to"] = address(shard, message_id)
    made = parcel(f"~{voice.session_id}", body, id=message_id, **said)
    turn: Said = yield talk.say(
        voice.session_id,
        voice.name,
        made,
        nonce=voice.nonce(),
        to=[check_name("agent", name) for name in to],
        expects=-1 if expects is None else whole("expects", expects),
        answers=answers,
    )
    return turn


def ask(
    namespace: str, voice: Voice, to: str, body: Any, *, limit_s: float, on_part: OnPart | None
) -> Plan[Any]:
    """Ask somebody who takes part, and wait. Asked again after a crash it is the same question."""
    said: Said = yield from say(voice, body, kind="ask", to=[to], reply=True)
    shard = shard_of(voice.session_id)
    key = bus_keys.replies(keys.root(namespace, shard), said.id)
    deadline, after = monotonic() + limit_s, "0"
    while True:
        turns: tuple[SessionView, list[Turn]] = yield talk.look(
            voice.session_id, after=said.turn, limit=talk.PAGE
        )
        for turn in turns[1]:
            if turn.kind == "reply" and turn.message.correlation == said.id:
                # its parts came before it, and some may not have been read
                entries = yield Command(shard, ("XREAD", "STREAMS", key, after))
                _take_parts(to, said.id, entries, on_part)
                return turn.body
        block = min(BLOCK_S, deadline - monotonic())
        if block <= 0:
            raise WaitTimeout(
                f"{to!r} did not answer turn {said.turn} of session {voice.session_id} within "
                f"{limit_s:g} s.",
                id=said.id,
            )
        words = ("XREAD", "BLOCK", max(1, int(block * 1000)), "STREAMS", key, after)
        entries = yield Command(shard, words, timeout_s=block)
        last = _take_parts(to, said.id, entries, on_part)
        if last is not None:
            return last.body
        after = entries[0][1][-1][0].decode() if entries else after


def _take_parts(to: str, ask_id: str, entries: Any, on_part: OnPart | None) -> Reply | None:
    """Pass on what was read of an answer; its last part, if that was among it."""
    for _, fields in entries[0][1] if entries else []:
        reply = read_reply(fields)
        if reply is not None and reply.ask == ask_id:
            if reply.how == "last":
                return reply
            _take_part(to, reply, on_part)
    return None


def _take_part(to: str, reply: Reply, on_part: OnPart | None) -> None:
    if reply.how == "error":
        error = reply.body if isinstance(reply.body, dict) else {}
        raise AskFailed(
            f"{to!r} answered with an error: {error.get('message') or reply.body}",
            error=reply.body,
            by=reply.sender,
        )
    if on_part is not None:
        on_part(reply.body)


def transcript(session_id: str, after: int, limit: int | None) -> Plan[list[Turn]]:
    """Turns behind one; all of them, page by page, unless limited."""
    found: list[Turn] = []
    while limit is None or len(found) < limit:
        want = talk.PAGE if limit is None else min(talk.PAGE, limit - len(found))
        view, page = yield talk.look(session_id, after=after, limit=want)
        found += page
        if len(page) < want or page[-1].number >= view.turn:
            break
        after = page[-1].number
    return found


def following(namespace: str, session_id: str, after: int) -> Plan[tuple[list[Turn], bool]]:
    """Turns behind one, waited for if there are none; and whether more may come."""
    shard = shard_of(session_id)
    key = bus_keys.stream(keys.root(namespace, shard), f"n~{session_id}")
    while True:
        view, turns = yield talk.look(session_id, after=after, limit=talk.PAGE)
        ended = view.state != "open"
        if turns or ended:
            return turns, bool(turns) and (not ended or turns[-1].number < view.turn)
        words = ("XREAD", "BLOCK", int(BLOCK_S * 1000), "STREAMS", key, f"{view.turn}-0")
        yield Command(shard, words, timeout_s=BLOCK_S)


def decide(voice: Voice, kind: str, offer: int, body: Any) -> Plan[Said]:
    """Counter, accept or decline an offer, if it is the last one still: nobody was faster.

    Raises Conflict, InvalidOption.
    """
    whole("offer", offer, 1)
    while True:
        view, turns = yield talk.look(voice.session_id, after=offer - 1, limit=talk.PAGE)
        last = turns[-1].number if turns else view.turn
        _check_offer(voice, offer, turns)
        if last < view.turn:
            raise Conflict(
                f"More than {talk.PAGE} turns were said since offer {offer}: make a new one.",
                id=voice.session_id,
            )
        try:
            said: Said = yield from say(
                voice, body, kind=kind, expects=view.turn, correlation=turns[0].message.id
            )
        except Conflict:
            continue  # something else was said meanwhile: is it still the last offer?
        return said


def _check_offer(voice: Voice, offer: int, turns: Sequence[Turn]) -> None:
    if not turns or turns[0].number != offer or turns[0].kind not in OFFERS:
        raise InvalidOption(
            f"Turn {offer} of session {voice.session_id} is no offer.", option="offer"
        )
    if turns[0].speaker == voice.name:
        raise InvalidOption("An offer is decided by others than who made it.", option="offer")
    for later in turns[1:]:
        if later.kind in BARGAINING:
            raise Conflict(
                f"Offer {offer} stands no more: turn {later.number} is {later.speaker!r}'s "
                f"{later.kind}.",
                id=voice.session_id,
                turn=later.number,
            )


def ls(shards: int, name: str, limit: int) -> Plan[list[SessionView]]:
    """Sessions, those that moved last first."""
    whole("limit", limit)
    if name:
        check_name("agent", name)
    found: list[SessionView] = []
    for shard in range(shards):
        offset = 0
        while offset < limit:
            want = min(talk.PAGE, limit - offset)
            page: list[SessionView] = yield talk.ls(shard, name, offset=offset, limit=want)
            found += page
            offset += len(page)
            if len(page) < talk.PAGE:
                break
    found.sort(key=lambda view: (-view.moved_ms, view.id))
    return found[:limit]


def span(option: str, value: float | timedelta) -> float:
    """Seconds. Raises InvalidTime."""
    return seconds(option, value, zero=False)
