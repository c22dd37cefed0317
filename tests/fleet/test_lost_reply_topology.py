"""Topologies and breakers: a script was carried out and its reply never came."""

from __future__ import annotations

import pytest

import tests.fleet.scenes_breaker  # noqa: F401 - adds its scenes
from coordq.engine import scripts
from coordq.engine.connection import open_engine
from tests.fleet.scenes_topology import SCENES
from tests.lost import lose, run_async
from tests.proxy import LossyProxy
from tests.work.desk import Desk


@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect_on_the_sync_engine(
    desk: Desk, proxy: LossyProxy, name: str
) -> None:
    """The engine repeats the call by itself."""
    call, check = SCENES[name](desk)
    with open_engine(proxy.url, namespace=desk.engine.namespace) as far:
        lose(desk, proxy, call)

        answer = far.run(call)

    assert proxy.dropped == 1
    check(answer)


@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect_on_the_async_engine(
    desk: Desk, proxy: LossyProxy, name: str
) -> None:
    """The engine repeats the call by itself."""
    call, check = SCENES[name](desk)
    lose(desk, proxy, call)

    answer = run_async(proxy.url, desk.engine.namespace, call)

    assert proxy.dropped == 1
    check(answer)


def test_every_script_of_these_rooms_has_a_scene(desk: Desk) -> None:
    """A script that is added has to stand the same test."""
    tried = set()
    for build in SCENES.values():
        tried.add(build(desk)[0].script)
        desk.redis("UNLINK", "-", *desk.names())

    rooms = ("breaker/", "topology/")
    assert tried == {name for name in scripts.names() if name.startswith(rooms)}
