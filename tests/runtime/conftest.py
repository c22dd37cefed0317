"""Workers and clients for the tests of this room."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client, connect
from tests.runtime.fleet import Fleet
from tests.runtime.hearing import AGENT, Hearing, Noted
from tests.runtime.spawned import Spawned
from tests.runtime.watchman import Watchman

NewFleet = Callable[..., Fleet]
NewWatchman = Callable[..., Watchman]
NewSpawned = Callable[..., Spawned]


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of the namespace of this test."""
    with connect(redis_url, namespace=namespace) as client:
        yield client


@pytest.fixture
def new_fleet(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[NewFleet]:
    """Start a worker of the tester agent: `new_fleet(processes=2)`. It ends with the test."""
    with ExitStack() as fleets:

        def start(url: str = redis_url, **settings: Any) -> Fleet:
            fleet = Fleet(tmp_path, url, namespace, **settings)
            return fleets.enter_context(fleet)

        yield start


@pytest.fixture
def new_watchman(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[NewWatchman]:
    """Start a supervisor: `new_watchman(lease_s=1)`. It ends with the test.

    Unless said, its lease is so long that no busy machine makes it lose office.
    """
    with ExitStack() as watchmen:

        def start(url: str = redis_url, **settings: Any) -> Watchman:
            watchman = Watchman(tmp_path, url, namespace, **{"lease_s": 60.0} | settings)
            return watchmen.enter_context(watchman)

        yield start


@pytest.fixture
def spawn(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[NewSpawned]:
    """Run a fleet file: `spawn(GROUP + "workers = 2")`. All of it ends with the test."""
    with ExitStack() as fleets:

        def start(text: str, url: str = redis_url, **options: str) -> Spawned:
            return fleets.enter_context(Spawned(tmp_path, url, namespace, text, **options))

        yield start


@pytest.fixture
def hearing(new_fleet: NewFleet, tmp_path: Path) -> Hearing:
    """Start a worker whose agents listen."""
    file = tmp_path / "hearing.py"
    file.write_text(textwrap.dedent(AGENT))

    def start(**settings: Any) -> Any:
        return new_fleet(targets=(str(file),), **settings)

    return start


@pytest.fixture
def noted(tmp_path: Path) -> Noted:
    """What handlers wrote down, by kind."""

    def read(kind: str) -> list[list[str]]:
        file = tmp_path / kind
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    return read
