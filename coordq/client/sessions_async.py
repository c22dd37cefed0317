"""The sessions door of the async client: conversations of several turns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from random import randrange
from typing import Any

from coordq.amounts import whole
from coordq.bus import session as talk
from coordq.bus.session import Said
from coordq.bus.session_view import SessionView, Turn
from coordq.client import session_plans as plans
from coordq.client.drive import drive_async
from coordq.client.session_plans import OnPart, People, Voice
from coordq.engine.aio import AsyncEngine
from coordq.ids import new_id
from coordq.names import check_name


class AsyncSession:
    """A conversation, as one of those who take part sees it, or somebody who only looks."""

    __slots__ = ("_engine", "_voice")

    def __init__(self, engine: AsyncEngine, voice: Voice) -> None:
        self._engine = engine
        self._voice = voice

    @property
    def id(self) -> str:
        """Its id: 22 characters."""
        return self._voice.session_id

    @property
    def me(self) -> str:
        """As whom this one speaks; "" for who only looks."""
        return self._voice.name

    # -- speaking ------------------------------------------------------------------------------

    async def say(
        self,
        body: Any,
        /,
        *,
        to: Sequence[str] = (),
        kind: str = "say",
        expects: int | None = None,
        **envelope: Any,
    ) -> Said:
        """Say something: the next turn, heard by all others, or by those in `to`.

        expects: what the last turn must be; else Conflict, and nothing is said. envelope:
        correlation, causation, trace, schema, as of any message. In a handler, what an earlier run
        has said is not said again.

        Raises SessionNotFound, SessionClosed, NotParticipant, NotYourTurn, SessionFull, Conflict,
        InvalidMessage, PayloadTooLarge.
        """
        plan = plans.say(self._voice, body, kind=kind, to=to, expects=expects, **envelope)
        return await drive_async(self._engine, plan)

    async def ask(
        self, to: str, body: Any, /, *, timeout: float = 30.0, on_part: OnPart | None = None
    ) -> Any:
        """Ask one who takes part, and wait `timeout` seconds for the answer.

        on_part: is called with each part of an answer that comes in parts. Raises WaitTimeout,
        AskFailed, and as `say`.
        """
        limit_s = plans.span("timeout", timeout)
        plan = plans.ask(
            self._engine.namespace, self._voice, to, body, limit_s=limit_s, on_part=on_part
        )
        return await drive_async(self._engine, plan)

    async def answer(self, turn: Turn, body: Any, /) -> Said:
        """Answer a question that was asked in this session: who asked hears it."""
        call = talk.answer(turn.message, body, self.me, nonce=self._voice.nonce())
        return await self._engine.run(call)

    # -- bargaining ----------------------------------------------------------------------------

    async def offer(self, terms: Any, /, *, to: Sequence[str] = ()) -> Said:
        """Make an offer: any JSON. Others counter, accept or decline it by its turn."""
        return await self.say(terms, to=to, kind="offer")

    async def counter(self, offer: int, terms: Any, /) -> Said:
        """Answer an offer with another. Raises Conflict when it is not the last one any more."""
        return await drive_async(self._engine, plans.decide(self._voice, "counter", offer, terms))

    async def accept(self, offer: int, /, note: Any = None) -> Said:
        """Take an offer. Of two that decide about it one is first; the other gets Conflict."""
        return await drive_async(self._engine, plans.decide(self._voice, "accept", offer, note))

    async def decline(self, offer: int, /, why: Any = None) -> Said:
        """Refuse an offer. Raises Conflict when it is not the last one any more."""
        return await drive_async(self._engine, plans.decide(self._voice, "decline", offer, why))

    # -- coming and going ----------------------------------------------------------------------

    async def join(self, *, role: str = "", history: bool = False) -> int:
        """Take part from now on; gives the last turn. history: hear all that was said before.

        Raises SessionNotFound, SessionClosed, SessionFull, InvalidName; InvalidOption without a
        name to join by.
        """
        plan = plans.join(self._engine.shards, self._voice, role, history=history)
        return await drive_async(self._engine, plan)

    async def invite(self, name: str, /, *, role: str = "") -> int:
        """Ask an agent to join: a message of kind `invite` is in its mailbox.

        Raises AgentNotFound, SessionNotFound, SessionClosed, SessionFull.
        """
        return await drive_async(
            self._engine, plans.invite(self._engine.shards, self._voice, name, role)
        )

    async def leave(self) -> int:
        """Take no part any more; gives the last turn.

        When the last one has left the session is closed. Raises SessionNotFound, NotParticipant,
        InvalidOption.
        """
        return await drive_async(self._engine, plans.leave(self._voice))

    async def close(self, why: str = "closed") -> None:
        """End it for all. What was said is heard to its end, and kept for a while."""
        await self._engine.run(talk.close(self.id, why))

    # -- looking -------------------------------------------------------------------------------

    async def get(self) -> SessionView:
        """The session as it stands. Raises SessionNotFound."""
        view, _ = await self._engine.run(talk.look(self.id))
        return view

    async def transcript(self, *, after: int = 0, limit: int | None = None) -> list[Turn]:
        """What was said behind turn `after`, in order. Raises SessionNotFound."""
        return await drive_async(self._engine, plans.transcript(self.id, after, limit))

    def follow(self, *, after: int = 0) -> AsyncIterator[Turn]:
        """What was said behind turn `after`, and what is said next, until it is closed.

        It waits for each turn, and is woken by it. Raises SessionNotFound.
        """
        whole("after", after)
        return self._follow(after)

    async def _follow(self, after: int) -> AsyncIterator[Turn]:
        more = True
        while more:
            plan = plans.following(self._engine.namespace, self.id, after)
            turns, more = await drive_async(self._engine, plan)
            for turn in turns:
                after = turn.number
                yield turn

    def __repr__(self) -> str:
        return f"AsyncSession({self.id!r}, me={self.me!r})"


class AsyncSessions:
    """Conversations between agents: opened, found, listed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(
        self,
        about: Any = None,
        /,
        *,
        participants: People = (),
        me: str = "",
        order: str = "free",
        turns: int = talk.TURNS,
        max_bytes: int = talk.BYTES,
        max_people: int = talk.PEOPLE,
        idle: float | timedelta = talk.IDLE_S,
        keep: float | timedelta = talk.KEPT_S,
        deadline: float | timedelta = 0,
        id: str | None = None,  # noqa: A002 - that is what it is
    ) -> AsyncSession:
        """Begin a conversation about something: any JSON.

        participants: agents that take part from the start, as names, (name, role) or a mapping;
        they must read a mailbox. me: who opens it, takes part, and speaks by what is returned.
        order: "round": what is said to all is said in turn, in the order of their names. turns,
        max_bytes, max_people: what it may have at most. idle: seconds without a turn after which it
        is closed; deadline: after so many it is closed whatever comes. keep: so many it is kept
        then. id: from coordq.new_id(); opening the same id again has no effect.

        Raises AgentNotFound, SessionFull, InvalidName, InvalidOption, InvalidTime, InvalidMessage.
        """
        how = plans.rules(
            order=order,
            turns=turns,
            max_bytes=max_bytes,
            max_people=max_people,
            idle=idle,
            keep=keep,
            deadline=deadline,
        )
        shards = self._engine.shards
        session_id = new_id(randrange(shards)) if id is None else plans.check_session(id)
        voice = Voice(session_id, check_name("agent", me) if me else "")
        await drive_async(
            self._engine,
            plans.open_session(shards, voice, about, how=how, people=participants),
        )
        return AsyncSession(self._engine, voice)

    def get(self, session_id: str, /, *, me: str = "") -> AsyncSession:
        """A session by its id, to speak in it as `me`, or only to look; not looked for yet."""
        name = check_name("agent", me) if me else ""
        return AsyncSession(self._engine, Voice(plans.check_session(session_id), name))

    def speaking(self, voice: Voice, /) -> AsyncSession:
        """A session in which a handler speaks. For workers."""
        return AsyncSession(self._engine, voice)

    async def ls(self, *, name: str = "", limit: int = 100) -> list[SessionView]:
        """Sessions, those that moved last first; with a name, open ones it takes part in."""
        return await drive_async(self._engine, plans.ls(self._engine.shards, name, limit))
