"""Requirements: an agent sees the tasks it can do, and idle workers are woken for those."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from coordq.engine import keys
from coordq.engine.connection import Engine, open_engine
from coordq.work.claim import Claim, routes_key, serves
from tests.waiting import wait_until
from tests.work.desk import Desk, bulk, order

# -- requirements ------------------------------------------------------------------------------


def test_a_task_with_requirements_is_for_those_who_meet_them(desk: Desk) -> None:
    """Its route names them."""
    task_id = desk.put(role="reader", capabilities=("http", "gpu"))

    assert desk.claim(10).claims == ()
    assert desk.take(served=("job@reader+gpu+http",)).id == task_id


def test_requirements_that_were_ever_used_are_listed(desk: Desk) -> None:
    """Workers read the list when its size changes, and choose what they can serve."""
    desk.put(role="reader")
    desk.put(capabilities=("gpu",), delay=60)
    desk.put()

    routes = desk.redis("SMEMBERS", routes_key(desk.root))

    assert set(routes) == {b"default job@reader", b"default job@+gpu"}
    assert desk.claim(1).routes_version == 2


@pytest.mark.parametrize(
    ("route", "able"),
    [
        ("job", True),
        ("other", False),
        ("job@reader", True),
        ("job@writer", False),
        ("job@+http", True),
        ("job@reader+http", True),
        ("job@reader+http+gpu", False),
        ("job@writer+http", False),
    ],
)
def test_an_agent_serves_what_it_meets(route: str, able: bool) -> None:  # noqa: FBT001
    """Name, role and every capability."""
    assert serves(route, {"job"}, "reader", {"http", "mail"}) is able


def test_a_requirement_survives_a_retry(desk: Desk) -> None:
    """It is part of what was asked for, not of the attempt."""
    desk.put(role="reader")
    desk.end(desk.take(served=("job@reader",)), "retry")

    assert desk.claim(1).claims == ()
    assert desk.take(served=("job@reader",)).attempt == 2


def test_a_name_that_is_part_of_another_is_not_that_other(desk: Desk) -> None:
    """Routes are compared whole."""
    desk.put("jobs")

    assert desk.claim(1, served=("job", "my.jobs", "jobs2")).claims == ()


# -- wake-up -----------------------------------------------------------------------------------


def test_a_burst_leaves_marks_for_several_workers(desk: Desk) -> None:
    """Eight at most: those who are woken pass it on."""
    desk.place_all(bulk(3))
    assert desk.marks() == 3
    desk.place_all(bulk(20))
    assert desk.marks() == 8


def test_single_enqueues_do_not_pile_up_marks(desk: Desk) -> None:
    """A line that holds tasks already has its mark, or a worker that is about to look."""
    for _ in range(5):
        desk.put()

    assert desk.marks() == 1


def test_a_worker_that_takes_only_some_passes_the_mark_on(desk: Desk) -> None:
    """The mark that woke it is used up, and there is more."""
    desk.place_all(bulk(3))
    desk.redis("DEL", desk.key("marker:default:job"))

    desk.claim(2)
    assert desk.marks() == 1
    desk.redis("DEL", desk.key("marker:default:job"))
    desk.claim(2)
    assert desk.marks() == 0


def test_every_line_and_queue_that_was_left_gets_a_mark(desk: Desk) -> None:
    """The mark that woke it may have been for the line that it had no room for."""
    for name, queue in (("a", "one"), ("b", "one"), ("c", "two"), ("d", "two")):
        desk.place_all(bulk(2, name, queue=queue))
        desk.redis("DEL", desk.key(f"marker:{queue}:{name}"))

    desk.claim(1, queues="one two", served=("a", "b", "c"))

    assert [desk.marks(name, "one") for name in "ab"] == [1, 1]
    assert [desk.marks(name, "two") for name in "cd"] == [1, 0]


def test_no_mark_is_passed_on_for_a_paused_queue(desk: Desk) -> None:
    """Nobody could take from it; a mark would only make workers spin."""
    desk.put(queue="a")
    desk.put(queue="b")
    desk.configure("b", paused=True)
    desk.redis("DEL", desk.key("marker:b:job"))

    desk.claim(1, queues="a b")

    assert desk.marks("job", "b") == 0


class Idler:
    """A worker as the runtime has it: claims, and sleeps on the markers when there is nothing."""

    def __init__(self, engine: Engine, name: str, *, served: tuple[str, ...], queues: str) -> None:
        self.claims: list[Claim] = []
        self._desk = Desk(engine)
        self._how = {"served": served, "queues": queues, "claimant": f"{name}/1:a"}
        self._marks = [
            keys.marker(self._desk.root, queue, route)
            for queue in queues.split()
            for route in served
        ]
        self._stop = threading.Event()

    def run(self) -> None:
        """Until stopped. One task a claim, so that marks have to be passed on."""
        while not self._stop.is_set():
            claimed = self._desk.claim(1, **self._how)
            self.claims += claimed.claims
            if not claimed.claims:
                engine = self._desk.engine
                engine.execute(0, "BZPOPMIN", *self._marks, "60", timeout_s=60)

    def stop(self) -> None:
        """It ends with its next wake-up."""
        self._stop.set()


@contextmanager
def idlers(
    desk: Desk, url: str, *menus: tuple[str, ...], queues: str = "default"
) -> Iterator[list[Idler]]:
    """Several sleeping workers, each with its menu."""
    with ThreadPoolExecutor(len(menus)) as pool:
        engines = [open_engine(url, namespace=desk.engine.namespace) for _ in menus]
        crew = [
            Idler(engine, f"idler{n}", served=served, queues=queues)
            for n, (engine, served) in enumerate(zip(engines, menus, strict=True))
        ]
        running: list[Future[None]] = [pool.submit(each.run) for each in crew]
        wait_until(lambda: blocked(desk) == len(crew), what="all workers to sleep")
        yield crew
        for each in crew:
            each.stop()
        for queue in queues.split():
            for served in set(menus):
                for route in served:
                    members = [word for n in range(len(crew)) for word in (0, f"stop{n}")]
                    desk.redis("ZADD", keys.marker(desk.root, queue, route), *members)
        for future in running:
            future.result(60)
        for engine in engines:
            engine.close()


def blocked(desk: Desk) -> int:
    """How many of the idlers are asleep: the server is shared, so by connection name."""
    clients: bytes = desk.redis("CLIENT", "LIST")
    return sum(b"cmd=bzpopmin" in row and b"flags=b" in row for row in clients.splitlines())


def taken(crew: list[Idler]) -> int:
    """How many tasks the workers have."""
    return sum(len(each.claims) for each in crew)


def test_sleeping_workers_take_a_burst_without_a_time_out(desk: Desk, redis_url: str) -> None:
    """They would sleep for a minute: any lost wake-up shows."""
    with idlers(desk, redis_url, *[("job",)] * 4) as crew:
        desk.place_all(bulk(40))
        wait_until(lambda: taken(crew) == 40, what="all 40 tasks")


def test_sleeping_workers_take_single_tasks_as_they_come(desk: Desk, redis_url: str) -> None:
    """One mark each, also while the one before is still being taken."""
    with idlers(desk, redis_url, *[("job",)] * 3) as crew:
        for n in range(60):
            desk.put("job", {"n": n})
        wait_until(lambda: taken(crew) == 60, what="all 60 tasks")


def test_workers_with_different_menus_share_several_queues(desk: Desk, redis_url: str) -> None:
    """Whoever is woken takes what it can, and nobody's task is forgotten."""
    menus = (("a",), ("b",), ("a", "b"), ("b", "c"))
    with idlers(desk, redis_url, *menus, queues="one two") as crew:
        orders = [order(name, queue=queue) for name in "abc" for queue in ("one", "two")]
        orders += [order(name, queue="two") for name in "abcabc"]
        desk.place_all(orders)
        wait_until(lambda: taken(crew) == len(orders), what="every task")


def test_a_paused_queue_is_taken_up_again_at_once(desk: Desk, redis_url: str) -> None:
    """Their marks were used up in vain; resuming makes new ones."""
    with idlers(desk, redis_url, ("job",), ("job",)) as crew:
        desk.configure(paused=True)
        for _ in range(6):
            desk.put()
        wait_until(lambda: blocked(desk) == 2 and desk.marks() == 0, what="both to sleep again")
        assert taken(crew) == 0

        desk.configure(paused=False)
        wait_until(lambda: taken(crew) == 6, what="all 6 tasks")
