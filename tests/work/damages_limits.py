"""Damages to what is kept for limits; see damages.py."""

from __future__ import annotations

from tests.work.damages import NOBODY, damage
from tests.work.desk import Desk
from tests.work.gate import allow, some


def held_up(desk: Desk) -> tuple[str, str]:
    """A task that runs under a limit, and one that is parked there."""
    allow(desk, "x", concurrency=1)
    running, parked = some(desk, 2, "x", queue="other")
    desk.claim(5, queues="other")
    return running, parked


@damage
def a_slot_is_held_by_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """It would be taken for ever."""
    allow(desk, "x", concurrency=1)
    desk.redis("ZADD", desk.key("slots:x"), 1, NOBODY)
    return NOBODY, "it held a slot of limit x without running"


@damage
def a_slot_is_held_by_one_that_waits(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Its record knows of no slot."""
    allow(desk, "x", concurrency=1)
    desk.redis("ZADD", desk.key("slots:x"), 1, ids["ready"])
    return ids["ready"], "it held a slot of limit x without running"


@damage
def a_holder_is_not_counted(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """One more would start than may."""
    running, _parked = held_up(desk)
    desk.redis("DEL", desk.key("slots:x"))
    desk.redis("ZADD", desk.key("due"), desk.now_ms() + 60_000, "lx")
    return running, "limit x did not know that it holds a slot"


@damage
def the_parked_are_not_known(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Lists and purges would pass them by."""
    held_up(desk)
    desk.redis("DEL", desk.key("parks"))
    return "x", "nobody knew that tasks wait for this limit"


@damage
def a_limit_is_gone_with_tasks_parked(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Nothing that ends would bring them back."""
    held_up(desk)
    desk.redis("HDEL", desk.key("limits"), "x")
    return "x", "nothing would have brought back who waits for this limit"


@damage
def a_parked_task_has_ended(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """It would take the place of one that waits."""
    held_up(desk)
    desk.redis("ZADD", desk.key("park:x"), 1, ids["failed"])
    return ids["failed"], "limit x held it up, but it is not ready"


@damage
def a_parked_task_is_in_no_book(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """It stands in line again, and is parked when a claim comes upon it."""
    _running, parked = held_up(desk)
    desk.redis("DEL", desk.key("park:x"), desk.key("parks"))
    return parked, "it was ready and stood in no line"


@damage
def a_crashed_task_would_hold_its_slots_for_ever(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Nobody may ever start it again."""
    allow(desk, "x", concurrency=1)
    gone = desk.put("gone", limits=["x"])
    desk.release(desk.take(served=["gone"]), reason="crash")
    desk.redis("ZREM", desk.key("due"), f"h{gone}")
    return gone, "it would have held slots of limits until somebody started it"
