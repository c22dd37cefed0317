"""Mailboxes answer; what is nobody's, foreign or not allowed goes where it can be seen."""

from __future__ import annotations

import pytest

from coordq.bus.group import Group
from coordq.bus.reply import address
from coordq.client.client import Client
from coordq.client.delivery import UNREADABLE
from coordq.engine import bus_keys, keys
from tests.runtime.hearing import Hearing, Noted, answers, buried, send
from tests.waiting import wait_until

pytestmark = pytest.mark.live


def test_what_a_mailbox_handler_returns_is_the_answer(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """And the sender is known to it."""
    hearing()

    send(client, "@ada", "hello", kind="ask", reply_to=address(0, "me"), sender="bob")

    wait_until(lambda: answers(client, "me"), what="the answer")
    assert answers(client, "me") == [("last", "HELLO")]
    assert noted("reads") == [["hello", "bob"]]


def test_an_answer_may_come_in_parts(hearing: Hearing, client: Client) -> None:
    """From a thread, too; what the handler returns then does not count."""
    hearing()

    send(client, "@ada", ["a", "b"], kind="parts", reply_to=address(0, "me"))

    wait_until(lambda: len(answers(client, "me")) == 3, what="three parts")
    assert answers(client, "me") == [("part", "a"), ("part", "b"), ("last", "done")]


def test_who_asked_hears_that_it_failed(hearing: Hearing, client: Client) -> None:
    """At once when no retry would help; nobody waits for an answer that cannot come."""
    hearing()

    send(client, "@ada", {"no": "text"}, kind="ask", reply_to=address(0, "me"))

    wait_until(lambda: answers(client, "me"), what="the answer")
    ((how, said),) = answers(client, "me")
    assert how == "error"
    assert "invalid-arguments" in said["message"]


def test_a_foreign_message_is_buried_and_the_worker_goes_on(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """Whatever a stranger has written into a stream of ours."""
    hearing()
    send(client, "orders.created", {"number": 1})
    wait_until(lambda: noted("hears"), what="the first")
    root = keys.root(client.namespace, 0)
    client.engine.execute(
        0, "XADD", bus_keys.stream(root, "norders.created"), "*", "h", "{", "b", "?"
    )

    send(client, "orders.created", {"number": 2})

    wait_until(lambda: len(noted("hears")) == 2, what="the second")
    wait_until(lambda: buried(client), what="the dead letter")
    assert buried(client)[0].reason == UNREADABLE


def test_what_happens_to_tasks_can_be_listened_to(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """Events are topics: task.succeeded and its like."""
    hearing()

    handle = client.work.enqueue("done")
    handle.result(timeout=60)

    def heard() -> list[str]:
        return [line[0] for line in noted("hears_of_tasks") if handle.id in " ".join(line)]

    wait_until(lambda: "task.succeeded" in heard(), what="word of its end")
    assert heard().count("task.succeeded") == 1


def test_what_the_topology_does_not_let_pass_any_more_is_returned(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """It was sent when it was allowed, and lay there when the links were changed."""
    client.bus.add_group(Group("@ada"))
    client.topology.set("mesh", ["ada", "bob", "eve"], in_flight="return")
    client.bus.send("ada", "from bob", sender="bob", reply_to=address(0, "me"))
    client.bus.send("ada", "from eve", sender="eve")
    client.topology.set("graph", links=[("ada", "eve"), ("bob", "eve")], in_flight="return")

    hearing()

    wait_until(lambda: buried(client), what="the dead letter")
    wait_until(lambda: noted("reads"), what="the other message")
    assert noted("reads") == [["from", "eve", "eve"]]
    assert buried(client)[0].reason.startswith("not-connected: bob may not talk to ada")
    wait_until(lambda: answers(client, "me"), what="word to who asked")
    assert answers(client, "me")[0][0] == "error"
