"""What a number is that a caller gives: Python's bool is an int, and NaN lies in no range."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from coordq.amounts import is_number, is_whole, whole
from coordq.errors import InvalidOption


@pytest.mark.parametrize("value", [True, False, None, "1", b"1", 1.0, nan, inf, [1]], ids=repr)
def test_what_is_no_whole_number(value: Any) -> None:
    """`limit=True` is a slip, and not a limit of one; 1.0 may be the result of a division."""
    assert not is_whole(value)


@pytest.mark.parametrize("value", [True, False, None, "1", nan, 1j, [1.0]], ids=repr)
def test_what_is_no_number(value: Any) -> None:
    """NaN would pass every check that asks whether it is too small or too large."""
    assert not is_number(value)


@pytest.mark.parametrize("is_one", [is_whole, is_number])
def test_bounds_belong_to_what_is_allowed(is_one: Any) -> None:
    """A message says "from 1 to 3": that is 1, 2 and 3, and numbers too large for a float fail."""
    assert [n for n in range(6) if is_one(n, 1, 3)] == [1, 2, 3]
    assert is_one(10**400)
    assert not is_one(10**400, 1, 3)


@pytest.mark.parametrize(
    ("value", "most", "words"),
    [(0, inf, "1 or more"), (0, 2000, "from 1 to 2,000"), (2001, 2000, "from 1 to 2,000")],
)
def test_who_gives_another_is_told_the_bounds(value: int, most: float, words: str) -> None:
    """And the name of the option, also for programs."""
    with pytest.raises(
        InvalidOption, match=f"limit={value}: give a whole number,? {words}"
    ) as said:
        whole("limit", value, 1, most)

    assert said.value.facts["option"] == "limit"
    assert whole("limit", 2000, 1, 2000) == 2000
