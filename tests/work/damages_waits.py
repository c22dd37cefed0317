"""What may have happened to tasks that wait, and to flows, and what an audit must say of it."""

from __future__ import annotations

from tests.work.damages import NOBODY, damage, rewrite
from tests.work.desk import Desk
from tests.work.flows import Flows, node
from tests.work.waiting_room import wait, waiter


@damage
def a_wait_is_forgotten(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """An answer would find no question; the handler asks again."""
    desk.redis("HDEL", desk.key(f"saved:{ids['for a yes']}"), "wait")
    return ids["for a yes"], "nobody knew what it waited for"


@damage
def a_waiter_is_not_listed(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """`coordq ls --state suspended` would not show it."""
    desk.redis("ZREM", desk.key("waiting"), ids["for a yes"])
    return ids["for a yes"], "a task that waits was not listed"


@damage
def somebody_is_listed_who_does_not_wait(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """`coordq ls --state waiting` would look for it in vain."""
    desk.redis("ZADD", desk.key("waiting"), 1, ids["ready"])
    return ids["ready"], "listed as waiting, and does not wait"


@damage
def a_wait_has_no_end(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """It was to go on without what it waits for."""
    desk.redis("ZREM", desk.key("due"), f"z{ids['for tasks']}")
    return ids["for tasks"], "the end of its wait was not set"


@damage
def an_end_of_a_wait_too_many(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Of a task that does not wait."""
    desk.redis("ZADD", desk.key("due"), desk.now_ms() + 60_000, f"z{ids['ready']}")
    return ids["ready"], "a time limit of a task that has ended"


@damage
def a_sleep_without_end(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Nothing says until when."""
    desk.redis("ZREM", desk.key("due"), f"z{ids['for a moment']}")
    desk.redis("HDEL", desk.key(f"saved:{ids['for a moment']}"), "until")
    return ids["for a moment"], "it waited for no moment"


@damage
def nobody_listens(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """The signal would not reach it."""
    desk.redis("DEL", desk.key("listening:go"))
    return ids["for a signal"], "the signal that it waited for would not have woken it"


@damage
def somebody_listens_too_much(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """To a signal that would not wake it."""
    desk.redis("ZADD", desk.key("listening:stop"), 1, ids["for a yes"])
    return ids["for a yes"], "it listened for a signal that it did not wait for"


@damage
def an_edge_to_a_waiter_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """The end of the task would not wake it."""
    desk.redis("DEL", desk.key(f"kids:{ids['running']}"))
    what = f"the end of task {ids['running']} would not have woken it"
    return ids["for tasks"], what


@damage
def a_waiter_counts_too_many(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """It would wait for ever."""
    desk.redis("HINCRBY", desk.key(f"saved:{ids['for tasks']}"), "open", 2)
    return ids["for tasks"], "it waited for 3 tasks of which 1 go on"


@damage
def what_it_waited_for_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """A record that nobody will write again."""
    task_id = waiter(desk, wait("tasks", ids=(ids["scheduled"],))).id
    desk.redis("HSET", desk.key(f"saved:{task_id}"), "wait", _wait_for(NOBODY))
    desk.redis("DEL", desk.key(f"kids:{ids['scheduled']}"))
    return task_id, "the tasks that it waited for had ended"


def _wait_for(task_id: str) -> str:
    return f'{{"kind":"tasks","key":"k","ids":["{task_id}"]}}'


@damage
def a_flow_is_gone(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Its members that still wait belong to nothing."""
    desk.redis("DEL", desk.key(f"flow:{ids['flow']}"), desk.key(f"kids:{ids['flow']}"))
    return ids["last"], "the flow that it belonged to was gone"


@damage
def a_join_has_forgotten_its_parents(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """How many of them have ended."""
    desk.redis("DEL", desk.key(f"need:{ids['last']}"))
    return ids["last"], "what it waited for was forgotten"


@damage
def the_end_of_its_parents_was_not_told(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """As if the script that ended them had been another's."""
    for parent in ("first", "other"):
        rewrite(desk, ids[parent], f"e={ids['last']}".encode(), f"e={NOBODY}".encode())
    return ids["last"], "nobody was before it whose end it could wait for"


@damage
def an_end_is_told_to_some_only(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """The rest of its edges has no moment."""
    desk.redis("HSET", desk.key("rippling"), ids["failed"], "0 -")
    return ids["failed"], "its end was told to some of those that waited for it, and not to all"


@damage
def a_flow_counts_too_many(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """It would never end."""
    desk.redis("HINCRBY", desk.key(f"flow:{ids['flow']}"), "left", 2)
    return ids["flow"], "left was booked as 5, and is 3"


@damage
def a_flow_has_not_noticed_its_end(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """All its tasks have ended; who waits for it is told at last."""
    made = Flows(desk).start(node("only"))
    desk.redis("HINCRBY", desk.key(f"flow:{made.id}"), "left", 1)
    desk.end(desk.take_one(made.nodes[0].id))
    return made.id, "left was booked as 1, and is 0"


@damage
def a_flow_is_not_listed(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Nobody would find it."""
    desk.redis("ZREM", desk.key("flows"), ids["flow"])
    return ids["flow"], "a flow that was not listed"


@damage
def a_flow_is_not_open(desk: Desk, ids: dict[str, str]) -> tuple[str, str]:
    """Nobody would notice that it is stuck."""
    desk.redis("ZREM", desk.key("flows:open"), ids["flow"])
    return ids["flow"], "a flow that goes on was not among those"


@damage
def a_flow_would_never_go(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """It would take memory for ever."""
    made = Flows(desk).start(node("only"))
    desk.end(desk.take_one(made.nodes[0].id))
    desk.redis("ZREM", desk.key("flows:ended"), made.id)
    return made.id, "a flow that has ended would have stayed for ever"


@damage
def something_kept_by_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """It would take memory for ever."""
    desk.redis("HSET", desk.key(f"saved:{NOBODY}"), "state", "1")
    return NOBODY, "what was kept by a task that there is not"


@damage
def a_need_of_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Likewise."""
    desk.redis("HSET", desk.key(f"need:{NOBODY}"), "of", "1")
    return NOBODY, "what a task needed that there is not"


@damage
def edges_of_nobody(desk: Desk, _: dict[str, str]) -> tuple[str, str]:
    """Likewise."""
    desk.redis("RPUSH", desk.key(f"kids:{NOBODY}"), f"{NOBODY}sf")
    return NOBODY, "edges from a task that there is not"
