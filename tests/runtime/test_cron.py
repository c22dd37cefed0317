"""The leader's cron: fires what is due, makes up for what was missed, survives its leader."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.engine.aio import open_async_engine
from coordq.errors import Deposed
from coordq.runtime.supervisor.cron import AT_ONCE, LOOK_S, Cron
from coordq.runtime.supervisor.term import Term
from coordq.work import agenda
from tests.runtime.conftest import NewFleet, NewWatchman
from tests.waiting import wait_until
from tests.work.clerk import HOUR_MS, Clerk
from tests.work.desk import Desk

EPOCH = 5
Lead = Callable[..., Any]


@pytest.fixture
def clerk(client: Client) -> Clerk:
    """Schedules of this test's only shard."""
    return Clerk(Desk(client.engine))


@pytest.fixture
def lead(redis_url: str, namespace: str) -> Lead:
    """Do something with a cron part in office: `lead(steps)`, steps(part, term)."""

    def run(steps: Callable[[Cron, Term], Awaitable[Any]], *, epoch: int = EPOCH) -> Any:
        async def in_office() -> Any:
            engine = await open_async_engine(redis_url, namespace=namespace)
            try:
                part, term = Cron(), Term(engine, name="sup", epoch=epoch)
                part.begin(term)
                return await steps(part, term)
            finally:
                await engine.close()

        return asyncio.run(in_office())

    return run


async def one_round(part: Cron, term: Term) -> tuple[float, dict[str, Any]]:
    """What a round answers, and the figures after it."""
    pause_s = await part.round_on(term, 0)
    return pause_s, part.figures()


# -- one round -----------------------------------------------------------------------------------


def test_what_is_due_is_fired_and_the_rest_awaited(clerk: Clerk, lead: Lead) -> None:
    """It sleeps until the next slot, but never longer than a new schedule may take to be seen."""
    clerk.add("due")
    clerk.add("later")
    clerk.let_be_due("due")

    pause_s, figures = lead(one_round)

    assert pause_s == LOOK_S
    assert (figures["fired"], clerk.view("due").fired, clerk.view("later").fired) == (1, 1, 0)


def test_it_wakes_for_a_slot_that_comes_sooner(clerk: Clerk, lead: Lead) -> None:
    """And not a whole look later."""
    clerk.add()
    clerk.desk.redis("ZADD", clerk.desk.key("schedules"), clerk.desk.now_ms() + 900, "s")

    pause_s, _ = lead(one_round)

    assert pause_s < LOOK_S or clerk.view().fired == 1


def test_nothing_to_do_is_one_look(lead: Lead) -> None:
    """No schedule at all."""
    assert lead(one_round)[0] == LOOK_S


@pytest.mark.parametrize(
    ("missed", "slots", "passed"), [("skip", [0], 3), ("one", [0], 3), ("all", [3, 2, 1, 0], 0)]
)
def test_after_a_time_without_leader_the_policy_for_missed_slots_holds(
    clerk: Clerk, lead: Lead, missed: str, slots: list[int], passed: int
) -> None:
    """Four hourly slots had come, the last of them just now."""
    view = clerk.add(missed=missed, overlap="queue")
    last = clerk.desk.now_ms() // 1000 * 1000
    clerk.desk.redis("HSET", clerk.desk.key("schedule:s"), "anchor", last - 9 * HOUR_MS)
    clerk.desk.redis("ZADD", clerk.desk.key("schedules"), last - 3 * HOUR_MS, "s")

    lead(one_round)

    after = clerk.view()
    assert [run.slot_ms for run in reversed(after.runs)] == [last - n * HOUR_MS for n in slots]
    assert (after.missed_slots, after.next_ms) == (passed, last + HOUR_MS)
    assert view.fired == 0


def test_many_missed_slots_are_fired_a_slice_at_a_time(clerk: Clerk, lead: Lead) -> None:
    """Other schedules have their turn in between, and nothing is fired twice."""
    clerk.add(every=60, missed="all", overlap="queue")
    last = clerk.desk.now_ms() // 1000 * 1000
    amount = AT_ONCE + 5
    clerk.desk.redis("HSET", clerk.desk.key("schedule:s"), "anchor", last - 60_000 * 999)
    clerk.desk.redis("ZADD", clerk.desk.key("schedules"), last - 60_000 * (amount - 1), "s")

    async def two_rounds(part: Cron, term: Term) -> list[Any]:
        return [(await one_round(part, term))[0], clerk.view().fired, await one_round(part, term)]

    pause_s, fired, _ = lead(two_rounds)

    assert (pause_s, fired) == (0, AT_ONCE)
    assert clerk.view().fired == clerk.desk.queue().enqueued == amount


def test_one_that_cannot_be_read_is_told_once_and_the_others_go_on(
    clerk: Clerk, lead: Lead
) -> None:
    """A stranger's data, in the middle of ours."""
    for name in ("a", "b", "c"):
        clerk.add(name)
        clerk.let_be_due(name)
    clerk.desk.redis("HSET", clerk.desk.key("schedule:b"), "what", "junk")

    async def rounds(part: Cron, term: Term) -> dict[str, Any]:
        for _ in range(3):
            await part.round_on(term, 0)
        return part.figures()

    figures = lead(rounds)

    assert (figures["fired"], figures["unreadable"]) == (2, 1)
    (event,) = [one for one in clerk.desk.events() if one.kind == "skipped"]
    assert (event.subject, event.fence) == ("b", EPOCH)
    assert event.detail.startswith("it cannot be read: JSONDecodeError")


def test_more_than_a_page_of_unreadable_ones_hides_nothing(clerk: Clerk, lead: Lead) -> None:
    """They stay due for ever, and are passed by."""
    scores = [word for n in range(agenda.PAGE + 20) for word in (n + 1, f"junk{n}")]
    clerk.desk.redis("ZADD", clerk.desk.key("schedules"), *scores)
    clerk.add()
    clerk.let_be_due()

    lead(one_round)

    assert clerk.view().fired == 1


def test_a_schedule_that_fails_fails_alone(clerk: Clerk, lead: Lead) -> None:
    """Its task cannot be enqueued; that of the next one can."""
    for name in ("a", "b"):
        clerk.add(name, task=name)
        clerk.let_be_due(name)
    clerk.desk.redis("SET", clerk.desk.key("line:default:2a"), "junk")

    _, figures = lead(one_round)

    assert (figures["fired"], figures["errors"]) == (1, 1)
    assert "did not write" in figures["last_error"]
    assert clerk.view("b").fired == 1


def test_a_full_queue_holds_up_its_own_schedules_only(clerk: Clerk, lead: Lead) -> None:
    """The slot stays due, and is counted."""
    clerk.desk.configure("slow", high=1)
    clerk.desk.put(queue="slow")
    for name, queue in (("a", "slow"), ("b", "default")):
        clerk.add(name, queue=queue)
        clerk.let_be_due(name)

    _, figures = lead(one_round)

    assert (figures["full"], figures["fired"]) == (1, 1)
    assert (clerk.view("a").fired, clerk.view("b").fired) == (0, 1)


def test_a_read_only_fleet_is_no_failure(clerk: Clerk, lead: Lead) -> None:
    """Its slots stay due, and there is nothing to warn of every second."""
    clerk.add()
    due = clerk.let_be_due()
    clerk.desk.redis("SET", clerk.desk.key("readonly"), "leader minority")

    _, figures = lead(one_round)

    assert (figures["stopped"], "errors" in figures) == (1, False)
    assert clerk.view() == due


def test_a_deposed_leader_ends_its_round(clerk: Clerk, lead: Lead) -> None:
    """That ends its term, for all parts."""
    clerk.add()
    clerk.let_be_due()
    clerk.desk.redis("SET", clerk.desk.key("epoch"), EPOCH + 1)

    with pytest.raises(Deposed):
        lead(one_round)

    assert clerk.view().fired == 0


def test_eight_who_think_that_they_lead_fire_a_slot_once(clerk: Clerk, lead: Lead) -> None:
    """Whoever was slower finds it fired, which is no error."""
    clerk.add(overlap="queue")
    clerk.let_be_due()

    async def all_at_once(_: Cron, term: Term) -> list[dict[str, Any]]:
        parts = [Cron() for _ in range(8)]
        await asyncio.gather(*(part.round_on(term, 0) for part in parts))
        return [part.figures() for part in parts]

    figures = lead(all_at_once)

    assert sum(each.get("fired", 0) for each in figures) == 1
    assert [each for each in figures if "errors" in each] == []
    assert clerk.desk.queue().enqueued == 1


# -- processes -----------------------------------------------------------------------------------


def test_a_schedule_that_is_added_to_a_running_fleet_runs(
    client: Client, new_fleet: NewFleet, new_watchman: NewWatchman
) -> None:
    """End to end: supervisor, worker, and how it ended."""
    new_watchman()
    new_fleet(processes=1)
    client.schedules.add("hello", "echo", {"text": "hi"}, every=1, overlap="queue")

    runs = wait_until(
        lambda: [run for run in client.schedules.get("hello").runs if run.state == "succeeded"],
        what="a run",
    )

    task = client.work.get(runs[-1].id)
    assert (task.args, task.spec.schedule, task.spec.slot_ms) == (
        {"text": "hi"},
        "hello",
        runs[-1].slot_ms,
    )


def test_the_death_of_a_leader_costs_no_slot_and_doubles_none(
    client: Client, clerk: Clerk, new_watchman: NewWatchman
) -> None:
    """Killed in the middle of a schedule of every second; the next leader makes up for it."""
    first, second = new_watchman(lease_s=1), new_watchman()
    clerk.add(every=1, missed="all", overlap="queue")
    wait_until(lambda: clerk.view().fired >= 2, what="two runs")

    first.signal(signal.SIGKILL)
    second.wait_until_it_leads()
    fired = clerk.view().fired
    wait_until(lambda: clerk.view().fired >= fired + 2, what="two more runs")
    second.stop()

    after = clerk.view()
    slots = sorted(task.spec.slot_ms for task in client.work.ls(limit=1000))
    assert slots == [after.anchor_ms + 1000 * (n + 1) for n in range(after.fired)]
    assert clerk.desk.queue().enqueued == after.fired
