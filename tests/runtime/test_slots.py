"""A child never holds more than its concurrency, whoever claims at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from coordq.ids import new_id
from coordq.runtime.ledger import Ledger, Mark
from coordq.runtime.slots import Slots
from coordq.work.claim import Claim
from coordq.work.spec import Spec


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger for three claims."""
    ledger = Ledger.create(slots=3, shards=1)
    yield ledger
    ledger.close()


def a_claim() -> Claim:
    """Some claim."""
    task_id = new_id()
    return Claim(task_id, 1, 1, 1, 0, Spec("default", "echo"), b"{}", f"{task_id}|1")


def test_reserved_slots_cannot_be_reserved_again(ledger: Ledger) -> None:
    """Two claims on their way together must not bring more than there is room for."""
    slots = Slots(ledger, 3)

    assert slots.reserve(2) == 2
    assert slots.reserve(2) == 1
    assert slots.reserve(2) == 0


def test_a_claim_stands_in_the_ledger_until_it_is_given_back(ledger: Ledger) -> None:
    """From reception to the acknowledged outcome a crash must not lose it."""
    slots = Slots(ledger, 3)
    hold = slots.take(a_claim(), mark=Mark.RUNNING, deadline_ns=0)
    assert [held.member for held in ledger.held()] == [hold.claim.member]

    slots.give_back(hold)

    assert ledger.held() == []
    assert slots.free == 3


def test_a_waiting_claim_is_not_marked_as_running_before_it_starts(ledger: Ledger) -> None:
    """A claim whose handler had not started is not to blame for its process's death."""
    slots = Slots(ledger, 3)
    hold = slots.take(a_claim(), mark=Mark.WAITING, deadline_ns=0)
    assert ledger.held()[0].mark is Mark.WAITING

    slots.remark(hold, mark=Mark.SUSPECT, deadline_ns=5)

    assert (ledger.held()[0].mark, ledger.held()[0].deadline_ns) == (Mark.SUSPECT, 5)


def test_emptied_waits_for_what_may_still_be_granted(ledger: Ledger) -> None:
    """A child that leaves while a claim is on its way would take the task with it."""

    async def leave() -> bool:
        slots = Slots(ledger, 3)
        reserved = slots.reserve(1)
        leaving = asyncio.create_task(slots.emptied())
        await asyncio.sleep(0)
        early = leaving.done()
        slots.unreserve(reserved)
        await asyncio.wait_for(leaving, 5)
        return early

    assert asyncio.run(leave()) is False
