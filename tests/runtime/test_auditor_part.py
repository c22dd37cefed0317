"""The leader's auditor: repairs what is wrong, leaves busy workers alone, and takes its time."""

from __future__ import annotations

import asyncio
import random

import pytest

from coordq.client.client import Client
from coordq.engine.aio import open_async_engine
from coordq.fleet.election import inaugurate
from coordq.runtime.supervisor import auditor as auditing
from coordq.runtime.supervisor.auditor import Auditor
from coordq.runtime.supervisor.term import Term
from tests.runtime.conftest import NewFleet, NewWatchman
from tests.waiting import wait_until
from tests.work.desk import Desk, bulk


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


def test_the_leader_repairs_and_says_so(desk: Desk, new_watchman: NewWatchman) -> None:
    """An event under its epoch, and a line in its log."""
    task_id = desk.put(delay=60)
    desk.redis("DEL", desk.key("due"))
    watchman = new_watchman(audit_every_s=0.1)

    wait_until(lambda: desk.state(task_id) == "ready", what="the task to be due")

    (event,) = [one for one in desk.events() if one.kind == "repaired"]
    assert (event.subject, event.detail) == (
        task_id,
        "it was scheduled for no moment: due now",
    )
    assert event.fence == watchman.epochs()[-1]
    watchman.wait_for(f"repaired {task_id}: {event.detail}")


def test_audits_beside_busy_workers_repair_nothing(
    client: Client, desk: Desk, new_fleet: NewFleet, new_watchman: NewWatchman
) -> None:
    """Two workers in full swing: whatever is between two pages is no damage."""
    watchman = new_watchman(audit_every_s=0.1)
    for _ in range(2):
        new_fleet(processes=1)
    dice = random.Random(5)
    for number in range(40):
        client.work.enqueue_many([("echo", {"text": str(n)}) for n in range(100)])
        later = client.work.enqueue("echo", {"text": "later"}, delay=dice.choice((0.05, 0.2)))
        client.work.enqueue("echo", {"text": "big" * 1000}, unique=str(number % 3))
        if number % 4 == 0:
            client.work.cancel(later.id)

    wait_until(lambda: _left(client) == 0, within=200, what="all tasks to be done")

    assert [one.subject for one in desk.events() if one.kind == "repaired"] == []
    assert "repaired" not in watchman.log()
    desk.audit()


def _left(client: Client) -> int:
    seen = client.work.stats()
    return seen.running + sum(queue.backlog for queue in seen.queues)


async def _rounds(url: str, namespace: str, part: Auditor, amount: int) -> list[float]:
    """The pauses that so many rounds ask for."""
    async with await open_async_engine(url, namespace=namespace) as engine:
        term = Term(engine, name="s", epoch=7)
        await term.run(inaugurate(0, 7))
        part.begin(term)
        return [await part.round_on(term, 0) for _ in range(amount)]


def test_an_audit_rests_longer_than_it_works(
    desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round ends after a slice, here of one step, and asks for many times as long a rest."""
    monkeypatch.setattr(auditing, "SLICE_S", 0)
    for _ in range(8):
        desk.place_all(bulk(500))
    part = Auditor(every_s=60)

    first, *pauses = asyncio.run(_rounds(redis_url, desk.engine.namespace, part, 6))

    assert first == auditing.FIRST_S
    assert auditing.REST >= 19
    assert all(0 < pause != 60 for pause in pauses)
    assert part.counts["audits"] == 0


def test_an_audit_is_complete_after_so_many_rounds_as_it_takes(
    desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one is as far off as the settings say."""
    monkeypatch.setattr(auditing, "SLICE_S", 60)
    desk.put()
    desk.redis("DEL", desk.key("line:default:2job"))
    part = Auditor(every_s=60)

    *_, last = asyncio.run(_rounds(redis_url, desk.engine.namespace, part, 2))

    assert last == 60
    assert (part.counts["audits"], part.counts["repaired"], part.counts["tasks_read"]) == (1, 1, 1)
