"""Real processes at once on one server: nothing is lost, nothing is handled after its ack."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from coordq.bus.alone import alone
from coordq.bus.group import unsubscribe
from coordq.bus.take import gather
from coordq.engine.connection import open_engine
from tests.bus.office import Office
from tests.waiting import wait_until

pytestmark = pytest.mark.live
PROCESSES = 4
EACH = 300
_SPAWN = multiprocessing.get_context("spawn")
Report = dict[str, Any]
Part = Callable[[Office, int], Report]


def at_once(office: Office, url: str, parts: list[Part]) -> list[Report]:
    """Run each part in a process with an engine of its own; they begin together."""
    gate = f"{office.root}gate"
    office.redis("DEL", gate)
    namespace = office.engine.namespace
    work = [(part, url, namespace, number, len(parts)) for number, part in enumerate(parts)]
    with _SPAWN.Pool(len(parts)) as pool:
        return pool.map(_play, work, chunksize=1)


def _play(work: tuple[Part, str, str, int, int]) -> Report:
    part, url, namespace, number, amount = work
    with open_engine(url, namespace=namespace) as engine:
        office = Office(engine)
        gate = f"{office.root}gate"
        office.redis("INCR", gate)
        wait_until(lambda: int(office.redis("GET", gate)) >= amount, within=120, what="all")
        return part(office, number)


def publish_all(office: Office, number: int) -> Report:
    """Messages under a number of one's own, on some topics, until each was taken."""
    chance = random.Random(number)
    left = [number * EACH + n for n in range(EACH)]
    while left:
        part = left[: chance.randint(1, 40)]
        topic = f"t.{chance.randint(1, 3)}"
        posted = office.post(topic, *part, priority=chance.choice(("critical", "normal", "low")))
        left = [n for n, what in zip(part, posted, strict=True) if what.full] + left[len(part) :]
    return {}


def read_all(office: Office, number: int) -> Report:
    """Handle, give back, crash and be late, until every message was handled."""
    chance = random.Random(number)
    reader, handled, after = f"r{number}", [], []
    done = f"{office.root}handled"
    while int(office.redis("SCARD", done)) < 2 * EACH * 2:
        taken = office.take("g", "h", want=chance.randint(1, 50), reader=reader)
        for given in taken.given:
            word = f"{given.group} {given.message().body}"
            if office.redis("SISMEMBER", done, word):
                after.append(word)
            fate = chance.random()
            if fate < 0.05:
                office.settle("n", given, reader=reader, delay_ms=0)
            elif fate < 0.08:
                office.settle("r", given, reader=reader)
            elif fate < 0.1:
                office.take("g", "h", want=0, reader=reader, join=True)
                break  # it crashed, and is back
            else:
                office.take(want=0, reader=reader, settled=gather("a", [given]))
                office.redis("SADD", done, word)
                handled.append(word)
    return {"handled": handled, "after": after}


def test_nothing_is_lost_and_nothing_is_handled_after_its_ack(
    office: Office, redis_url: str
) -> None:
    """Two publishers at the bound of their channels, two readers of two groups that fail often."""
    office.bound("**", 100)
    for name in "gh":
        office.group(name, "t.*", max_deliveries=1000, visibility=3600)

    reports = at_once(office, redis_url, [publish_all, publish_all, read_all, read_all])

    handled = Counter(word for report in reports[2:] for word in report["handled"])
    wanted = {f"{group} {n}" for group in "gh" for n in range(2 * EACH)}
    assert set(handled) == wanted
    assert [word for report in reports[2:] for word in report["after"]] == []
    assert sum(office.figures(name)["handled"] for name in "gh") == len(wanted)
    assert [office.entries(f"t.{n}") for n in (1, 2, 3)] == [0, 0, 0]
    assert office.dead() == []


def come_and_go(office: Office, number: int) -> Report:
    """A group that comes, reads a little, and ends, again and again."""
    chance = random.Random(number)
    for turn in range(60):
        name = office.group(f"x{number}", f"t.{chance.randint(1, 3)}", "t.1")
        office.ack(*office.take(name, want=5, reader=f"r{number}").given, reader=f"r{number}")
        if turn % 3 == 0:
            office.run(unsubscribe(0, name))
            office.sweep("c0")
    office.run(unsubscribe(0, name))
    return {}


def read_some(office: Office, number: int) -> Report:
    """Every message of a group, once."""
    handled: list[int] = []
    while len(handled) < EACH:
        given = office.take("g", want=50, reader=f"r{number}").given
        handled += [each.message().body for each in given]
        office.ack(*given, reader=f"r{number}")
    return {"handled": handled}


def test_groups_that_come_and_go_take_nothing_from_others(office: Office, redis_url: str) -> None:
    """And leave nothing behind."""
    office.bound("**", 200)
    office.group("g", "t.*")

    reports = at_once(office, redis_url, [publish_all, come_and_go, come_and_go, read_some])

    assert sorted(reports[3]["handled"]) == list(range(EACH))
    office.sweep()
    office.sweep()
    assert [office.entries(f"t.{n}") for n in (1, 2, 3)] == [0, 0, 0]


def want_alone(office: Office, number: int) -> Report:
    """Read a group alone for a moment, again and again, and count who else does."""
    both, times = 0, 0
    inside = f"{office.root}inside"
    while times < EACH:
        if office.run(alone(0, "g", f"r{number}", lease_s=60)).other:
            continue
        both += int(office.redis("INCR", inside)) - 1
        office.redis("DECR", inside)
        office.run(alone(0, "g", f"r{number}", lease_s=0))
        times += 1
    return {"both": both}


def test_one_at_a_time_reads_a_group_alone(office: Office, redis_url: str) -> None:
    """Of several processes that want to."""
    reports = at_once(office, redis_url, [want_alone] * PROCESSES)

    assert [report["both"] for report in reports] == [0] * PROCESSES
