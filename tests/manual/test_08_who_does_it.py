"""Chapter 8. Agents have roles and capabilities; tasks may require them; `why` says the rest."""

from __future__ import annotations

from typing import Any

import pytest

from coordq import Client
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

agent = Agent("eyes", role="reader", capabilities={"http", "pdf"})


@agent.task
async def read(url: str) -> str:
    return f"read {url}"
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_a_task_may_require_what_an_agent_has(client: Client) -> None:
    """Only agents with this role and all these capabilities ever see it."""
    wants: dict[str, Any] = {"role": "reader", "capabilities": {"pdf"}}

    assert client.work.run("read", {"url": "a.pdf"}, wait_for=60, **wants) == "read a.pdf"


def test_what_nobody_can_do_stays_ready(client: Client) -> None:
    """It is not handed round and not lost: it waits for an agent that can."""
    handle = client.work.enqueue("read", {"url": "a.mp4"}, capabilities={"video"})
    client.work.run("read", {"url": "b.pdf"}, wait_for=60)

    assert handle.get().state == "ready"


def test_why_says_what_is_missing(client: Client) -> None:
    """One sentence for every reason why a task is not running."""
    wait_until(lambda: client.work.workers()[0].info["agents"])
    work = client.work
    unable = work.enqueue("read", {"url": "a.mp4"}, capabilities={"video"})
    unknown = work.enqueue("write", {"url": "a.pdf"})
    elsewhere = work.enqueue("read", {"url": "a.pdf"}, queue="attic")
    later = work.enqueue("read", {"url": "a.pdf"}, delay=3600)

    assert "capabilities video" in work.why(unable.id)
    assert "knows a task named 'write'" in work.why(unknown.id)
    assert "serves queue 'attic'" in work.why(elsewhere.id)
    assert "becomes ready in" in work.why(later.id)
