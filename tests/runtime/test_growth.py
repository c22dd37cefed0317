"""Tasks make tasks: in their flow, and outside of any, once however often they are run."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.ids import child_id
from coordq.work.flow.build import Flow
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet, started
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]

AGENT = """
    import asyncio
    import os
    from pathlib import Path
    from coordq import Agent, Context

    agent = Agent("grower")

    @agent.task
    async def echo(text: str) -> str:
        return text

    @agent.task
    async def listing(n: int) -> list[str]:
        return [f"file {number}" for number in range(n)]

    @agent.task
    async def audit(file: str) -> str:
        return file.upper()

    @agent.task
    async def report(parts: list[str]) -> int:
        return len(parts)

    @agent.task
    async def note(path: str, word: str) -> None:
        with open(path, "a") as file:
            file.write(word + " ")

    @agent.task(max_attempts=1)
    async def risky(path: str) -> None:
        '''Fails once there is a file.'''
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        raise ValueError("no")

    @agent.task
    async def watch(ctx: Context, task: str) -> str:
        return await ctx.wait_for(task)

    @agent.task
    async def grow(ctx: Context, path: str) -> list:
        '''Makes two tasks, dies once in between if there is no file, and waits for both.'''
        first = await ctx.spawn("echo", {"text": "a"}, key="first")
        with open(path + ".started", "a") as file:
            file.write(f"{os.getpid()} {ctx.attempt} 0\\n")
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        second = await ctx.spawn(echo, {"text": "b"}, after=[first])
        return [ctx.flow_id, *await ctx.wait_for([first, second])]

    @agent.task
    def in_order(ctx: Context, path: str) -> str:
        '''Makes a chain from its end to its beginning's children.'''
        one = ctx.spawn(note, {"path": path, "word": "one"})
        two = ctx.spawn(note, {"path": path, "word": "two"}, after=[one])
        three = ctx.spawn(note, {"path": path, "word": "three"}, after=[one, two], delay=0.01)
        ctx.wait_for(three)
        return Path(path).read_text()
"""


def grower(new_fleet: NewFleet, folder: Path, **settings: object) -> Fleet:
    """A worker with that agent."""
    file = folder / "grower.py"
    file.write_text(textwrap.dedent(AGENT))
    return new_fleet(targets=(str(file),), **settings)


@pytest.mark.parametrize("where", ["in a flow", "alone"])
def test_what_a_killed_run_has_made_is_not_made_again(
    new_fleet: NewFleet, client: Client, tmp_path: Path, where: str
) -> None:
    """Its ids follow from the maker's: the next run finds its tasks where the last left them."""
    fleet = grower(new_fleet, tmp_path, concurrency=2)
    gate = tmp_path / "gate"
    if where == "in a flow":
        flow = Flow("growing")
        flow.task("grow", {"path": str(gate)}, key="grow")
        handle = client.flows.run(flow)
        maker = handle.get().node("grow").id
    else:
        maker = client.work.enqueue("grow", {"path": str(gate)}).id
    wait_until(lambda: started(gate), what="the start")
    first = child_id(maker, "first")
    wait_until(lambda: client.work.get(first).state.ended, what="the end of what it made")
    fleet.signal(signal.SIGKILL, pid=started(gate)[0][0])
    wait_until(lambda: len(started(gate)) == 2, what="the second start")
    gate.touch()

    flow_id, *results = client.work.result(maker, timeout=60)

    assert results == ["a", "b"]
    assert flow_id == (handle.id if where == "in a flow" else None)
    ran = [event.kind for event in client.work.events() if event.subject == first]
    assert ran.count("running") == 1


def test_tasks_that_were_made_belong_to_the_flow(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """It ends when they have, counts them, and knows them by their key."""
    grower(new_fleet, tmp_path, concurrency=1)
    gate = tmp_path / "gate"
    gate.touch()
    flow = Flow("growing")
    flow.task("grow", {"path": str(gate)}, key="grow")
    handle = client.flows.run(flow)

    results = handle.result(timeout=60)

    seen = handle.get()
    assert results["grow"] == [handle.id, "a", "b"]
    assert (seen.state, seen.total, seen.succeeded) == ("succeeded", 3, 3)
    assert "first" in {node.key for node in seen.nodes}


def test_made_tasks_run_in_the_order_that_was_asked_for(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Without a flow as well, and from a thread."""
    grower(new_fleet, tmp_path)

    said = client.work.run("in_order", {"path": str(tmp_path / "words")}, wait_for=60)

    assert said == "one two three "


def test_every_worker_expands_maps_over_results(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """No handler of anybody's: a node that makes the others when the list is known."""
    grower(new_fleet, tmp_path)
    flow = Flow("audits")
    files = flow.task("listing", {"n": 30}, key="listing")
    audits = flow.map("audit", files, into="file", key="audit")
    audits.reduce("report", into="parts", key="report")

    handle = client.flows.run(flow)

    assert handle.result(timeout=60)["report"] == 30
    assert handle.get().total == 33


def test_who_waits_for_a_task_that_fails_waits_for_its_alternative(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """From outside the flow as well, and whether the alternative runs already or not."""
    grower(new_fleet, tmp_path)
    gate = tmp_path / "gate"
    flow = Flow("fallbacks")
    flow.task("risky", {"path": str(gate)}, key="risky", fallback=[("echo", {"text": "instead"})])
    risky = client.flows.run(flow).get().node("risky").id
    before = client.work.enqueue("watch", {"task": risky})
    wait_until(lambda: before.get().state == "suspended", what="the suspension")

    gate.touch()

    assert before.result(timeout=60) == "instead"
    assert client.work.run("watch", {"task": risky}, wait_for=60) == "instead"
