"""Guards that could not work are refused before anything is called."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.client.client import Client
from coordq.errors import InvalidBreaker, InvalidName


@pytest.mark.parametrize(
    "given",
    [
        {"ignore": ValueError},
        {"ignore": (5,)},
        {"ignore": ("ValueError",)},
        {"concurrency": -1},
        {"concurrency": True},
        {"concurrency": 10**6},
        {"wait": -1},
        {"wait": "long"},
        {"retries": -1},
        {"retries": 1.5},
        {"retries": 101},
        {"delay": -1},
        {"delay": 60},
        {"delay": None},
    ],
)
def test_a_guard_that_could_not_work_is_refused(client: Client, given: dict[str, Any]) -> None:
    """Before anything is called."""
    with pytest.raises(InvalidBreaker) as caught:
        client.breakers.call("api", lambda: pytest.fail("it was called"), **given)

    assert caught.value.field in given


def test_a_subject_has_a_name_like_all_others(client: Client) -> None:
    """An address has to be made one."""
    with pytest.raises(InvalidName):
        client.breakers.guard("https://example.org/")
