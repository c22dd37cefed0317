"""The messages of one producer, and the sessions that it holds, as its seed says.

A message that Redis did not answer for is sent again as another one: what counts is what was
acknowledged. A turn is said again under the same nonce, which has one effect. Of a rush the channel
has room for a part: the rest waits with the producer until there is. Now and then it writes letters
to itself, see `postbox`.
"""

from __future__ import annotations

import random
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from coordq import new_id
from coordq.bus.topic import LANES, shard_of_channel
from coordq.client.session_plans import Voice
from coordq.errors import ChannelFull, SessionNotFound
from coordq.interfaces.chaos.insist import insist
from coordq.interfaces.chaos.journal import Journal, moment_ms
from coordq.interfaces.chaos.listeners import (
    DELIVERIES,
    IN_THREADS,
    MAILBOXES,
    PEOPLE,
    RUSH,
    TO_ALL,
    TOPICS,
)
from coordq.interfaces.chaos.postbox import LETTERS, Postbox

if TYPE_CHECKING:
    from coordq.client.client import Client

TURNS: Final = 10
"""Of a session; as many are answers."""
CHANNELS: Final = {
    **dict.fromkeys(TOPICS, 24),
    **dict.fromkeys(MAILBOXES, 7),
    TO_ALL: 8,
    RUSH: 1,
    "session": 80,
}
URGENT: Final = {"normal": 70, "critical": 15, "low": 15}
BODIES: Final = {"quick": 700, "nap": 180, "flaky": 100, "doomed": 10, "slow": 10}
CROWD: Final = 30
"""Messages of a rush."""
PAUSE_S: Final = 0.005
"""What each of them takes."""
LETTERS_FIRST: Final = 10
LETTERS_EVERY: Final = 200
"""After so many messages and turns of a life come letters, and again after so many more."""
SLOW_S: Final = 2.2
"""Longer than a message is held for without a word of its reader."""


class Errand(NamedTuple):
    """What to say, and where."""

    channel: str
    """A topic, a mailbox, or "session"."""
    priority: str
    body: dict[str, Any]


def errand(seed: int, producer: int, number: int) -> Errand:
    """Number `number` of a producer; the same whenever it is drawn."""
    chance = random.Random(f"{seed} message {producer} {number}")
    channel = _one_of(chance, CHANNELS)
    how = _one_of(chance, BODIES)
    body: dict[str, Any] = {}
    if channel == RUSH:
        return Errand(channel, "normal", {"seconds": PAUSE_S})
    if how == "slow" and channel != "session" and channel not in IN_THREADS:
        body = {"seconds": SLOW_S, "failures": 1}
    elif how == "nap":
        body["seconds"] = round(chance.uniform(0.01, 0.2), 3)
    elif how == "flaky" or (how == "doomed" and channel not in TOPICS):
        body["failures"] = 1
    elif how == "doomed":
        body["failures"] = DELIVERIES
    return Errand(channel, _one_of(chance, URGENT), body)


def _one_of(chance: random.Random, shares: dict[str, int]) -> str:
    return chance.choices(list(shares), list(shares.values()))[0]


class Chatter:
    """One life of it. A session that an earlier life was holding is left as it is."""

    def __init__(self, seed: int, producer: int, journal: Journal, sent: int) -> None:
        """`sent`: how many messages and turns of earlier lives were acknowledged."""
        self._seed, self._producer, self._journal = seed, producer, journal
        self._sent = sent
        self._letters_at = sent + LETTERS_FIRST
        self._box = Postbox(producer, journal)
        self._session = ""
        self._turns = TURNS
        self._talked_out: deque[str] = deque()
        """Sessions in which everything of ours was said."""

    def keep_up(self, client: Client, done: int, *, share: float) -> None:
        """Send until there are as many messages for each of the `done` tasks."""
        while self._sent < share * done:
            if self._sent >= self._letters_at:
                self._letters_at = self._sent + LETTERS_EVERY
                self._box.round(client, partial(self._write_letter, client))
                self._sent += LETTERS
                continue
            one = errand(self._seed, self._producer, self._sent)
            if one.channel == "session":
                self._say(client, one)
                self._sent += 1
            elif one.channel == RUSH:
                self._rush(client, one)
                self._sent += CROWD
            else:
                insist(partial(self._publish, client, one))
                self._sent += 1

    def finish(self, client: Client) -> None:
        """Hear what is left of the letters."""
        self._box.empty(client)

    # -- messages ------------------------------------------------------------------------------

    def _write_letter(self, client: Client, channel: str, priority: str) -> int:
        publish = partial(self._publish, client, Errand(channel, priority, {}))
        sent_ms: int = insist(partial(self._box.publish, client, publish))
        return sent_ms

    def _publish(self, client: Client, one: Errand) -> int:
        """Send one; when it was known to be taken."""
        message_id = self._new(client, one)
        asked_ms = moment_ms()
        published = client.bus.publish(one.channel, one.body, priority=one.priority, id=message_id)
        place = f"{LANES[one.priority]}{one.channel}"
        return self._acknowledged("mak", message_id, place, published.receivers, asked_ms)

    def _rush(self, client: Client, one: Errand) -> None:
        """More than there is room for: see that some find none, and wait with these for room."""
        left, when_full = CROWD, "refuse"
        while left:
            taken = insist(partial(self._crowd, client, one, left, when_full))
            if taken < left:
                self._journal.write("ful", one.channel, left - taken)
            left, when_full = left - taken, "wait"

    def _crowd(self, client: Client, one: Errand, amount: int, when_full: str) -> int:
        """Publish so many at once; how many were taken."""
        ids = [self._new(client, one) for _ in range(amount)]
        asked_ms = moment_ms()
        items = [(one.channel, one.body, {"id": one_id}) for one_id in ids]
        try:
            client.bus.publish_many(items, when_full=when_full)
        except ChannelFull as error:
            full = set(error.facts["ids"])
            ids = [one_id for one_id in ids if one_id not in full]
        for one_id in ids:
            self._acknowledged("mak", one_id, f"n{one.channel}", 1, asked_ms)
        return len(ids)

    def _new(self, client: Client, one: Errand) -> str:
        message_id = new_id(shard_of_channel(one.channel, client.engine.shards))
        self._journal.write("mtr", message_id)
        return message_id

    # -- sessions ------------------------------------------------------------------------------

    def _say(self, client: Client, one: Errand) -> None:
        if self._turns == TURNS:
            self._begin(client)
        self._turns += 1
        speaker = PEOPLE[self._turns % 2]
        body = one.body | {"n": self._turns}
        asked_ms = moment_ms()

        def attempt() -> Any:
            voice = Voice(self._session, speaker, key=f"turn-{self._turns}")
            return client.sessions.speaking(voice).say(body)

        try:
            said = insist(attempt)
        except SessionNotFound:  # a failover took it back
            self._session, self._turns = "", TURNS
            return
        self._acknowledged("sak", said.id, f"n~{self._session}", said.turn, asked_ms)

    def _begin(self, client: Client) -> None:
        """Open the next session; close the oldest that has had all its answers."""
        if self._session:
            self._talked_out.append(self._session)
        if self._talked_out:
            self._end(client, self._talked_out.popleft())
        self._session = new_id(self._sent % client.engine.shards)
        self._turns = 0
        insist(partial(client.sessions.open, participants=PEOPLE, id=self._session))

    def _end(self, client: Client, session_id: str) -> None:
        """Close a session, or come back to it when some turns have not been answered yet."""
        session = client.sessions.get(session_id)
        with suppress(SessionNotFound):
            if insist(session.get).turn < 2 * TURNS:
                self._talked_out.append(session_id)
            else:
                insist(partial(session.close, "all was said"))

    def _acknowledged(self, kind: str, id_: str, place: str, number: int, asked_ms: int) -> int:
        ms = moment_ms()
        self._journal.write(kind, id_, self._producer, place, number, asked_ms, ms)
        return ms
