"""Limits on a Redis at maxmemory: what waits for them goes on, and they can be set."""

from __future__ import annotations

from coordq.work import allowance
from coordq.work.finish import Outcome
from tests.servers import Server
from tests.work.desk import Desk, ask
from tests.work.gate import allow, seen, some
from tests.work.test_full_redis import desk, fill, server, shared  # noqa: F401 - fixtures


def test_a_slot_goes_on_to_the_next(server: Server, desk: Desk) -> None:  # noqa: F811 - a fixture
    """Parked work is accepted work."""
    allow(desk, "api", concurrency=1, rate="1000/s", budget="100/day")
    some(desk, 3, "api")
    held = desk.take()
    desk.claim(5)
    fill(server)

    done = desk.finish(Outcome("succeeded", held.id, held.fence, b"1", units=7), then=ask())

    (taken,) = done.claimed.claims
    assert desk.end(taken) == "ok"
    assert len(desk.claim(5).claims) == 1
    assert seen(desk, "api").parked == 0


def test_limits_can_be_set_and_paused(server: Server, desk: Desk) -> None:  # noqa: F811 - a fixture
    """They may be what keeps work off."""
    some(desk, 2, "api")
    fill(server)

    allow(desk, "api", concurrency=1)
    assert desk.run(allowance.pause(0, "api", None)) is None
    assert desk.claim(5).claims == ()
    assert desk.run(allowance.pause(0, "api", 0)) == 0
    assert len(desk.claim(5).claims) == 1
    assert desk.run(allowance.take_off(0, "api"))
