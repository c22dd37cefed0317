"""A signal reaches all who wait for it, each once; kept for a while, also those who come later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from coordq.errors import InvalidInput, InvalidName, PayloadTooLarge
from coordq.work.answer import Heard, signal
from coordq.work.claim import Claim
from tests.work.desk import Desk
from tests.work.test_answer import node
from tests.work.waiting_room import came, send, suspend, wait, waiter


def listener(desk: Desk, name: str = "go") -> Claim:
    """A handler that waits for a signal."""
    return waiter(desk, wait("signal", name=name))


def test_all_who_wait_hear_it(desk: Desk) -> None:
    """Handlers run again, nodes succeed with its value; who waits for another one waits on."""
    held = [listener(desk) for _ in range(3)]
    task_id = node(desk, "s:go")
    other = listener(desk, "stop")

    assert send(desk, "go", [1, 2]).woken == 4

    assert [came(desk, one.id) for one in held] == [{"value": [1, 2]}] * 3
    assert (desk.state(task_id), desk.task(task_id).result) == ("succeeded", [1, 2])
    assert desk.state(other.id) == "suspended"


def test_a_signal_that_nobody_waits_for_is_gone(desk: Desk) -> None:
    """Unless it is kept."""
    assert send(desk, "go").woken == 0

    held = listener(desk)

    assert desk.state(held.id) == "suspended"


def test_a_kept_signal_is_heard_by_those_who_come_later(desk: Desk) -> None:
    """They do not even go to wait."""
    send(desk, "go", "now", keep=60)

    held = listener(desk)

    assert (desk.state(held.id), came(desk, held.id)) == ("ready", {"value": "now"})
    assert 0 < desk.redis("PTTL", desk.key("signal:go")) <= 60_000


def test_a_large_audience_is_told_page_by_page(desk: Desk) -> None:
    """One call must not hold up Redis; the nonce makes them one signal."""
    ids = {node(desk, "s:go") for _ in range(250)}

    pages: list[Heard] = []
    while not pages or pages[-1].more:
        pages.append(send(desk, "go", 1))

    assert [page.woken for page in pages] == [100, 100, 50]
    assert {desk.state(one) for one in ids} == {"succeeded"}


def test_who_waits_again_hears_it_no_second_time(desk: Desk) -> None:
    """A page, or a call whose reply was lost, is repeated; the signal was said once."""
    held = listener(desk)
    assert send(desk, "go").woken == 1
    again = desk.take(served=("waiter",))
    assert suspend(desk, again, wait("signal", "second", name="go")) == "ok"

    assert send(desk, "go").woken == 0
    assert desk.state(held.id) == "suspended"
    assert send(desk, "go", nonce="another").woken == 1


@pytest.mark.parametrize(
    ("name", "how", "error"),
    [
        ("", {}, InvalidName),
        ("with space", {}, InvalidName),
        (7, {}, InvalidName),
        ("go", {"keep": -1}, InvalidInput),
        ("go", {"keep": 31 * 86_400}, InvalidInput),
        ("go", {"keep": float("nan")}, InvalidInput),
        ("go", {"keep": True}, InvalidInput),
        ("go", {"keep": "1h"}, InvalidInput),
        ("go", {"value": object()}, InvalidInput),
        ("go", {"value": "x" * 65_536}, PayloadTooLarge),
    ],
)
def test_a_bad_signal_is_refused(name: Any, how: dict[str, Any], error: type[Exception]) -> None:
    """Before anything is sent."""
    with pytest.raises(error):
        signal(0, name, how.pop("value", None), nonce="n", **how)


def test_a_time_to_keep_may_be_a_timedelta() -> None:
    """Seconds are counted for the caller."""
    assert signal(0, "go", keep=timedelta(minutes=1), nonce="n").args[2] == 60_000


def test_somebody_who_listens_and_is_no_more_is_passed_over(desk: Desk) -> None:
    """A book that went wrong does not end a task that waits for something else."""
    held = waiter(desk, wait("approval"))
    for who in (held.id, "0" * 22):
        desk.redis("ZADD", desk.key("listening:go"), 1, who)

    assert send(desk, "go").woken == 0
    assert desk.state(held.id) == "suspended"
    assert desk.redis("EXISTS", desk.key("listening:go")) == 0
