"""Fixtures for the work room: a desk on a namespace of its own, whose books are audited."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordq.engine.connection import Engine, open_engine
from tests.work.clerk import Clerk
from tests.work.desk import Desk


@pytest.fixture
def engine(redis_url: str, namespace: str) -> Iterator[Engine]:
    """The shared server, in a namespace of this test's own."""
    with open_engine(redis_url, namespace=namespace) as engine:
        yield engine


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    """All operations by hand. When the test is over the books must balance."""
    desk = Desk(engine)
    yield desk
    if desk.audited:
        desk.audit()


@pytest.fixture
def clerk(desk: Desk) -> Clerk:
    """The schedules of that desk's shard."""
    return Clerk(desk)
