"""The letters of one producer to itself, and how it hears them: a critical one behind others.

Workers take what is published as it comes, and much of it ahead: seldom does anything wait long
enough to be overtaken. Here it waits for certain. Nobody reads the box until the producer has sent
some letters, a critical one, and a while later a crowd of others; so all lie there together, and
the critical one has to come first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from coordq.bus.group import Group
from coordq.errors import AgentNotFound, GroupNotFound
from coordq.interfaces.chaos.insist import insist
from coordq.interfaces.chaos.journal import Journal, moment_ms
from coordq.interfaces.chaos.listeners import LATER_MS, OWN_BOX, PATIENT, VISIBILITY_S

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.client.subscription import Delivery, Subscription

BEFORE: Final = 2
"""Letters that the critical one comes after."""
BEHIND: Final = 7
"""Letters that come later, and that it overtakes."""
LETTERS: Final = BEFORE + 1 + BEHIND
PAUSE_S: Final = 0.002
"""What each of them takes: so none begins in the millisecond of another."""
TICK_S: Final = 0.02

Send = Callable[[str, str], int]
"""Sends a letter to a channel, of a priority; when it was known to be taken, in ms."""


class Postbox:
    """The box of one producer, in one of its lives."""

    def __init__(self, producer: int, journal: Journal) -> None:
        self.name = f"{OWN_BOX}{producer}"
        self._journal = journal

    def round(self, client: Client, send: Send) -> None:
        """Send LETTERS, then hear them, and what an earlier life has left unheard."""
        insist(partial(self.make, client))
        for _ in range(BEFORE):
            send(self.name, "normal")
        sent_ms = send(self.name, "critical")
        while moment_ms() <= sent_ms + LATER_MS:
            time.sleep(TICK_S)
        for _ in range(BEHIND):
            send(self.name, "normal")
        self._hear_all(client)

    def publish(self, client: Client, publish: Callable[[], Any]) -> Any:
        """Send once; a box that is not there, as a failover may leave it, is made anew."""
        try:
            return publish()
        except AgentNotFound:
            self.make(client)
            raise

    def make(self, client: Client) -> None:
        """Let letters wait here from now on."""
        client.bus.add_group(Group(self.name, visibility_s=VISIBILITY_S, deliveries=PATIENT))

    def empty(self, client: Client) -> None:
        """Hear all that is left, also what an earlier life has taken and comes again."""
        while insist(partial(self._left, client)):
            self._hear_all(client)
            time.sleep(TICK_S)

    def _left(self, client: Client) -> int:
        try:
            view = client.bus.group(self.name)
        except GroupNotFound:
            return 0
        return view.places + view.held

    def _hear_all(self, client: Client) -> None:
        reader = self.name[1:]  # in each life: what the one before held comes at once
        open_ = partial(client.bus.subscribe, self.name, reader=reader, visibility=VISIBILITY_S)
        box = insist(partial(open_, max_deliveries=PATIENT))
        while (letter := insist(partial(_next, box))) is not None:
            self._hear(letter)
            insist(letter.ack)
        insist(box.close)

    def _hear(self, letter: Delivery) -> None:
        run = (self._journal.path.stem, self.name, letter.message.id, letter.message.attempt)
        self._journal.write("hea", *run, moment_ms())
        time.sleep(PAUSE_S)
        self._journal.write("hed", *run, "done", moment_ms())


def _next(box: Subscription) -> Delivery | None:
    """What lies there; None when that is nothing, or the box has gone."""
    try:
        return box.receive(0)
    except GroupNotFound:
        return None
