"""A sync client for each test, and an event loop for tests that are coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import pytest

import coordq
from coordq import Client


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
