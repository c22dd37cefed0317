"""A script of the bus was carried out and its reply never came. The retry has one effect."""

from __future__ import annotations

import pytest

import tests.bus.scenes_alone
import tests.bus.scenes_sessions  # noqa: F401 - they add their scenes
from tests.bus.office import Office
from tests.bus.scenes import SCENES
from tests.lost import ENGINES, has_one_effect, untried
from tests.proxy import LossyProxy

pytestmark = pytest.mark.live


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect(
    office: Office, proxy: LossyProxy, name: str, kind: str
) -> None:
    """The engine repeats the call by itself."""
    has_one_effect(SCENES, name, office, proxy, kind)


def test_every_script_of_the_bus_has_a_scene(office: Office) -> None:
    """A script that is added has to stand the same test."""
    assert untried(SCENES, office, "bus", "session") == set()
