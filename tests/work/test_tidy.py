"""work/tidy: what is too old goes, page by page, and nothing else does."""

from __future__ import annotations

import pytest

from coordq.errors import Deposed
from coordq.work.tidy import Place, Tidied, tidy
from tests.work.desk import Desk, bulk

DAY_MS = 86_400_000


def die(desk: Desk, amount: int) -> list[str]:
    """Dead letters."""
    desk.place_all(bulk(amount))
    held = desk.claim(amount).claims
    for claim in held:
        desk.end(claim, "failed")
    return [claim.id for claim in held]


def age(desk: Desk, *ids: str, by_ms: int) -> None:
    """Let dead letters have been buried earlier."""
    for task_id in ids:
        desk.redis("ZADD", desk.key("dead"), desk.now_ms() - by_ms, task_id)


def tidied(desk: Desk, *, dead_ms: int = 0, events_ms: int = 0, limit: int = 100) -> list[Tidied]:
    """A whole walk, from start to end."""
    pages, place = [], Place()
    while True:
        call = tidy(desk.shard, place, dead_ms=dead_ms, events_ms=events_ms, limit=limit)
        pages.append(desk.engine.run(call))
        place = pages[-1].place
        if place.at_start and pages[-1].dead < limit:
            return pages


def test_old_dead_letters_go_and_young_ones_stay(desk: Desk) -> None:
    """With everything that belongs to them."""
    old, young = die(desk, 2)
    desk.redis("RPUSH", desk.key(f"log:{old}"), "it began")
    desk.redis("SET", desk.key(f"progress:{old}"), "{}")
    age(desk, old, by_ms=2 * DAY_MS)

    tidied(desk, dead_ms=DAY_MS)

    assert [name for name in desk.names() if old in name] == []
    assert desk.state(young) == "failed"


def test_without_a_retention_no_dead_letter_goes(desk: Desk) -> None:
    """A dead letter stays until somebody decides about it."""
    (task_id,) = die(desk, 1)
    age(desk, task_id, by_ms=1000 * DAY_MS)

    tidied(desk)

    assert desk.state(task_id) == "failed"


def test_many_dead_letters_go_page_by_page(desk: Desk) -> None:
    """No call takes long, however many there are."""
    ids = die(desk, 25)
    age(desk, *ids, by_ms=2 * DAY_MS)

    pages = tidied(desk, dead_ms=DAY_MS, limit=10)

    assert [page.dead for page in pages] == [10, 10, 5]


def test_ended_tasks_leave_the_list_when_their_records_have_expired(desk: Desk) -> None:
    """Wherever they stand in it; those that can still be looked at stay, in their order."""
    desk.place_all(bulk(30))
    held = desk.claim(30).claims
    for claim in held:
        desk.end(claim)
    for claim in held[::3]:
        desk.redis("DEL", desk.key(f"t:{claim.id}"))

    pages = tidied(desk, limit=7)

    left = [claim.id for at, claim in enumerate(held) if at % 3]
    assert sum(page.done for page in pages) == 10
    assert desk.redis("LRANGE", desk.key("done"), 0, -1) == [one.encode() for one in left[::-1]]


def test_old_events_go(desk: Desk) -> None:
    """Only those: what happened lately can be looked up."""
    desk.redis("XADD", desk.key("events"), "1000-0", "e", "ready - - \nold")
    desk.put()

    (page,) = tidied(desk, events_ms=DAY_MS)

    assert page.events == 1
    assert [event.kind for event in desk.events()] == ["ready"]


def test_without_a_retention_no_event_goes(desk: Desk) -> None:
    """The stream has its cap."""
    desk.redis("XADD", desk.key("events"), "1000-0", "e", "ready - - \nold")

    tidied(desk)

    assert len(desk.events()) == 1


def test_a_line_that_is_gone_is_named_no_more(desk: Desk) -> None:
    """Its list was deleted by hand. A line that holds tasks keeps its place."""
    desk.put()
    desk.redis("ZADD", desk.key("heads:default"), 1, "2nobody")

    (page,) = tidied(desk)

    assert page.heads == 1
    assert desk.redis("ZRANGE", desk.key("heads:default"), 0, -1) == [b"2job"]


def test_a_deposed_leader_tidies_nothing(desk: Desk) -> None:
    """Its retention may be another than the new leader's."""
    (task_id,) = die(desk, 1)
    age(desk, task_id, by_ms=2 * DAY_MS)
    desk.redis("SET", desk.key("epoch"), 8)
    before = desk.dump()

    with pytest.raises(Deposed):
        desk.run(tidy(0, Place(), dead_ms=1, events_ms=1, epoch=7))

    assert desk.dump() == before
