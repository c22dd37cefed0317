"""A sync client for each test, and an event loop for tests that are coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import coordq
from coordq import Client
from tests.client.hands import bury, take_one


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in wanted}
    asyncio.run(pyfuncitem.obj(**given))
    return True


@pytest.fixture
def url(redis_url: str, namespace: str) -> str:
    """The shared server, and a namespace of this test alone."""
    return f"{redis_url}?ns={namespace}"


@pytest.fixture
def sharded_url(url: str) -> str:
    """The same with four shards: on one server they are just four sets of keys."""
    return f"{url}&shards=4"


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A sync client of its own namespace."""
    with coordq.connect(url) as client:
        yield client


@dataclass
class World:
    """A namespace in which something has already happened."""

    client: Client
    ready: str
    running: str
    dead: str

    def dump(self) -> dict[bytes, Any]:
        """All keys of the namespace and what they hold.

        A producer that finds a queue full leaves a note that it wants room: that is no change. Nor
        is it one that Redis forgets by itself what a claimant was granted last.
        """
        execute = self.client.engine.execute
        pattern = f"cq:{{{self.client.namespace}.*"
        cursor, found = execute(0, "SCAN", "0", "MATCH", pattern, "COUNT", "10000")
        names = list(found)
        while int(cursor):
            cursor, found = execute(0, "SCAN", cursor, "MATCH", pattern, "COUNT", "10000")
            names += found
        names = [name for name in names if b"}:claimant:" not in name]
        kept = {name: execute(0, "DUMP", name) for name in names if b"}:queue:" not in name}
        queues = [name for name in names if name not in kept]
        for name in queues:
            flat = execute(0, "HGETALL", name)
            kept[name] = dict(zip(flat[::2], flat[1::2], strict=True))
            kept[name].pop(b"wanted", None)
        return kept


@pytest.fixture(scope="module")
def world(redis_url: str) -> Iterator[World]:
    """One world for the whole table: that is the point, no row changes it."""
    with coordq.connect(redis_url, namespace=f"bad-{coordq.new_id()}") as client:
        dead = client.work.enqueue("job").id
        bury(client, take_one(client))
        running = client.work.enqueue("job").id
        take_one(client)
        client.work.limit("full", high=1)
        client.work.enqueue("job", queue="full")
        client.work.enqueue("job", unique="taken")
        ready = client.work.enqueue("job").id
        yield World(client, ready, running, dead)
