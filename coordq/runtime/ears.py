"""What the listeners of one child hear, and what becomes of it.

A message is run as a task is: by the executor, with the agent's middleware, dependencies and time
limits. What differs is what its end means: acknowledged, given back for another try, or a dead
letter. What is taken beyond what runs waits here, in the order in which it came, and no more of it
than a moment's work.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol
from uuid import uuid4

from coordq import clock
from coordq.bus.envelope import Message
from coordq.bus.group import Group
from coordq.bus.session import SYSTEM, reply_to
from coordq.bus.take import Given
from coordq.bus.topic import BROADCAST, mailbox
from coordq.client.delivery import UNREADABLE, read
from coordq.client.drive import drive_async
from coordq.client.topology_plans import Seen
from coordq.engine import agent_keys, keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError
from coordq.fleet.registry import deputies, read_stand_ins
from coordq.runtime.ear import Ear
from coordq.runtime.heard import Entry, Heard, heard
from coordq.topics import matches
from coordq.work.finish import Outcome
from coordq.work.listener import Listener, by_kind

AHEAD_S: Final = 0.1
"""So much work is taken ahead, by the pace of what ran last."""
AHEAD_MAX: Final = 400
REASON_MAX: Final = 200
DEPUTIZE_S: Final = 2.0
"""How soon a stand-in begins to read what is for another."""
EPHEMERAL: Final = ":"
"""Between the group that a fan-out listener names and the process that is one of its own."""

_log = logging.getLogger("coordq.worker")


class Runs(Protocol):
    """What is wanted of an executor."""

    async def run(self, claim: Any, /) -> Outcome | None:
        """Run a listener for a message; None gives it back as if it had not begun."""

    def cancel(self, member: str, reason: Any, /) -> Any:
        """Tell the listener to stop: shutdown or lost."""


class _Line:
    """The messages of one listener that wait for their turn, and how many run."""

    __slots__ = ("listener", "running", "waiting")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.waiting: deque[tuple[Ear, Heard]] = deque()
        self.running = 0

    @property
    def may_start(self) -> bool:
        most = self.listener.concurrency
        return bool(self.waiting) and (most is None or self.running < most)


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
        self._slots = slots
        self._open = True
        self._running: dict[str, tuple[Ear, asyncio.Task[None]]] = {}
        """By member."""
        self._waiting = 0
        self._pace_s = 0.0
        """How long a message took lately."""
        self._lines = {one.name: _Line(one) for one in listeners}
        self._groups: dict[str, list[Listener]] = {}
        for one in (line.listener for line in self._lines.values()):
            self._groups.setdefault(_group_name(one, reader), []).append(one)
        self._acting: dict[str, str] = {}
        """Mailboxes of others that were ever read here, and in whose place by now."""
        self._deputy: asyncio.Task[None] | None = None
        self._reads_mailbox = any(members[0].reads_mailbox for members in self._groups.values())
        self._topology = Seen()
        self._aside: set[asyncio.Future[Any]] = set()
        groups = [_group(name, members) for name, members in self._groups.items()]
        self._ears = [
            Ear(
                shard,
                engine=engine,
                reader=reader,
                groups=groups,
                begin=self._begin,
                room=self._room,
            )
            for shard in range(engine.shards if groups else 0)
        ]

    # -- life ----------------------------------------------------------------------------------

    async def subscribe(self) -> None:
        """Make all groups: what is published from now on is heard, sooner or later."""
        for ear in self._ears:
            await ear.subscribe()
        await self._learn_topology()

    async def start(self) -> None:
        """Begin to listen."""
        for ear in self._ears:
            await ear.start()
        if self._reads_mailbox:
            self._deputy = asyncio.create_task(self._deputize())

    def drain(self) -> None:
        """Take nothing more, and give back what has not begun."""
        self._open = False
        for ear in self._ears:
            ear.drain()
        for line in self._lines.values():
            while line.waiting:
                ear, one = line.waiting.popleft()
                self._waiting -= 1
                self._ended(ear, one.entry, "r")

    async def emptied(self) -> None:
        """Wait, after `drain`, until all handlers have ended and Redis knows how."""
        while self._running:
            await asyncio.wait([task for _, task in self._running.values()])
        for ear in self._ears:
            await ear.settled()

    def cancel_all(self, reason: str) -> None:
        """Tell all handlers to stop: shutdown or lost."""
        for member in list(self._running):
            self._executor.cancel(member, reason)

    def guard(self) -> None:
        """Stop what others may have been given, because Redis has not heard of us for so long."""
        for ear in self._ears:
            if ear.held and ear.silent_s > ear.visibility_s:
                for member, (owner, _) in list(self._running.items()):
                    if owner is ear:
                        self._executor.cancel(member, "lost")

    async def close(self) -> None:
        """Hang up."""
        if self._deputy is not None:
            self._deputy.cancel()
            await asyncio.gather(self._deputy, return_exceptions=True)
        for ear in self._ears:
            await ear.close()

    @property
    def busy(self) -> bool:
        """Whether anything is being handled, or about to."""
        return bool(self._running) or self._waiting > 0

    async def _deputize(self) -> None:
        """Read the mailboxes of those for whom our agents stand in, as long as they do."""
        key = agent_keys.stand_ins(keys.root(self._engine.namespace, 0))
        while self._open:
            with suppress(CoordqError):
                await self._learn_topology()
                stand_ins = read_stand_ins(await self._engine.execute(0, "HGETALL", key))
                acting = {
                    mailbox(name): mailbox(by)
                    for name, by in deputies(stand_ins).items()
                    if mailbox(by) in self._groups and mailbox(name) not in self._groups
                }
                self._acting |= acting
                for ear in self._ears:
                    ear.adopt(acting)
            await asyncio.sleep(DEPUTIZE_S * random.uniform(0.9, 1.1))

    async def _learn_topology(self) -> None:
        """Who may talk to whom, for those that are sent to mailboxes here."""
        if self._reads_mailbox:
            await drive_async(self._engine, self._topology.compare(clock.monotonic()))

    # -- from a message to its end -------------------------------------------------------------

    def _room(self) -> int:
        """How many more may be taken: free slots, and a moment's work ahead."""
        ahead = AHEAD_MAX if not self._pace_s else int(self._slots * AHEAD_S / self._pace_s)
        most = self._slots + min(AHEAD_MAX, ahead)
        return max(0, most - len(self._running) - self._waiting)

    def _begin(self, ear: Ear, taken: Sequence[Given]) -> None:
        for given in taken:
            if self._open:
                self._sort(ear, given)
            else:
                ear.settle("r", given)
        self._start()

    def _sort(self, ear: Ear, given: Given) -> None:
        """Hand what was taken to whom it is for; what is for nobody is a dead letter."""
        try:
            messages = list(read(ear.shard, given))
        except (ValueError, RecursionError):
            messages = []
        if not messages:
            ear.settle("d", given, reason=UNREADABLE)
        entry = Entry(given, len(messages))
        for nth, message in enumerate(messages):
            if self._heard_anyway(given, message):
                self._ended(ear, entry, "a")
                continue
            if why := self._unwelcome(given, message):
                self._turn_away(given, message, why)
                self._ended(ear, entry, "d", reason=why)
                continue
            listener = self._for(given.group, message)
            if listener is None and _is_nobodys(message):
                self._ended(ear, entry, "a")  # word of who comes and goes, for who asked for it
                continue
            if listener is None:
                why = f"unhandled: nobody is for kind {message.kind!r}"
                self._ended(ear, entry, "d", reason=why)
                continue
            one = heard(message, listener, entry, nth=nth)
            self._lines[listener.name].waiting.append((ear, one))
            self._waiting += 1

    def _heard_anyway(self, given: Given, message: Message) -> bool:
        """Whether what is read here for another was said to all, so that it is heard by us, too."""
        if message.channel != BROADCAST or given.group in self._groups:
            return False
        own = self._acting.get(given.group, given.group)
        return not self._unwelcome(given._replace(group=own), message)

    def _unwelcome(self, given: Given, message: Message) -> str:
        """Why the topology does not let this message be heard here; "" when it does."""
        if not message.sender or message.channel[0] not in "@*" or given.group[0] != "@":
            return ""
        view, agent = self._topology.view, given.group[1:]
        verdict = view.at_take(message.sender, agent, message.arranged)
        return "" if verdict else f"not-connected: {verdict.reason}"[:REASON_MAX]

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
        members = self._groups[self._acting.get(group, group)]
        if members[0].reads_mailbox:
            found = by_kind(members, message.kind)
            return None if found and _is_nobodys(message) and not found.kind else found
        for one in members:
            if any(matches(pattern, message.channel) for pattern in one.patterns):
                return one
        return members[0]  # it was revived, or its pattern has gone

    def _start(self) -> None:
        """Start what may start, of each listener in turn."""
        starting = True
        while starting and len(self._running) < self._slots:
            starting = False
            for line in self._lines.values():
                if line.may_start and len(self._running) < self._slots:
                    ear, one = line.waiting.popleft()
                    self._waiting -= 1
                    line.running += 1
                    task = asyncio.create_task(self._handle(ear, one, line))
                    self._running[one.member] = (ear, task)
                    starting = True

    async def _handle(self, ear: Ear, one: Heard, line: _Line) -> None:
        began = clock.monotonic()
        try:
            outcome = await self._executor.run(one)
            if outcome is not None and one.awaited:
                await self._answer(one, outcome)
            self._settle(ear, one.entry, outcome)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not swallow the message
            _log.exception("message %s (%s) could not be handled", one.id, one.name)
            why = f"internal: {error}"[:REASON_MAX]
            self._ended(ear, one.entry, "n", delay_ms=1000, reason=why)
        finally:
            line.running -= 1
            del self._running[one.member]
            took_s = clock.monotonic() - began
            self._pace_s = took_s if not self._pace_s else 0.9 * self._pace_s + 0.1 * took_s
            if self._open:
                self._start()
                ear.rouse()

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

    def _settle(self, ear: Ear, entry: Entry, outcome: Outcome | None) -> None:
        kind = "lost" if outcome is None else outcome.kind
        if outcome is None or kind == "release":
            self._ended(ear, entry, "r")
        elif kind == "succeeded":
            self._ended(ear, entry, "a")
        elif kind in {"failed", "cancelled"}:
            self._ended(ear, entry, "d", reason=_reason(outcome))
        else:
            why = _reason(outcome) if kind == "retry" else kind
            self._ended(ear, entry, "n", delay_ms=outcome.delay_ms, reason=why)

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
