"""GET /backlog: how much there is to do, for whatever decides how many workers there should be."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.request import urlopen

import pytest

from coordq.client.client import Client
from coordq.engine.aio import open_async_engine
from coordq.runtime.health import Health
from coordq.runtime.supervisor.gauge import Gauge
from tests.runtime.conftest import NewWatchman
from tests.servers import Server
from tests.work.desk import Desk

pytestmark = pytest.mark.live


def fetch(url: str, path: str) -> dict[str, Any]:
    """What is at a path."""
    with urlopen(url + path, timeout=60) as answer:  # noqa: S310 - our own loopback
        found: dict[str, Any] = json.load(answer)
    return found


@pytest.fixture
def asked(client: Client, new_watchman: NewWatchman) -> str:
    """The address of a supervisor over queues in all states."""
    work = client.work
    for queue in ("mail", "mail", "mail", "news", "later"):
        work.enqueue("echo", {"text": "x"}, queue=queue)
    work.enqueue("echo", {"text": "x"}, queue="mail", delay=3600)
    running = work.enqueue("echo", {"text": "x"}, queue="mail").id
    Desk(client.engine).take_one(running, lease_ms=600_000)
    work.pause("later")
    watchman = new_watchman(health_port=0)
    watchman.wait_for("health at ")
    return watchman.log().split("health at ")[1].split("/healthz")[0]


def test_load_is_what_could_run_and_what_runs(asked: str) -> None:
    """Not what is scheduled or paused: a worker more would wait for nothing."""
    seen = fetch(asked, "/backlog")

    assert (seen["load"], seen["ready"], seen["scheduled"], seen["running"]) == (5, 5, 1, 1)
    assert seen["backlog"] == 6
    assert set(seen["queues"]) == {"mail", "news", "later"}
    assert seen["queues"]["later"]["load"] == 0
    assert seen["oldest_ready_s"] > 0


def test_queues_can_be_chosen(asked: str) -> None:
    """Each Deployment scales by its own; a queue that nobody used yet has no load."""
    assert fetch(asked, "/backlog?queue=mail,news")["load"] == 5
    assert fetch(asked, "/backlog?queue=news")["load"] == 1
    assert fetch(asked, "/backlog?queue=nobodys") == {
        "load": 0,
        "ready": 0,
        "scheduled": 0,
        "running": 0,
        "backlog": 0,
        "oldest_ready_s": 0,
        "queues": {},
    }


def test_a_redis_that_is_away_is_said_to_be(new_server: Any, namespace: str) -> None:
    """503 and a code, so that a scaler keeps what works instead of reading a zero."""

    async def ask(server: Server) -> bytes:
        engine = await open_async_engine(server.url, namespace=namespace, patience_s=0.1)
        health = Health(lambda: {"healthy": True, "ready": True}, {"/backlog": Gauge(engine).page})
        port = await health.open("127.0.0.1", 0)
        server.kill9()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /backlog HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await health.close()
        await engine.close()
        return answer

    answer = asyncio.run(ask(new_server()))

    assert answer.startswith(b"HTTP/1.1 503")
    assert json.loads(answer.split(b"\r\n\r\n")[1])["code"] == "unreachable"
