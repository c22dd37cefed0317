"""A script was carried out and its reply never came: the repetition has no second effect."""

from __future__ import annotations

import pytest

import tests.fleet.scenes_agents
import tests.fleet.scenes_members  # noqa: F401 - these add their scenes
from tests.fleet.scenes import SCENES
from tests.lost import ENGINES, has_one_effect, untried
from tests.proxy import LossyProxy
from tests.work.desk import Desk


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect(desk: Desk, proxy: LossyProxy, name: str, kind: str) -> None:
    """The engine repeats the call by itself."""
    has_one_effect(SCENES, name, desk, proxy, kind)


def test_every_script_of_the_fleet_room_has_a_scene(desk: Desk) -> None:
    """A script that is added has to stand the same test."""
    assert untried(SCENES, desk, "fleet") == set()
