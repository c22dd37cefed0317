"""Whatever is planted in the books is found, told and put right; what is right is left alone."""

from __future__ import annotations

import pytest

import tests.work.damages_limits
import tests.work.damages_waits  # noqa: F401 - these add their damages
from coordq.errors import Deposed
from coordq.fleet.election import inaugurate
from coordq.work.audit import repair
from tests.work.damages import DAMAGES, a_task_waits_for_nobody, audited, busy, words
from tests.work.desk import Desk


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_told_and_mended(desk: Desk, name: str) -> None:
    """Exactly that is repaired, an event says so, the books balance, and it stays so."""
    ids = busy(desk)
    assert audited(desk).findings == []
    expected = DAMAGES[name](desk, ids)

    found = audited(desk)
    told = [(one.subject, one.detail) for one in desk.events() if one.kind == "repaired"]

    assert words(found) == [expected]
    assert told == [(one.subject, one.wrong) for one in found.findings]
    assert audited(desk).findings == []
    # and the fixture balances the books with the other auditor


@pytest.mark.parametrize("name", DAMAGES)
def test_a_look_says_what_is_wrong_and_changes_nothing(desk: Desk, name: str) -> None:
    """`coordq audit` without --repair is safe at any time."""
    desk.audited = False
    expected = DAMAGES[name](desk, busy(desk))
    before = desk.dump()

    found = audited(desk, look=True)

    assert words(found) == [expected]
    assert desk.dump() == before


def test_a_foreign_record_becomes_a_dead_letter(desk: Desk) -> None:
    """It is set aside once, and whoever comes upon its place in line counts it no second time."""
    desk.audited = False  # the other auditor reads records only
    task_id, other = desk.put(), desk.put()
    desk.redis("SET", desk.key(f"t:{task_id}"), "scribble")

    found = audited(desk)

    assert words(found)[0] == (task_id, "its record was not written by coordq")
    assert desk.take().id == other
    assert (desk.queue().ready, desk.overview().dead) == (0, 1)
    assert audited(desk).findings == []


def test_arguments_that_are_gone_make_a_dead_letter(desk: Desk) -> None:
    """A task must not run with other arguments than it was given."""
    ids = busy(desk)
    desk.redis("DEL", desk.key(f"p:{ids['ready']}"))

    found = audited(desk)

    assert words(found)[0] == (ids["ready"], "its arguments were gone")
    assert desk.task(ids["ready"]).reason == "arguments-lost"


def test_an_orphan_says_why_it_died(desk: Desk) -> None:
    """Every dead letter has a reason."""
    task_id, _ = a_task_waits_for_nobody(desk, {})

    audited(desk)

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "orphan")


def test_a_task_without_a_lease_costs_nothing(desk: Desk) -> None:
    """It was not its handler's fault, nor its worker's: no attempt, no strike."""
    desk.put()
    held = desk.take()
    desk.redis("DEL", desk.key("lease"))

    audited(desk)

    task = desk.task(held.id)
    assert (task.state, task.attempt, task.strikes) == ("ready", 0, 0)
    assert desk.end(held) == "stale"
    assert desk.take().id == held.id


def test_a_lost_place_keeps_its_age(desk: Desk) -> None:
    """It stands at the end, but ages from when it became ready."""
    first = desk.put()
    desk.redis("LPOP", desk.key("line:default:2job"))
    second = desk.put()

    audited(desk)

    assert [one.id for one in desk.claim(5).claims] == [second, first]


def test_an_old_leader_repairs_nothing(desk: Desk) -> None:
    """It may have been paused for an hour, and its suspicions be as old."""
    ids = busy(desk)
    desk.run(inaugurate(0, 9))
    desk.redis("ZREM", desk.key("due"), ids["scheduled"])

    with pytest.raises(Deposed):
        desk.run(repair(0, [("task", ids["scheduled"])], epoch=8))

    assert desk.redis("ZSCORE", desk.key("due"), ids["scheduled"]) is None
    assert words(audited(desk)) == [(ids["scheduled"], "it was scheduled for no moment")]


def test_what_the_leader_repairs_carries_its_epoch(desk: Desk) -> None:
    """So that a story of two leaders can be told apart."""
    ids = busy(desk)
    desk.redis("ZREM", desk.key("due"), ids["scheduled"])

    desk.run(repair(0, [("task", ids["scheduled"])], epoch=77))

    (event,) = [one for one in desk.events() if one.kind == "repaired"]
    assert (event.fence, event.queue, event.name) == (77, "default", "job")


def test_queues_with_colons_in_their_names_are_told_apart(desk: Desk) -> None:
    """A line's key is <queue>:<line>, and both may hold colons."""
    desk.audited = False  # the other auditor takes the first colon for the end of the queue
    for queue in ("mail", "mail:2eu"):
        desk.put("job:2x", queue=queue)
        desk.redis("DEL", desk.key(f"heads:{queue}"))

    found = audited(desk)

    assert sorted(words(found)) == [
        ("mail", "nobody knew of its line 2job:2x"),
        ("mail:2eu", "nobody knew of its line 2job:2x"),
    ]
