"""Chapter 16. Again and again: every so often, or when the clock says so."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from coordq import Client
from coordq.errors import Conflict, InvalidSchedule, ScheduleNotFound
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent, Context

agent = Agent("caretaker")


@agent.task
async def sweep(ctx: Context, room: str) -> str:
    return f"{room} swept for {ctx.slot.isoformat() if ctx.slot else 'fun'}"
"""
pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def supervisor(shell: Shell) -> Iterator[None]:
    """A running `coordq supervisor`: it fires schedules. Run two, and either may die."""
    with shell.start("supervisor", "--leader-lease", "1s") as process:
        yield
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.mark.usefixtures("supervisor")
def test_a_schedule_enqueues_its_task_every_so_often(client: Client) -> None:
    """`every` counts from the moment it was added, or from `start=`; restarts shift nothing."""
    client.schedules.add("hall", "sweep", {"room": "hall"}, every=1)

    done = wait_until(
        lambda: [run for run in client.schedules.get("hall").runs if run.state == "succeeded"],
    )

    slot = datetime.fromisoformat(client.work.result(done[0].id).split(" for ")[1])
    assert slot.timestamp() * 1000 == done[0].slot_ms, "the handler knows which slot it runs for"
    client.schedules.rm("hall")


def test_cron_is_meant_in_a_time_zone(client: Client) -> None:
    """Nine in Berlin stays nine in Berlin, also when the clocks change."""
    client.schedules.add(
        "report", "sweep", {"room": "desk"}, cron="0 9 * * mon-fri", tz="Europe/Berlin"
    )

    assert {(run.hour, run.weekday() < 5) for run in client.schedules.next_runs("report", 500)} == {
        (9, True)
    }
    assert len({run.utcoffset() for run in client.schedules.next_runs("report", 500)}) == 2


def test_the_same_again_changes_nothing(client: Client) -> None:
    """So a deploy may add its schedules each time. Another one has to be asked for."""
    client.schedules.add("daily", "sweep", {"room": "yard"}, cron="@daily")

    assert client.schedules.add("daily", "sweep", {"room": "yard"}, cron="@daily").change == (
        "unchanged"
    )
    with pytest.raises(Conflict, match="differs in cron"):
        client.schedules.add("daily", "sweep", {"room": "yard"}, cron="@hourly")
    client.schedules.add("daily", "sweep", {"room": "yard"}, cron="@hourly", replace=True)


def test_the_options_are_those_of_a_task(client: Client) -> None:
    """Queue, priority, timeouts, retries: what `enqueue` takes, each run gets."""
    client.schedules.add(
        "low", "sweep", {"room": "attic"}, every=timedelta(days=1), priority="low", timeout=30
    )

    task = client.schedules.trigger("low").get()

    assert (task.priority, task.spec.timeout_ms, task.spec.schedule) == ("low", 30_000, "low")


def test_a_run_that_is_not_over_keeps_the_next_one_out(client: Client) -> None:
    """`overlap` is skip, queue (enqueue all the same) or cancel-oldest."""
    view = client.schedules.add("slow", "sweep", {"room": "barn"}, every=60, overlap="queue")

    assert view.schedule.overlap == "queue"
    with pytest.raises(InvalidSchedule, match="skip, queue, cancel-oldest"):
        client.schedules.add("slower", "sweep", every=60, overlap="sometimes")


def test_what_was_missed_is_made_up_for_once(client: Client) -> None:
    """While no supervisor led: `missed` fires none of those slots, the latest one, or all."""
    assert client.schedules.get("slow").schedule.missed == "one"


def test_a_schedule_may_pause(client: Client) -> None:
    """What passes meanwhile is not made up for. A trigger runs it now, paused or not."""
    client.schedules.add("garden", "sweep", {"room": "garden"}, every=3600)
    assert client.schedules.pause("garden").state == "paused"

    assert client.schedules.trigger("garden").result(timeout=60) == "garden swept for fun"
    assert client.schedules.resume("garden").state == "active"


def test_a_mistake_is_named_with_what_would_be_right(client: Client) -> None:
    """When it is added; not at three in the morning."""
    with pytest.raises(InvalidSchedule, match="did you mean 'Europe/Berlin'"):
        client.schedules.add("x", "sweep", cron="0 9 * * *", tz="Berlin")
    with pytest.raises(InvalidSchedule, match="the hour '25' is not possible: use 0-23"):
        client.schedules.add("x", "sweep", cron="0 25 * * *")
    with pytest.raises(ScheduleNotFound):
        client.schedules.get("x")


def test_all_of_it_from_the_shell(client: Client, shell: Shell) -> None:
    """`coordq schedule add`, `ls`, `show`, `pause`, `resume`, `trigger`, `rm`."""
    said = shell("schedule", "add", "bins", "sweep", "room=bins", "--cron", "30 6 * * tue")
    task_id = shell("schedule", "trigger", "bins")

    assert said.startswith("schedule bins is added; next at ")
    assert "At 06:30 on Tuesday, UTC" in shell("schedule", "show", "bins")
    assert client.work.get(task_id).spec.schedule == "bins"
