"""Topologies and breakers: a script was carried out and its reply never came."""

from __future__ import annotations

import pytest

import tests.fleet.scenes_breaker  # noqa: F401 - adds its scenes
from tests.fleet.scenes_topology import SCENES
from tests.lost import ENGINES, has_one_effect, untried
from tests.proxy import LossyProxy
from tests.work.desk import Desk


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect(desk: Desk, proxy: LossyProxy, name: str, kind: str) -> None:
    """The engine repeats the call by itself."""
    has_one_effect(SCENES, name, desk, proxy, kind)


def test_every_script_of_these_rooms_has_a_scene(desk: Desk) -> None:
    """A script that is added has to stand the same test."""
    assert untried(SCENES, desk, "breaker", "topology") == set()
