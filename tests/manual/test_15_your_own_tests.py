"""Chapter 15. Testing your own code: handlers are functions, and `fake://` is a Redis in memory."""

from __future__ import annotations

import pytest

import coordq
from coordq import Agent
from coordq.errors import InvalidArguments

agent = Agent("shop")


@agent.task(queue="mail", max_attempts=5)
def confirm(order: int, *, loud: bool = False) -> str:
    """A task of an application."""
    text = f"order {order} is confirmed"
    return text.upper() if loud else text


def test_a_handler_is_tested_as_a_function() -> None:
    """No worker, no Redis: what it computes is plain Python."""
    assert confirm(7, loud=True) == "ORDER 7 IS CONFIRMED"


def test_what_was_enqueued_is_tested_on_a_fake() -> None:
    """`fake://` runs the real scripts in this process. It is for unit tests only."""
    pytest.importorskip("fakeredis", reason="pip install 'coordq[fake]'")
    with coordq.connect("fake://shop") as client:
        confirm.enqueue(client, 7, loud=True)
        (task,) = client.work.ls(queue="mail")

    assert (task.name, task.args, task.max_attempts) == ("confirm", {"order": 7, "loud": True}, 5)


def test_a_wrong_call_fails_in_the_test() -> None:
    """Arguments are checked when they are enqueued, not when a worker meets them."""
    pytest.importorskip("fakeredis", reason="pip install 'coordq[fake]'")
    with coordq.connect("fake://wrong") as client, pytest.raises(InvalidArguments):
        confirm.enqueue(client, "seven")  # type: ignore[call-overload]
