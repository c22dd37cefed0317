"""The messages of one producer, and the sessions that it holds, as its seed says.

A message that Redis did not answer for is sent again as another one: what counts is what was
acknowledged. A turn is said again under the same nonce, which has one effect.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from coordq import clock, new_id
from coordq.bus.topic import LANES, shard_of_channel
from coordq.client.session_plans import Voice
from coordq.interfaces.chaos.insist import insist
from coordq.interfaces.chaos.journal import Journal
from coordq.interfaces.chaos.listeners import DELIVERIES, PEOPLE, TOPICS

if TYPE_CHECKING:
    from coordq.client.client import Client

TURNS: Final = 10
"""Of a session; as many are answers."""
CHANNELS: Final = {**dict.fromkeys(TOPICS, 12), "@ada": 6, "@bob": 6, "session": 40}
URGENT: Final = {"normal": 70, "critical": 15, "low": 15}
BODIES: Final = {"quick": 70, "nap": 18, "flaky": 10, "doomed": 2}


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
    if how == "nap":
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
        self._session = ""
        self._turns = TURNS

    def keep_up(self, client: Client, done: int, *, share: float) -> None:
        """Send until there are as many messages for each of the `done` tasks."""
        while self._sent < share * done:
            one = errand(self._seed, self._producer, self._sent)
            if one.channel == "session":
                self._say(client, one)
            else:
                insist(partial(self._publish, client, one))
            self._sent += 1

    def _publish(self, client: Client, one: Errand) -> None:
        message_id = new_id(shard_of_channel(one.channel, client.engine.shards))
        self._journal.write("mtr", message_id)
        asked_ms = _now_ms()
        published = client.bus.publish(one.channel, one.body, priority=one.priority, id=message_id)
        place = f"{LANES[one.priority]}{one.channel}"
        self._acknowledged("mak", message_id, place, published.receivers, asked_ms)

    def _say(self, client: Client, one: Errand) -> None:
        if self._turns == TURNS:
            self._session = new_id(self._sent % client.engine.shards)
            self._turns = 0
            insist(partial(client.sessions.open, participants=PEOPLE, id=self._session))
        self._turns += 1
        speaker = PEOPLE[self._turns % 2]
        body = one.body | {"n": self._turns}
        asked_ms = _now_ms()

        def attempt() -> Any:
            voice = Voice(self._session, speaker, key=f"turn-{self._turns}")
            return client.sessions.speaking(voice).say(body)

        said = insist(attempt)
        self._acknowledged("sak", said.id, f"n~{self._session}", said.turn, asked_ms)

    def _acknowledged(self, kind: str, id_: str, place: str, number: int, asked_ms: int) -> None:
        self._journal.write(kind, id_, self._producer, place, number, asked_ms, _now_ms())


def _now_ms() -> int:
    return int(clock.monotonic() * 1000)
