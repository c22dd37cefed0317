"""Three agents that can hold a session, and what a test hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from coordq.bus.group import Group
from coordq.client.client import Client, connect
from coordq.client.sessions import Session
from coordq.client.subscription import Delivery, Subscription

NAMES = ("ada", "bob", "eve")


@contextmanager
def three_mailboxes(url: str, namespace: str) -> Iterator[Client]:
    """A client of a namespace in which three agents have a mailbox."""
    with connect(url, namespace=namespace) as client:
        for name in NAMES:
            client.bus.add_group(Group(f"@{name}"))
        yield client


@contextmanager
def open_mailboxes(client: Client) -> Iterator[dict[str, Subscription]]:
    """Their mailboxes, to be read by a test."""
    with ExitStack() as open_ones:
        yield {
            name: open_ones.enter_context(client.bus.subscribe(f"@{name}", prefetch=1))
            for name in NAMES
        }


def begin(client: Client, **rules: Any) -> dict[str, Session]:
    """A session of three, as each of them sees it."""
    rules = {"participants": NAMES} | rules
    session_id = client.sessions.open("plan", **rules).id
    return {name: client.sessions.get(session_id, me=name) for name in NAMES}


def hear(box: Subscription, *, ack: bool = True) -> Delivery | None:
    """The next message of a mailbox, if one is there."""
    delivery = box.receive(0.3)
    if delivery is not None and ack:
        delivery.ack()
    return delivery


def heard(box: Subscription) -> list[Any]:
    """All that is in a mailbox: bodies."""
    bodies = []
    while (delivery := hear(box)) is not None:
        bodies.append(delivery.body)
    return bodies
