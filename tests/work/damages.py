"""What may have happened to a shard: each kind of damage, and what an audit must say of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from coordq.client.audit import Report, run
from coordq.ids import new_id
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node
from tests.work.waiting_room import wait, waiter

NOBODY = "0000000000000000000000"


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
    ids["for tasks"] = waiter(desk, wait("tasks", ids=(ids["running"],)), timeout_ms=90_000).id
    ids["for a yes"] = waiter(desk, wait("approval")).id
    ids["for a signal"] = waiter(desk, wait("signal", name="go")).id
    ids["for a moment"] = waiter(desk, wait("time"), timeout_ms=90_000).id
    first, other, last = node("first"), node("other"), node("last")
    first, other = (replace(one, delay_ms=60_000) for one in (first, other))
    made = Flows(desk).start(first, other, replace(last, parents=(after(first), after(other))))
    ids |= {"flow": made.id, "first": first.id, "other": other.id, "last": last.id}
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
def a_tenant_has_no_turn(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Its tasks would wait for ever, while the others take turns."""
    desk.put(tenant="acme")
    desk.put(tenant="globex")
    desk.redis("ZREM", desk.key("fair:default:2job~"), "acme")
    return "default", "nobody knew of its line 2job~acme"


@damage
def tenants_are_unknown(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Everybody has a turn, in a line that claims do not find."""
    desk.put(tenant="acme")
    desk.redis("ZREM", desk.key("heads:default"), "2job~")
    return "default", "nobody knew of its line 2job~acme"


@damage
def a_tenant_of_ghosts(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Entries whose tasks were deleted, in a line that nobody knows."""
    desk.redis("RPUSH", desk.key("line:default:2job~acme"), NOBODY)
    return "default:2job~acme", "a line of tasks that are gone"


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
    return task_id, "nobody knew what it waited for"


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
    return "default", "scheduled was booked as 0, and is 3"


@damage
def bytes_have_drifted(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Likewise."""
    right = desk.queue().bytes
    desk.redis("HINCRBY", desk.key("queue:default"), "bytes", 9)
    return "default", f"bytes was booked as {right + 9}, and is {right}"
