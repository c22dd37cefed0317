"""Listeners are checked when their module is imported; their parameters are a message's fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordq import Agent
from coordq.errors import InvalidAgent, InvalidArguments
from coordq.work.listener import by_kind

Make = Callable[[Any], Any]


async def hears(order_id: int, amount: int = 1) -> None: ...


async def reads(body: Any) -> None: ...


def bound(fn: Callable[..., Any], body: bytes) -> dict[str, Any]:
    """The arguments that a message's body becomes."""
    agent = Agent("ada")
    agent.on("orders.*")(fn)
    (listener,) = agent.listeners.values()
    return listener.bind_json(body)


def test_a_listener_leaves_the_function_as_it_is() -> None:
    """It can be called, and tested, like any other; nothing of it is a task."""
    agent = Agent("ada")

    assert agent.on("orders.*")(hears) is hears
    assert not agent.handlers
    (listener,) = agent.listeners.values()
    assert (listener.name, listener.group) == ("@ada.hears", "ada.hears")


def test_the_fields_of_a_body_are_the_parameters() -> None:
    """They are validated as arguments are."""
    assert bound(hears, b'{"order_id": "7", "amount": 2}') == {"order_id": 7, "amount": 2}


def test_fields_that_nobody_asked_for_are_passed_over() -> None:
    """Whoever publishes may know more than whoever listens, and know it later."""
    assert bound(hears, b'{"order_id": 7, "colour": "red"}') == {"order_id": 7}


def test_a_parameter_named_body_takes_all_of_it() -> None:
    """A body may be any JSON value."""
    assert bound(reads, b"[1, 2]") == {"body": [1, 2]}
    assert bound(reads, b'{"a": 1}') == {"body": {"a": 1}}


def test_a_function_without_parameters_hears_that_it_came() -> None:
    """Whatever the message says."""

    async def rings() -> None: ...

    assert bound(rings, b'"anything"') == {}


def test_a_function_that_takes_the_rest_gets_the_rest() -> None:
    """**fields are those that no parameter names."""

    async def takes(order_id: int, **more: Any) -> None: ...

    assert bound(takes, b'{"order_id": 7, "a": 1}') == {"order_id": 7, "a": 1}


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"7", b"null"])
def test_a_body_without_fields_does_not_fit_a_handler_of_fields(body: bytes) -> None:
    """The error says how to take any body."""
    with pytest.raises(InvalidArguments, match="a parameter named 'body' takes any"):
        bound(hears, body)


@pytest.mark.parametrize("body", [b'{"order_id": "seven"}', b"{}", b'{"order_id": null}'])
def test_a_field_of_the_wrong_kind_is_refused(body: bytes) -> None:
    """As an argument of a task is."""
    with pytest.raises(InvalidArguments):
        bound(hears, body)


def test_a_mailbox_is_read_by_kinds() -> None:
    """A listener for a kind comes before the one for all others."""
    agent = Agent("ada")
    agent.on(kind="question")(hears)
    agent.on()(reads)
    listeners = agent.listeners.values()

    assert by_kind(listeners, "question") is agent.listeners["@ada.hears"]
    assert by_kind(listeners, "anything") is agent.listeners["@ada.reads"]
    assert {listener.group for listener in listeners} == {"@ada"}


def test_nobody_is_for_a_kind_that_no_listener_names() -> None:
    """It will be a dead letter that says so, not silence."""
    agent = Agent("ada")
    agent.on(kind="question")(hears)

    assert by_kind(agent.listeners.values(), "message") is None


BAD: dict[str, tuple[Make, str]] = {
    "a topic with a space": (lambda a: a.on("orders created")(hears), "Pattern"),
    "an empty pattern": (lambda a: a.on("")(hears), "Pattern"),
    "a wildcard in the middle": (lambda a: a.on("a.**.b")(hears), "Pattern"),
    "a number": (lambda a: a.on(7)(hears), "no pattern such as"),
    "a pattern in bytes": (lambda a: a.on(b"orders")(hears), "no pattern such as"),
    "one bad pattern of two": (lambda a: a.on(["a.b", "a..b"])(hears), "Pattern"),
    "a mailbox": (lambda a: a.on("@ada")(hears), r"its own mailbox with @agent.on\(\), alone"),
    "no brackets": (lambda a: a.on(hears), r"write @agent.on\(\) with its brackets"),
    "no function": (lambda a: a.on("a")(7), "must be a function"),
    "a lambda": (lambda a: a.on("a")(lambda: None), "lambda cannot be a listener"),
    "a generator": (lambda a: a.on("a")(yields), "yields"),
    "a group of a mailbox": (lambda a: a.on(group="g")(hears), "go with a pattern"),
    "all copies of a mailbox": (lambda a: a.on(fanout=True)(hears), "go with a pattern"),
    "a kind of a topic": (lambda a: a.on("a", kind="x")(hears), "kind= goes with the mailbox"),
    "a kind that is no name": (lambda a: a.on(kind="a b")(hears), "kind name"),
    "a group that is no name": (lambda a: a.on("a", group="a b")(hears), "group name"),
    "fan-out that is no flag": (lambda a: a.on("a", fanout="yes")(hears), "True or False"),
    "no room at all": (lambda a: a.on("a", concurrency=0)(hears), "whole number from 1"),
    "half a message": (lambda a: a.on("a", concurrency=1.5)(hears), "whole number from 1"),
    "no visibility": (lambda a: a.on("a", visibility=0)(hears), "visibility"),
    "visibility in words": (lambda a: a.on("a", visibility="long")(hears), "visibility"),
    "no deliveries": (lambda a: a.on("a", max_deliveries=0)(hears), "max_deliveries"),
    "a negative timeout": (lambda a: a.on("a", timeout=-1)(hears), "timeout"),
    "what is no exception": (lambda a: a.on("a", retry_on="E")(hears), "exception classes"),
    "the same twice": (lambda a: (a.on("a")(hears), a.on("b")(hears)), "already"),
    "two for any kind": (lambda a: (a.on()(hears), a.on()(reads)), "of any kind already"),
    "two for one kind": (lambda a: (a.on(kind="k")(hears), a.on(kind="k")(reads)), "'k' already"),
}


async def yields(body: Any) -> Any:
    yield body


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused_at_once(case: str) -> None:
    """When the module is imported, not when the first message comes."""
    make, said = BAD[case]

    with pytest.raises(InvalidAgent, match=said):
        make(Agent("ada"))
