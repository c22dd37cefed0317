"""Fixtures for the bus: an office on a namespace of its own, whose books are audited."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordq.engine.connection import Engine, open_engine
from tests.bus.office import Office


@pytest.fixture
def engine(redis_url: str, namespace: str) -> Iterator[Engine]:
    """The shared server, in a namespace of this test's own."""
    with open_engine(redis_url, namespace=namespace) as engine:
        yield engine


@pytest.fixture
def office(engine: Engine) -> Iterator[Office]:
    """All operations by hand. When the test is over the books must balance."""
    office = Office(engine)
    yield office
    office.audit()
