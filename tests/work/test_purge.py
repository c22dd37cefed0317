"""work/purge: the waiting tasks of a queue are cancelled, the running ones go on."""

from __future__ import annotations

from tests.work.desk import Desk


def test_waiting_tasks_are_cancelled_and_running_ones_go_on(desk: Desk) -> None:
    """Ready and scheduled alike."""
    running = desk.put()
    claim = desk.take()
    ready, scheduled = desk.put(), desk.put(delay=60)

    assert desk.purge() == (2, False)

    assert [desk.state(each) for each in (ready, scheduled)] == ["cancelled"] * 2
    assert desk.task(ready).reason == "cancelled"
    assert desk.state(running) == "running"
    assert desk.end(claim) == "ok"


def test_other_queues_are_left_alone(desk: Desk) -> None:
    """Also their scheduled tasks, which stand in the same calendar."""
    ready, scheduled = desk.put(queue="other"), desk.put(queue="other", delay=60)
    desk.put(delay=60)

    assert desk.purge() == (1, False)
    assert [desk.state(each) for each in (ready, scheduled)] == ["ready", "scheduled"]


def test_a_long_queue_is_purged_a_batch_at_a_time(desk: Desk) -> None:
    """No call takes long; the reply says when to go on."""
    for _ in range(5):
        desk.put()

    assert desk.purge(limit=3) == (3, True)
    assert desk.purge(limit=3) == (2, False)


def test_many_scheduled_tasks_are_all_found(desk: Desk) -> None:
    """Those of this queue, among more of others than a page holds."""
    mine = [desk.put(delay=60 + n) for n in range(20)]
    for n in range(230):
        desk.put(queue="other", delay=70 + n % 7)
    mine += [desk.put(delay=500) for _ in range(5)]

    assert desk.purge() == (25, False)
    assert {desk.state(each) for each in mine} == {"cancelled"}
    assert desk.queue("other").scheduled == 230


def test_all_lines_of_the_queue_are_purged(desk: Desk) -> None:
    """Of every priority and requirement."""
    desk.put(priority="low")
    desk.put(priority="critical", role="reader")
    desk.put("other")

    assert desk.purge() == (3, False)
    assert desk.redis("ZCARD", desk.key("heads:default")) == 0


def test_an_empty_queue_is_purged_at_once(desk: Desk) -> None:
    """Nothing to do is no error."""
    assert desk.purge("never-used") == (0, False)


def test_time_limits_are_purged_with_their_tasks(desk: Desk) -> None:
    """And are no tasks themselves."""
    desk.put(expires=10, total_timeout=20)
    desk.put(delay=5, expires=10, total_timeout=20)

    assert desk.purge() == (2, False)
    assert desk.redis("ZCARD", desk.key("due")) == 0


def test_records_of_another_type_do_not_stop_it(desk: Desk) -> None:
    """What was purged is counted, also when a stranger's key comes after it."""
    desk.audited = False
    spoilt, fine = desk.put(), desk.put()
    desk.redis("DEL", desk.key(f"t:{spoilt}"))
    desk.redis("RPUSH", desk.key(f"t:{spoilt}"), "junk")

    assert desk.purge() == (1, False)
    assert desk.state(fine) == "cancelled"
    assert desk.queue().cancelled == 1


def test_producers_that_wait_hear_of_the_room(desk: Desk) -> None:
    """A purge makes room like a claim does."""
    from tests.work.desk import order

    desk.configure(high=1)
    desk.put()
    desk.place(order())

    desk.purge()

    assert desk.redis("LLEN", desk.key("space:default")) == 1
