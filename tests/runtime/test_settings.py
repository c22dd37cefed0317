"""How a worker is set up: what follows from what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.errors import InvalidInput
from coordq.runtime.worker import WorkerSettings


@pytest.mark.parametrize(("beat_s", "lease_s"), [(2.0, 10.0), (0.5, 2.5), (60.0, 300.0)])
def test_a_lease_follows_the_beat(beat_s: float, lease_s: float) -> None:
    """Who beats more often is missed sooner, and what it held is back sooner."""
    settings = WorkerSettings(("x",), beat_s=beat_s)
    settings.check()

    assert settings.lease_s == lease_s
    assert WorkerSettings.from_dict(settings.to_dict()) == settings


def test_a_lease_that_is_given_stays() -> None:
    """Also through the passage to a child."""
    settings = WorkerSettings(("x",), beat_s=0.5, lease_s=30)

    assert settings.lease_s == WorkerSettings.from_dict(settings.to_dict()).lease_s == 30


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease_s": 5.9},
        {"lease_s": -1},
        {"beat_s": 0},
        {"beat_s": -1},
        {"beat_s": 4000},
        {"zone": "no spaces"},
        {"zone": "x" * 101},
        {"zone": "-x"},
        {"zone": "a,b"},
    ],
)
def test_what_no_worker_can_run_with_is_refused(wrong: dict[str, Any]) -> None:
    """Before anything is started: a lease of under three beats, a zone that no list could show."""
    with pytest.raises(InvalidInput):
        WorkerSettings(("x",), **wrong).check()
