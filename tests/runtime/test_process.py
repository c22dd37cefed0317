"""A child as its parent sees it."""

from __future__ import annotations

from coordq.ids import new_id
from coordq.runtime.ledger import Ledger
from coordq.runtime.process import ChildProcess


def test_a_cancel_for_a_child_that_has_died_meanwhile_is_no_error() -> None:
    """The answer to a beat that was on its way used to bring down the whole worker."""
    ledger = Ledger.create(slots=2, shards=1)
    child = ChildProcess(worker="w", index=0, generation=1, ledger=ledger)
    ledger.write(0, f"{new_id()}|7".encode())
    (held,) = child.held()
    child.bury()

    child.cancel(held, "lost")

    assert child.held() == []
    assert child.told == set()
