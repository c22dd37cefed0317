"""Fixtures for the fleet room: a desk on a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordq.engine.connection import Engine, open_engine
from tests.work.desk import Desk


@pytest.fixture
def engine(redis_url: str, namespace: str) -> Iterator[Engine]:
    """The shared server, in a namespace of this test's own."""
    with open_engine(redis_url, namespace=namespace) as engine:
        yield engine


@pytest.fixture
def desk(engine: Engine) -> Desk:
    """All operations by hand."""
    return Desk(engine)
