"""Whose loop does not turn is told apart from who has not begun."""

from __future__ import annotations

from coordq import clock
from coordq.runtime.ledger import Ledger, Word
from coordq.runtime.process import ChildProcess


def test_a_child_that_has_not_ticked_yet_is_not_stalled() -> None:
    """One that was told to leave while it started was called stalled since the machine booted."""
    ledger = Ledger.create(slots=1, shards=1)
    child = ChildProcess(worker="w", index=0, generation=1, ledger=ledger)

    assert child.tick_age_s() == 0

    ledger.put(Word.TICK, int((clock.monotonic() - 5) * 1e9))
    assert 5 <= child.tick_age_s() < 5 + 60
    ledger.close()
