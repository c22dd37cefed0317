"""A script of the bus was carried out and its reply never came. The retry has one effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tests.bus.scenes_sessions  # noqa: F401 - it adds its scenes
from coordq.engine import scripts
from coordq.engine.call import Call
from coordq.engine.connection import Engine, open_engine
from tests.bus.office import Office
from tests.bus.scenes import SCENES
from tests.lost import run_async
from tests.proxy import LossyProxy

pytestmark = pytest.mark.live
ROOMS = {"bus", "session"}


@pytest.fixture
def far(proxy: LossyProxy, namespace: str) -> Iterator[Engine]:
    """An engine at the other end of the lossy wire."""
    with open_engine(proxy.url, namespace=namespace) as engine:
        yield engine


def lose(office: Office, proxy: LossyProxy, call: Call[Any]) -> None:
    """The next reply to this script is lost. It is known to Redis, or the reply is NOSCRIPT."""
    script = scripts.load(call.script)
    office.redis("SCRIPT", "LOAD", script.source)
    proxy.drop_reply(script.sha.encode())


@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect_on_the_sync_engine(
    office: Office, proxy: LossyProxy, far: Engine, name: str
) -> None:
    """The engine repeats the call by itself."""
    call, check = SCENES[name](office)
    lose(office, proxy, call)

    answer = far.run(call)

    assert proxy.dropped == 1
    check(answer)


@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect_on_the_async_engine(
    office: Office, proxy: LossyProxy, name: str
) -> None:
    """The engine repeats the call by itself."""
    call, check = SCENES[name](office)
    lose(office, proxy, call)

    answer = run_async(proxy.url, office.engine.namespace, call)

    assert proxy.dropped == 1
    check(answer)


def test_every_script_of_the_bus_has_a_scene(office: Office) -> None:
    """A script that is added has to stand the same test."""
    tried = set()
    for build in SCENES.values():
        names = list(office.names())
        if names:
            office.redis("UNLINK", *names)
        tried.add(build(office)[0].script)

    assert tried == {name for name in scripts.names() if name.split("/")[0] in ROOMS}
