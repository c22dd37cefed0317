"""A message that its reader could not be handed out stays with it: the next call is given it."""

from __future__ import annotations

import asyncio
import math

import pytest

from coordq.client.client import connect
from coordq.client.client_async import connect_async
from coordq.client.delivery import Tray
from coordq.errors import Unreachable
from tests.proxy import LossyProxy
from tests.waiting import wait_until_async

pytestmark = pytest.mark.live


@pytest.fixture
def _stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken has lain so long that Redis is asked before it is handed out."""
    monkeypatch.setattr(Tray, "stale_since", lambda _: math.inf)


@pytest.mark.usefixtures("_stale")
def test_what_redis_was_not_reached_for_is_not_lost(proxy: LossyProxy, namespace: str) -> None:
    """Nor given to another reader later, as a second delivery, behind what came after it."""
    with (
        connect(proxy.url, namespace=namespace, patience=0.1) as client,
        client.bus.subscribe("t.*", group="g") as messages,
    ):
        client.bus.publish_many([("t.x", n) for n in range(3)])
        first = messages.receive(60)
        assert first is not None
        proxy.refuse()
        with pytest.raises(Unreachable):
            messages.receive_many(2, 60)
        proxy.accept()

        found = [first, *messages.receive_many(2, 60)]

        assert [(each.body, each.message.attempt) for each in found] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.usefixtures("_stale")
def test_what_came_too_late_for_one_call_is_there_for_the_next(
    proxy: LossyProxy, namespace: str
) -> None:
    """The time of `receive` may be over while Redis is asked."""

    async def play() -> None:
        async with (
            connect_async(proxy.url, namespace=namespace) as client,
            client.bus.subscribe("t.*", group="g") as messages,
        ):
            assert await messages.receive(0.01) is None
            await client.bus.publish_many([("t.x", n) for n in range(3)])
            await wait_until_async(lambda: len(messages._tray.arrived) == 3)
            proxy.stall()
            assert await messages.receive(0.2) is None
            proxy.flow()

            found = [await messages.receive(60) for _ in range(3)]

            assert [(each.body, each.message.attempt) for each in found if each] == [
                (0, 1),
                (1, 1),
                (2, 1),
            ]

    asyncio.run(play())
