"""A burst ends when nothing can start now: it waits for children, not for people or tomorrow."""

from __future__ import annotations

from pathlib import Path

from coordq.client.client import Client
from tests.runtime.fleet import Fleet

AGENT = """
from coordq.work.agent import Agent
from coordq.work.context import Context

agent = Agent("waits")


@agent.task
async def part(n: int) -> int:
    return n


@agent.task
async def whole(ctx: Context) -> int:
    parts = [await ctx.spawn("part", {"n": n}) for n in range(5)]
    return sum(await ctx.wait_for(parts))


@agent.task
async def later(ctx: Context) -> str:
    await ctx.sleep(3600)
    return "over"


@agent.task
async def ask(ctx: Context) -> str:
    return (await ctx.wait_approval("ship", timeout=3600)) or "yes"
"""


def burst(folder: Path, redis_url: str, client: Client) -> int:
    """Run a worker until it ends by itself; its exit code."""
    target = folder / "waits.py"
    target.write_text(AGENT)
    settings = {"targets": (str(target),), "burst": True, "processes": 2}
    with Fleet(folder, redis_url, client.namespace, **settings) as fleet:
        return fleet.wait()


def test_a_burst_waits_for_children_and_not_for_people_or_moments(
    tmp_path: Path, redis_url: str, client: Client
) -> None:
    """A parent goes on when its children have ended; the others are for the next worker."""
    whole = client.work.enqueue("whole")
    later, ask = client.work.enqueue("later"), client.work.enqueue("ask")
    tomorrow = client.work.enqueue("part", {"n": 1}, delay=3600)

    assert burst(tmp_path, redis_url, client) == 0

    assert whole.get().result == 10
    assert [each.get().state for each in (later, ask)] == ["suspended", "suspended"]
    assert tomorrow.get().state == "scheduled"

    client.flows.approve(ask.id, by="somebody")
    assert burst(tmp_path, redis_url, client) == 0
    assert ask.get().state == "succeeded"
    assert later.get().state == "suspended"
