"""Chapter 10. What handlers need, and what happens around them: dependencies and middleware."""

from __future__ import annotations

from typing import Any

import pytest

from coordq import Client

AGENTS = '''
from collections.abc import AsyncIterator
from typing import Annotated

from coordq import Agent, Context, Depends, Middleware


class Library:
    opened = 0

    def __init__(self) -> None:
        self.readers = 0


async def library() -> AsyncIterator[Library]:
    """Opened once per worker child, when first needed; closed when it ends."""
    Library.opened += 1
    yield Library()


async def reader(books: Annotated[Library, Depends(library, scope="worker")]) -> AsyncIterator[int]:
    """Opened for each task, closed after it: here a number on a ticket."""
    books.readers += 1
    yield books.readers


class Stamp(Middleware):
    """Sends a header along with each task, and wraps each run."""

    def before_enqueue(self, order) -> None:
        order.set_header("stamp", "from the producer")

    async def wrap_run(self, ctx, call_next):
        ctx.log(f"before, {ctx.headers['stamp']}")
        result = await call_next()
        ctx.log("after")
        return result


agent = Agent("visitor", middleware=[Stamp()])


@agent.task
async def visit(
    name: str,
    ticket: Annotated[int, Depends(reader)],
    books: Annotated[Library, Depends(library, scope="worker")],
) -> dict:
    return {"name": name, "ticket": ticket, "opened": Library.opened, "readers": books.readers}
'''
pytestmark = pytest.mark.usefixtures("worker")


def test_dependencies_are_opened_for_a_handler(client: Client, agents: Any) -> None:
    """They are parameters of the handler, but not arguments of the task: they never travel."""
    first = agents.visit.run(client, name="Ada")
    second = agents.visit.run(client, name="Grace")

    assert (first["name"], second["name"]) == ("Ada", "Grace")
    assert second["ticket"] == first["ticket"] + 1


def test_what_lives_as_long_as_the_worker_is_opened_once(client: Client, agents: Any) -> None:
    """A connection pool, a model, a browser: expensive things, shared by all tasks of a child."""
    seen = [agents.visit.run(client, name="Ada")["opened"] for _ in range(3)]

    assert seen == [1, 1, 1]


def test_middleware_wraps_every_task_of_an_agent(client: Client, agents: Any) -> None:
    """Tracing, metrics, policy: around the enqueue in the producer and the run in the worker."""
    handle = agents.visit.enqueue(client, name="Ada")
    handle.result(timeout=60)

    assert client.work.logs(handle.id) == ["before, from the producer", "after"]
