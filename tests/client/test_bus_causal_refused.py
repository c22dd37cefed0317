"""Causal order that nobody can have meant is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coordq import Causal, new_id
from coordq.client.client import Client, connect
from coordq.errors import CoordqError

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of its own namespace."""
    with connect(redis_url, namespace=namespace) as client:
        yield client


WRONG: list[tuple[str, Callable[[Client], Any]]] = [
    ("invalid-option", lambda c: c.bus.subscribe("t", order="total")),
    ("invalid-option", lambda c: c.bus.subscribe("t", order=True)),  # type: ignore[arg-type]
    ("invalid-option", lambda c: c.bus.subscribe("t", order="causal", ordered=True)),
    ("invalid-option", lambda c: c.bus.subscribe("t", patience=1)),
    ("invalid-option", lambda c: c.bus.subscribe("t", waiting=1)),
    ("invalid-option", lambda c: c.bus.subscribe("t", causal=Causal())),
    ("invalid-option", lambda c: c.bus.subscribe("t", order="causal", waiting=0)),
    ("invalid-option", lambda c: c.bus.subscribe("t", order="causal", waiting=10_001)),
    ("invalid-option", lambda c: c.bus.subscribe("t", order="causal", waiting=True)),
    ("invalid-option", lambda c: c.bus.subscribe("t", order="causal", causal="ada")),  # type: ignore[arg-type]
    ("invalid-time", lambda c: c.bus.subscribe("t", order="causal", patience=-1)),
    ("invalid-time", lambda c: c.bus.subscribe("t", order="causal", patience=3601)),
    ("invalid-time", lambda c: c.bus.subscribe("t", order="causal", patience="long")),  # type: ignore[arg-type]
    ("invalid-option", lambda c: c.bus.publish("t", 1, causal="ada")),  # type: ignore[arg-type]
    ("invalid-option", lambda c: c.bus.publish_many([("t", 1)], causal=1)),  # type: ignore[arg-type]
    ("invalid-message", lambda c: c.bus.publish_many([("t", 1, {"causal": Causal()})])),
    ("invalid-option", lambda c: c.bus.publish("t", 1, id=new_id(), once=True, causal=Causal())),
    ("invalid-message", lambda _: Causal().saw("what?")),  # type: ignore[arg-type]
    ("invalid-message", lambda _: Causal().saw(None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("code", "wrong"), WRONG, ids=[f"{n}-{code}" for n, (code, _) in enumerate(WRONG)]
)
def test_what_nobody_can_have_meant_is_refused(
    client: Client, code: str, wrong: Callable[[Client], Any]
) -> None:
    """With a code, and nothing was changed."""
    with pytest.raises(CoordqError) as refused:
        wrong(client)

    assert refused.value.code == code
    assert len(str(refused.value)) > 20
    assert client.bus.groups() == []
