"""Whatever is planted in the books is found, told and put right; what is right is left alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from coordq.client.audit import Report, run
from coordq.errors import Deposed
from coordq.fleet.election import inaugurate
from coordq.ids import new_id
from coordq.work.audit import repair
from tests.work.desk import Desk, bulk, order

NOBODY = "0000000000000000000000"
LARGE = 2_100
"""More entries than a queue may have to be counted in one step."""


def audited(desk: Desk, *, look: bool = False) -> Report:
    """One audit of the desk's shard."""
    (last,) = deque(run(desk.engine, look=look), maxlen=1)
    return last


def words(report: Report) -> list[tuple[str, str]]:
    """What was found wrong, without what was done about it."""
    return [(one.subject, one.wrong.partition(": ")[0]) for one in report.findings]


def rewrite(desk: Desk, task_id: str, old: bytes, new: bytes) -> None:
    """Scribble in a record."""
    key = desk.key(f"t:{task_id}")
    record = desk.redis("GET", key)
    assert old in record
    desk.redis("SET", key, record.replace(old, new, 1))


def busy(desk: Desk) -> dict[str, str]:
    """A shard with a task in each state, and something in every book."""
    for kind in ("failed", "succeeded"):
        desk.put()
        desk.end(desk.take(), kind)
    ids = {"failed": desk.redis("ZRANGE", desk.key("dead"), 0, 0)[0].decode()}
    desk.put(total_timeout=90)
    ids["running"] = desk.take().id
    ids["ready"] = desk.put(unique="u", expires=90, args={"text": "x" * 3000})
    ids["scheduled"] = desk.put(delay=60, unique="v")
    ids["picky"] = desk.put(role="reviewer", capabilities=["python"])
    ids["lasting"] = desk.put(unique="w", unique_for=60)
    desk.end(desk.take_one(ids["lasting"]), "succeeded")
    return ids


Damage = Callable[[Desk, dict[str, str]], tuple[str, str]]
"""Does it; returns what must be found: subject, and what is wrong."""
DAMAGES: dict[str, Damage] = {}


def damage(plant: Damage) -> Damage:
    """Something that may have happened to a shard."""
    DAMAGES[plant.__name__] = plant
    return plant


@damage
def a_lease_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """The task would run for ever."""
    desk.redis("DEL", desk.key("lease"))
    return ids["running"], "it ran without a lease"


@damage
def a_lease_too_many(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Of a task that is long done."""
    desk.redis("ZADD", desk.key("lease"), desk.now_ms() + 60_000, f"{ids['ready']}|7")
    return ids["ready"], "a lease of a claim that there is not"


@damage
def a_lease_of_an_older_claim(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Who holds it could commit."""
    desk.redis("ZADD", desk.key("lease"), desk.now_ms() + 60_000, f"{ids['running']}|7")
    return ids["running"], "a lease of a claim that there is not"


@damage
def a_place_in_line_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Nobody would ever come upon the task."""
    desk.redis("DEL", desk.key("line:default:2job"))
    desk.redis("ZREM", desk.key("heads:default"), "2job")
    return ids["ready"], "it was ready and stood in no line"


@damage
def a_line_is_unknown(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Claims look at the heads only."""
    desk.redis("ZREM", desk.key("heads:default"), "2job")
    return "default", "nobody knew of its line 2job"


@damage
def a_line_of_ghosts(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Entries whose tasks were deleted, in a line that nobody knows."""
    desk.redis("RPUSH", desk.key("line:default:3job"), NOBODY)
    return "default:3job", "a line of tasks that are gone"


@damage
def a_moment_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """The task would wait for ever."""
    desk.redis("ZREM", desk.key("due"), ids["scheduled"])
    return ids["scheduled"], "it was scheduled for no moment"


@damage
def a_moment_too_many(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Of a task that is not scheduled."""
    desk.redis("ZADD", desk.key("due"), desk.now_ms() + 60_000, ids["ready"])
    return ids["ready"], "a moment of a task that is not scheduled"


@damage
def a_time_limit_of_nobody(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Of a task that has ended."""
    desk.redis("ZADD", desk.key("due"), desk.now_ms() + 60_000, f"x{ids['failed']}")
    return ids["failed"], "a time limit of a task that has ended"


@damage
def a_total_timeout_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """The task could take for ever."""
    desk.redis("ZREM", desk.key("due"), f"y{ids['running']}")
    return ids["running"], "the end of its total timeout was not set"


@damage
def a_dead_letter_is_not_listed(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Nobody would find it, and nothing delete it."""
    desk.redis("DEL", desk.key("dead"))
    return ids["failed"], "a dead letter that was not listed"


@damage
def a_dead_letter_that_is_gone(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """It cannot be revived."""
    desk.redis("ZADD", desk.key("dead"), 1, NOBODY)
    return NOBODY, "a dead letter that is gone was listed"


@damage
def a_dead_letter_that_lives(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """`dead purge` would not touch it, and `dead ls` show it."""
    desk.redis("ZADD", desk.key("dead"), 1, ids["ready"])
    return ids["ready"], "listed as a dead letter that it is not"


@damage
def a_unique_key_of_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Nobody could enqueue under it again."""
    desk.redis("SET", desk.key("unique:0123"), NOBODY)
    return NOBODY, "a unique key was held by a task that had ended, or never asked for it"


@damage
def a_unique_key_of_the_dead(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Nobody could enqueue under it again."""
    desk.redis("SET", desk.key("unique:0123"), ids["failed"])
    return ids["failed"], "a unique key was held by a task that had ended, or never asked for it"


@damage
def a_payload_of_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """It would take memory for ever."""
    desk.redis("SET", desk.key(f"p:{NOBODY}"), "{}")
    return NOBODY, "arguments of a task that there is not"


@damage
def a_cancel_of_nobody(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """It would cancel a later run."""
    desk.redis("SADD", desk.key("cancels"), ids["ready"])
    return ids["ready"], "a worker should cancel it, but it does not run"


@damage
def a_cancel_is_forgotten(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Its worker would not be reminded."""
    desk.cancel(ids["running"])
    desk.redis("DEL", desk.key("cancels"))
    return ids["running"], "it shall be cancelled, but its worker was not told"


@damage
def a_task_waits_for_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """No flow will ever wake it."""
    task_id = new_id()
    desk.redis("SET", desk.key(f"t:{task_id}"), "w1\ndefault job\n{}")
    return task_id, "it waited for a task that there is not"


@damage
def a_task_sleeps_for_ever(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """No flow will ever wake it."""
    task_id = new_id()
    desk.redis("SET", desk.key(f"t:{task_id}"), "p3 5 1 0 7 w1/0 - -\ndefault job\n{}")
    return task_id, "it waited for a task that there is not"


@damage
def a_route_is_unknown(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """No worker that starts now could learn what the task requires."""
    desk.redis("DEL", desk.key("routes"))
    return ids["picky"], "no worker could learn what it requires"


@damage
def a_fence_would_be_given_again(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """A clock that was set back, and a counter that was lost."""
    rewrite(desk, ids["running"], b"r2 1", b"r2 2")
    held = desk.redis("ZRANGE", desk.key("lease"), 0, 0)[0]
    desk.redis("DEL", desk.key("lease"))
    later = held.replace(b"|1", b"|2", 1)
    desk.redis("ZADD", desk.key("lease"), desk.now_ms() + 60_000, later)
    return ids["running"], "the last fence was lower than its own"


@damage
def a_queue_is_not_listed(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """No overview would show it."""
    desk.redis("DEL", desk.key("queues"))
    return "default", "a queue that was not listed"


@damage
def ready_has_drifted(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """A bounded queue would be full too early."""
    desk.redis("HINCRBY", desk.key("queue:default"), "ready", 5)
    return "default", "ready was booked as 7, and is 2"


@damage
def running_has_drifted(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Below nothing."""
    desk.redis("HINCRBY", desk.key("queue:default"), "running", -3)
    return "default", "running was booked as -2, and is 1"


@damage
def scheduled_has_drifted(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Likewise."""
    desk.redis("HDEL", desk.key("queue:default"), "scheduled")
    return "default", "scheduled was booked as 0, and is 1"


@damage
def bytes_have_drifted(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Likewise."""
    right = desk.queue().bytes
    desk.redis("HINCRBY", desk.key("queue:default"), "bytes", 9)
    return "default", f"bytes was booked as {right + 9}, and is {right}"


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


# -- large queues ------------------------------------------------------------------------------


def fill(desk: Desk, amount: int, **options: Any) -> None:
    """Tasks, 500 a call."""
    for first in range(0, amount, 500):
        desk.place_all(bulk(min(500, amount - first), **options))


@pytest.mark.parametrize("delay", [0, 600])
def test_a_large_queue_that_stands_still_is_counted_in_pages(desk: Desk, delay: int) -> None:
    """Exactly, with tasks that moved, moved on, and stand in their line twice."""
    fill(desk, LARGE, delay=delay)
    for at, kind in enumerate(() if delay else ("release", "retry", "succeeded", "cancelled")):
        desk.end(desk.take_one(in_line(desk, 7 * at)), kind, delay_ms=60_000)
    if not delay:
        desk.take_one(in_line(desk, 500))
    desk.configure(paused=True)
    right = desk.queue()
    for field in ("ready", "scheduled", "running", "bytes"):
        desk.redis("HINCRBY", desk.key("queue:default"), field, 3)

    found = audited(desk)

    now = desk.queue()
    assert len(found.findings) == 4
    assert found.unsettled == []
    assert (now.ready, now.scheduled, now.running, now.bytes) == (
        right.ready,
        right.scheduled,
        right.running,
        right.bytes,
    )


def in_line(desk: Desk, at: int) -> str:
    """Who stands there. Claimed by id, its entry stays behind."""
    return str(desk.redis("LINDEX", desk.key("line:default:2job"), at)[:22].decode())


def test_a_large_queue_that_moves_is_left_for_later(desk: Desk) -> None:
    """Pages of different moments do not add up: better an old mistake than a new one."""
    fill(desk, LARGE)
    desk.redis("HINCRBY", desk.key("queue:default"), "ready", 3)
    steps = run(desk.engine, look=False)

    while (report := next(steps)) and report.unsettled == []:
        desk.end(desk.take(), "succeeded")

    assert report.unsettled == ["default"]
    assert desk.queue().ready == desk.redis("LLEN", desk.key("line:default:2job")) + 3
    assert words(audited(desk))[0][1].startswith("ready was booked as")


def test_what_runs_in_a_large_queue_is_counted_while_it_moves(desk: Desk) -> None:
    """Each counter by itself: leases are few, however long the lines."""
    fill(desk, LARGE)
    desk.redis("HINCRBY", desk.key("queue:default"), "running", 3)

    found = [words(report) for report in run(desk.engine, look=False) if desk.take()][-1]

    assert [wrong.split()[0] for _, wrong in found] == ["running"]


def test_a_small_queue_beside_a_large_one_is_counted_in_one_step(desk: Desk) -> None:
    """It does not have to wait until the large one stands still."""
    fill(desk, LARGE)
    desk.put(queue="tiny")
    desk.redis("HINCRBY", desk.key("queue:tiny"), "ready", 3)

    found = [words(report) for report in run(desk.engine, look=False) if desk.take()][-1]

    assert found == [("tiny", "ready was booked as 4, and is 1")]


def test_more_dead_letters_and_limits_than_fit_a_page_are_read(desk: Desk) -> None:
    """Every page of every book."""
    fill(desk, 700, total_timeout=90)
    for held in desk.claim(600).claims:
        desk.end(held, "failed")
    desk.redis("ZREM", desk.key("dead"), *desk.redis("ZRANGE", desk.key("dead"), 0, 9))
    desk.redis("ZADD", desk.key("dead"), *[word for n in range(10) for word in (1, order().id)])

    assert len(audited(desk).findings) == 20
