"""Chapter 2. Producers that have the code call tasks like functions, with their types."""

from __future__ import annotations

from typing import Any

import pytest

import coordq
from coordq import Client
from coordq.errors import InvalidArguments

AGENTS = '''
from dataclasses import dataclass

from coordq import Agent, Context

agent = Agent("reader")


@dataclass
class Page:
    url: str
    words: int


@agent.task(timeout=30, max_attempts=5)
async def fetch(ctx: Context, url: str, depth: int = 1) -> Page:
    """`ctx` comes first if it is wanted; it is no argument."""
    return Page(url, words=100 * depth)


@agent.task(name="shout", queue="default")
def make_loud(text: str) -> str:
    return text.upper()
'''
pytestmark = pytest.mark.usefixtures("worker")


def test_a_task_is_enqueued_like_a_call(client: Client, agents: Any) -> None:
    """Same parameters as the handler, after the client."""
    handle = agents.fetch.enqueue(client, "https://example.org", depth=2)

    assert handle.result(timeout=60) == agents.Page("https://example.org", words=200)


def test_results_have_their_type(client: Client, agents: Any) -> None:
    """What the annotation says is what comes out: dataclass, pydantic model or plain JSON."""
    page = agents.fetch.run(client, "https://example.org")

    assert isinstance(page, agents.Page)
    assert page.words == 100


def test_wrong_arguments_never_leave_the_producer(client: Client, agents: Any) -> None:
    """They raise where the mistake is, and nothing was enqueued."""
    with pytest.raises(InvalidArguments):
        agents.fetch.enqueue(client, "https://example.org", depht=2)
    with pytest.raises(InvalidArguments):
        agents.fetch.enqueue(client)


def test_options_are_given_before_the_call(client: Client, agents: Any) -> None:
    """`options` gives the same task with other wishes; its definition keeps the defaults."""
    handle = agents.fetch.options(priority="high", delay=3600).enqueue(client, "https://a.example")

    assert (handle.get().priority, handle.get().max_attempts) == ("high", 5)


def test_a_task_may_be_called_otherwise_than_its_function(client: Client, agents: Any) -> None:
    """`name=` is what producers say; the function's name is for its file."""
    assert client.work.run("shout", {"text": "hi"}, wait_for=60) == "HI"
    assert agents.make_loud.name == "shout"


def test_a_task_is_still_a_function(agents: Any) -> None:
    """Call it in a unit test: no queue, no Redis."""
    assert agents.make_loud("hi") == "HI"


def test_many_calls_go_in_one_bulk(client: Client, agents: Any) -> None:
    """`item` makes a call into an item for `enqueue_many`: 500 tasks a round trip."""
    handles = client.work.enqueue_many(agents.make_loud.item(text) for text in "abc")

    assert [handle.result(timeout=60) for handle in handles] == ["A", "B", "C"]


async def test_the_async_client_takes_the_same_calls(url: str, agents: Any) -> None:
    """With `await`; the rest is the same."""
    async with coordq.connect_async(url) as client:
        handle = await agents.fetch.enqueue(client, "https://example.org", depth=3)

        assert (await handle.result(timeout=60)).words == 300
