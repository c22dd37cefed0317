"""What the listeners of one child hear, and what becomes of it.

A message is run as a task is: by the executor, with the agent's middleware, dependencies and time
limits. What differs is what its end means: acknowledged, given back for another try, or a dead
letter.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import uuid4

from coordq.bus.envelope import Message
from coordq.bus.group import Group
from coordq.bus.session import SYSTEM, reply_to
from coordq.bus.take import EVENTS, Given
from coordq.bus.topic import BROADCAST
from coordq.client.delivery import UNREADABLE, read
from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError
from coordq.runtime.deputy import Deputy
from coordq.runtime.ear import Ear
from coordq.runtime.heard import Entry, Heard, heard
from coordq.runtime.turns import Turns
from coordq.topics import matches
from coordq.work.finish import Outcome
from coordq.work.listener import Listener, by_kind

REASON_MAX: Final = 200
EPHEMERAL: Final = ":"
"""Between the group that a fan-out listener names and the process that is one of its own."""

_log = logging.getLogger("coordq.worker")


class Runs(Protocol):
    """What is wanted of an executor."""

    async def run(self, claim: Any, /) -> Outcome | None:
        """Run a listener for a message; None gives it back as if it had not begun."""

    def cancel(self, member: str, reason: Any, /) -> Any:
        """Tell the listener to stop: shutdown or lost."""


class Ears:
    """All that one child hears, on all shards.

    reader: what Redis knows it by; the same after a restart. slots: how many messages it handles at
    once.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        listeners: Iterable[Listener],
        *,
        executor: Runs,
        reader: str,
        slots: int,
    ) -> None:
        self._engine = engine
        self._executor = executor
        self._open = True
        listeners = tuple(listeners)
        self._turns = Turns(listeners, handle=self._handle, rested=self._rouse, slots=slots)
        self._groups: dict[str, list[Listener]] = {}
        for one in listeners:
            self._groups.setdefault(_group_name(one, reader), []).append(one)
        boxes = {name for name, members in self._groups.items() if members[0].reads_mailbox}
        self._deputy = Deputy(engine, boxes, adopt=self._adopt)
        self._aside: set[asyncio.Future[Any]] = set()
        groups = [_group(name, members) for name, members in self._groups.items()]
        self._ears = [
            Ear(
                shard,
                engine=engine,
                reader=reader,
                groups=groups,
                begin=self._begin,
                room=self._turns.room,
            )
            for shard in range(engine.shards if groups else 0)
        ]

    # -- life ----------------------------------------------------------------------------------

    async def subscribe(self) -> None:
        """Make all groups: what is published from now on is heard, sooner or later."""
        for ear in self._ears:
            await ear.subscribe()
        await self._deputy.learn()

    async def start(self) -> None:
        """Begin to listen."""
        for ear in self._ears:
            await ear.start()
        self._deputy.start()

    def drain(self) -> None:
        """Take nothing more, and give back what has not begun."""
        self._open = False
        for ear in self._ears:
            ear.drain()
        for ear, one in self._turns.clear():
            self._ended(ear, one.entry, "r")

    async def emptied(self) -> None:
        """Wait, after `drain`, until all handlers have ended and Redis knows how."""
        await self._turns.emptied()
        for ear in self._ears:
            await ear.settled()

    def cancel_all(self, reason: str) -> None:
        """Tell all handlers to stop: shutdown or lost."""
        for member in list(self._turns.running):
            self._executor.cancel(member, reason)

    def guard(self) -> None:
        """Stop what others may have been given, because Redis has not heard of us for so long."""
        for ear in self._ears:
            if ear.held and ear.silent_s > ear.visibility_s:
                for member, owner in list(self._turns.running.items()):
                    if owner is ear:
                        self._executor.cancel(member, "lost")

    async def close(self) -> None:
        """Hang up."""
        await self._deputy.close()
        for ear in self._ears:
            await ear.close()

    @property
    def busy(self) -> bool:
        """Whether anything is being handled, or about to."""
        return self._turns.busy

    def _adopt(self, names: Iterable[str]) -> None:
        names = tuple(names)
        for ear in self._ears:
            ear.adopt(names)

    def _rouse(self) -> None:
        """There is room: for what lies on any shard."""
        if self._open:
            for ear in self._ears:
                ear.rouse()

    # -- from a message to its end -------------------------------------------------------------

    def _begin(self, ear: Ear, taken: Sequence[Given]) -> None:
        for given in taken:
            if self._open:
                self._sort(ear, given)
            else:
                ear.settle("r", given)
        self._turns.go()

    def _sort(self, ear: Ear, given: Given) -> None:
        """Hand what was taken to whom it is for; what is for nobody is a dead letter."""
        messages: Sequence[Message]
        try:
            plain = given.place[0] != EVENTS
            messages = (given.message(),) if plain else tuple(read(ear.shard, given))
        except (ValueError, RecursionError):
            messages = ()
        if not messages:
            ear.settle("d", given, reason=UNREADABLE)
        entry = Entry(given, len(messages))
        for nth, message in enumerate(messages):
            if self._heard_anyway(given.group, message):
                self._ended(ear, entry, "a")
                continue
            if why := self._deputy.unwelcome(given.group, message)[:REASON_MAX]:
                self._turn_away(given, message, why)
                self._ended(ear, entry, "d", reason=why)
                continue
            listener = self._for(given.group, message)
            if listener is not None:
                self._turns.add(ear, heard(message, listener, entry, nth=nth))
            elif _is_nobodys(message):
                self._ended(ear, entry, "a")  # word of who comes and goes, for who asked for it
            else:
                why = f"unhandled: nobody is for kind {message.kind!r}"
                self._ended(ear, entry, "d", reason=why)

    def _heard_anyway(self, group: str, message: Message) -> bool:
        """Whether what is read here for another was said to all, so that it is heard by us, too."""
        if message.channel != BROADCAST or group in self._groups:
            return False
        return not self._deputy.unwelcome(self._deputy.reader_of(group), message)

    def _turn_away(self, given: Given, message: Message, why: str) -> None:
        """Who asked what may not be heard here is told so."""
        if message.reply_to:
            error = {"code": "not-connected", "message": why}
            call = reply_to(
                message, error, given.group, number=1, how="error", sender="", nonce=uuid4().hex
            )
            task = asyncio.ensure_future(self._engine.run(call))
            self._aside.add(task)
            task.add_done_callback(self._aside.discard)

    def _for(self, group: str, message: Message) -> Listener | None:
        members = self._groups[self._deputy.reader_of(group)]
        if members[0].reads_mailbox:
            found = by_kind(members, message.kind)
            return None if found and _is_nobodys(message) and not found.kind else found
        if len(members) == 1:
            return members[0]
        for one in members:
            if any(matches(pattern, message.channel) for pattern in one.patterns):
                return one
        return members[0]  # it was revived, or its pattern has gone

    async def _handle(self, ear: Ear, one: Heard) -> bool:
        """Run a listener for a message, and settle it; whether there was nothing special."""
        try:
            outcome = await self._executor.run(one)
            if outcome is not None and one.awaited:
                await self._answer(one, outcome)
            return self._settle(ear, one.entry, outcome)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not swallow the message
            _log.exception("message %s (%s) could not be handled", one.id, one.name)
            why = f"internal: {error}"[:REASON_MAX]
            self._ended(ear, one.entry, "n", delay_ms=1000, reason=why)
            return False

    async def _answer(self, one: Heard, outcome: Outcome) -> None:
        """What an ask's handler returns is the answer; that it failed for good is one, too."""
        try:
            if outcome.kind == "succeeded":
                await self._engine.run(one.answer(json.loads(outcome.body), "last"))
            elif outcome.kind == "failed":
                error = {"code": "failed", "message": _reason(outcome)}
                await self._engine.run(one.answer(error, "error"))
        except CoordqError as error:
            _log.warning("message %s (%s) could not be answered: %s", one.id, one.name, error)

    def _settle(self, ear: Ear, entry: Entry, outcome: Outcome | None) -> bool:
        """Whether it succeeded."""
        kind = "lost" if outcome is None else outcome.kind
        if kind == "succeeded":
            self._ended(ear, entry, "a")
            return True
        if outcome is None or kind == "release":
            self._ended(ear, entry, "r")
        elif kind in {"failed", "cancelled"}:
            self._ended(ear, entry, "d", reason=_reason(outcome))
        else:
            why = _reason(outcome) if kind == "retry" else kind
            self._ended(ear, entry, "n", delay_ms=outcome.delay_ms, reason=why)
        return False

    def _ended(
        self, ear: Ear, entry: Entry, verdict: str, *, delay_ms: int = 0, reason: str = ""
    ) -> None:
        if entry.ended(verdict, delay_ms=delay_ms, reason=reason):
            ear.settle(entry.verdict, entry.given, delay_ms=entry.delay_ms, reason=entry.reason)


def _is_nobodys(message: Message) -> bool:
    """A turn of a session that nobody has spoken."""
    return message.turn > 0 and message.kind in SYSTEM


def _reason(outcome: Outcome) -> str:
    """Why, for people: `<reason>: <type>: <message>`, on one line."""
    try:
        error: Mapping[str, Any] = json.loads(outcome.body)
        said = f"{error['reason']}: {error['type']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        said = outcome.kind
    return " ".join(said.split())[:REASON_MAX]


def _group_name(one: Listener, reader: str) -> str:
    if not one.fanout:
        return one.group
    own = "".join(letter if letter.isalnum() else "-" for letter in reader)
    return f"{one.group}{EPHEMERAL}{own}"[:100]


def _group(name: str, members: Sequence[Listener]) -> Group:
    """What those who share a group ask for together."""
    return Group(
        name,
        tuple(dict.fromkeys(pattern for one in members for pattern in one.patterns)),
        visibility_s=max(one.visibility_s for one in members),
        deliveries=max(one.max_deliveries for one in members),
        ordered=any(one.ordered for one in members),
        ephemeral=any(one.fanout for one in members),
    )
