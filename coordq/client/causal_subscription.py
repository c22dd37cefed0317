"""Reading from the bus in causal order, for code that blocks."""

from __future__ import annotations

from contextlib import suppress

from coordq.bus.group import Group
from coordq.client import causal
from coordq.client.causal import CausalTray, InOrder
from coordq.client.delivery import Settled
from coordq.client.drive import drive
from coordq.client.plan import BLOCK_S
from coordq.client.subscription import Delivery, Subscription
from coordq.engine.connection import Engine
from coordq.errors import CoordqError


class CausalSubscription(Subscription):
    """The only reader of a group, which is given each message after those that it comes after.

    What came early is held while it waits, as long as `receive` is called within the visibility.
    """

    _tray: CausalTray

    def __init__(
        self, engine: Engine, group: Group, reader: str, prefetch: int, wish: InOrder
    ) -> None:
        known = drive(engine, causal.begin(engine.shards, group, reader))
        try:
            super().__init__(engine, group, reader, prefetch)
            self._tray = CausalTray(known, reader, prefetch, wish=wish, shards=engine.shards)
        except BaseException:
            with suppress(CoordqError):
                drive(engine, causal.end(engine.shards, group, reader))
            raise

    def _from_tray(self, most: int) -> list[Delivery]:
        self._tray.tend()
        if self._tray.beat_s() <= 0:
            drive(self._engine, self._tray.beat())
        self._tell()
        return super()._from_tray(most)

    def _take(self, most: int, settled: Settled) -> float:
        wait_s = min(super()._take(most, settled), self._look())
        patience_s = self._tray.patience_s()
        return wait_s if patience_s is None else min(wait_s, patience_s, self._tray.beat_s())

    def _look(self) -> float:
        """Ask where what is waited for may be; how soon to take again, in seconds."""
        wait_s, asked = BLOCK_S, set[str]()
        while True:
            doubts = {
                shard: [channel for channel in some if channel not in asked]
                for shard, some in self._tray.doubts().items()
            }
            if not any(doubts.values()):
                return wait_s
            for shard, some in doubts.items():
                asked.update(some)
                again_s = self._tray.learn(self._engine.run(self._tray.ask_alone(shard, some)))
                wait_s = wait_s if again_s is None else min(wait_s, again_s)

    def _tell(self) -> None:
        for event in self._tray.gaps():
            with suppress(CoordqError):  # who reads is marked; the event is for people
                self._engine.run(event)

    def close(self) -> None:
        """Give back what was not handed out, also what waits; a group of its own ends."""
        if self._closed:
            return
        super().close()
        self._tell()
        drive(self._engine, causal.end(self._engine.shards, self.group, self._tray.reader))
