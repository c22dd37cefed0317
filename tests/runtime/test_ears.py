"""Workers hear messages: once in each group, tried again, buried with a reason, handed on."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from coordq.bus.dead import DeadMessage, dead
from coordq.bus.envelope import parcel
from coordq.bus.publish import publish
from coordq.bus.reply import address, read_reply
from coordq.client.client import Client
from coordq.client.delivery import UNREADABLE
from coordq.engine import bus_keys, keys
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until

pytestmark = pytest.mark.live

AGENT = """
    import asyncio
    import json
    import os
    import time
    from pathlib import Path
    from typing import Any
    from coordq import Agent, Context, Depends, Middleware, Reject

    HERE = Path(__file__).parent

    def note(kind: str, *words: object) -> None:
        with (HERE / kind).open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    class Counts(Middleware):
        async def before_run(self, ctx, args):
            note("before", ctx.name, ctx.queue)

    def greeting() -> str:
        return "hello"

    agent = Agent("ada", middleware=[Counts()])
    other = Agent("bob")

    @agent.on("orders.*", visibility=2)
    async def hears(ctx: Context, number: int) -> None:
        note("hears", number, ctx.attempt, os.getpid())

    @agent.on("slow.*", visibility=1, concurrency=2)
    async def gated(ctx: Context, path: str) -> None:
        note("gated", ctx.attempt, os.getpid())
        while not Path(path).exists():
            await asyncio.sleep(0.02)

    @agent.on("rough.*", max_deliveries=2)
    async def fails(ctx: Context, number: int) -> None:
        note("fails", number, ctx.attempt)
        raise (Reject("no use") if number == 0 else ValueError(f"unlucky {number}"))

    @agent.on("threads.*")
    def threaded(number: int, hello: str = Depends(greeting)) -> None:
        note("threaded", number, hello)

    @agent.on("news", fanout=True)
    async def told(body: Any) -> None:
        note("told", body, os.getpid())

    @agent.on("steps", ordered=True)
    async def steps(number: int) -> None:
        note("steps", "begin", number)
        await asyncio.sleep(0.01)
        note("steps", "end", number)

    @agent.on()
    async def reads(ctx: Context, body: str) -> str:
        note("reads", body, ctx.message.sender)
        return body.upper()

    @agent.on(kind="parts")
    def in_parts(ctx: Context, body: list[str]) -> None:
        for part in body:
            ctx.reply(part, last=False)
        ctx.reply("done")

    @other.on("task.*")
    async def hears_of_tasks(ctx: Context, id: str = "", kind: str = "", body: Any = None) -> None:
        note("hears_of_tasks", ctx.message.topic, json.dumps(body))

    @agent.task
    async def done() -> None: ...

    @other.on("orders.*")
    async def listens_too(number: int) -> None:
        note("listens_too", number)
"""

Hearing = Callable[..., Any]


@pytest.fixture
def hearing(new_fleet: NewFleet, tmp_path: Path) -> Hearing:
    """Start a worker whose agents listen."""
    file = tmp_path / "hearing.py"
    file.write_text(textwrap.dedent(AGENT))

    def start(**settings: Any) -> Any:
        return new_fleet(targets=(str(file),), **settings)

    return start


@pytest.fixture
def noted(tmp_path: Path) -> Callable[[str], list[list[str]]]:
    """What handlers wrote down, by kind."""

    def read(kind: str) -> list[list[str]]:
        file = tmp_path / kind
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    return read


def send(client: Client, channel: str, *bodies: Any, **said: Any) -> list[str]:
    """Publish; ids."""
    parcels = [parcel(channel, body, **said) for body in bodies]
    posted = client.engine.run(publish(0, parcels, mode="refuse", nonce=uuid4().hex))
    assert all(one.receivers for one in posted), "a group hears it"
    return [one.id for one in posted]


def buried(client: Client) -> list[DeadMessage]:
    """Dead letters of the bus."""
    return client.engine.run(dead(0))


def test_each_agent_that_asked_for_a_topic_hears_of_it_once(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
) -> None:
    """Two agents, two processes that compete: two copies of each message are handled, not four."""
    hearing(processes=2)

    send(client, "orders.created", *({"number": number} for number in range(40)))

    wait_until(lambda: len(noted("hears")) >= 40 and len(noted("listens_too")) >= 40, what="all")
    assert sorted(int(line[0]) for line in noted("hears")) == list(range(40))
    assert sorted(int(line[0]) for line in noted("listens_too")) == list(range(40))


def test_messages_go_through_middleware_dependencies_and_threads(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
) -> None:
    """A listener is a handler like any other."""
    hearing()

    send(client, "threads.one", {"number": 7})

    wait_until(lambda: noted("threaded"), what="the handler")
    assert noted("threaded") == [["7", "hello"]]
    assert noted("before") == [["@ada.threaded", "threads.one"]]


def test_a_failure_is_tried_again_and_then_a_dead_letter(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
) -> None:
    """With the reason, the error's type and what it said."""
    hearing()

    send(client, "rough.sea", {"number": 5})

    wait_until(lambda: buried(client), what="the dead letter", within=20)
    (letter,) = buried(client)
    assert noted("fails") == [["5", "1"], ["5", "2"]]
    assert letter.reason == "exception: ValueError: unlucky 5"
    assert (letter.group, letter.deliveries) == ("ada.fails", 2)


@pytest.mark.parametrize(
    ("body", "reason"),
    [({"number": 0}, "rejected"), ({"number": "x"}, "invalid-arguments"), ([], "invalid-argum")],
)
def test_what_no_retry_would_help_is_buried_at_once(
    hearing: Hearing, client: Client, body: Any, reason: str
) -> None:
    """Rejected by the handler, or by its signature."""
    hearing()

    send(client, "rough.sea", body)

    wait_until(lambda: buried(client), what="the dead letter")
    assert buried(client)[0].reason.startswith(reason)
    assert buried(client)[0].deliveries == 1


def test_a_message_of_a_killed_process_is_handled_by_another(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]], tmp_path: Path
) -> None:
    """It was not acknowledged, so it is given out again."""
    fleet = hearing(processes=2)
    gate = tmp_path / "gate"
    send(client, "slow.one", {"path": str(gate)})
    wait_until(lambda: noted("gated"), what="the start")

    fleet.signal(signal.SIGKILL, pid=int(noted("gated")[0][1]))
    wait_until(lambda: len(noted("gated")) == 2, what="the second start", within=20)
    gate.touch()

    assert noted("gated")[1][0] == "2", "its second delivery"
    wait_until(lambda: not held(client, "ada.gated"), what="the ack")


def held(client: Client, group: str) -> int:
    """How many messages a group's readers hold."""
    key = bus_keys.held(keys.root(client.namespace, 0), group)
    return int(client.engine.execute(0, "ZCARD", key))


def given_back(client: Client, group: str) -> int:
    """How many of them are to be given out again by now."""
    key = bus_keys.held(keys.root(client.namespace, 0), group)
    seconds, micros = client.engine.execute(0, "TIME")
    return int(
        client.engine.execute(0, "ZCOUNT", key, "-inf", int(seconds) * 1000 + int(micros) // 1000)
    )


def test_a_message_that_takes_longer_than_its_visibility_is_kept(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]], tmp_path: Path
) -> None:
    """It is held as long as its handler is at work: three times its visibility, here."""
    hearing(processes=2)
    gate = tmp_path / "gate"
    send(client, "slow.one", {"path": str(gate)})
    wait_until(lambda: noted("gated"), what="the start")
    clock = client.engine.execute(0, "TIME")

    def later() -> bool:
        return int(client.engine.execute(0, "TIME")[0]) - int(clock[0]) >= 3

    wait_until(later, what="three seconds")
    gate.touch()
    wait_until(lambda: not held(client, "ada.gated"), what="the ack")
    assert len(noted("gated")) == 1


def test_no_more_run_at_once_than_a_listener_allows(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]], tmp_path: Path
) -> None:
    """The others wait in the process, or are left in Redis."""
    hearing(concurrency=8)
    gate = tmp_path / "gate"
    send(client, "slow.one", *[{"path": str(gate)}] * 5)
    wait_until(lambda: len(noted("gated")) == 2, what="two starts")
    send(client, "orders.created", {"number": 1})
    wait_until(lambda: noted("hears"), what="another listener's message")

    assert len(noted("gated")) == 2
    gate.touch()
    wait_until(lambda: len(noted("gated")) == 5, what="the rest")


def test_a_drain_finishes_what_runs_and_hands_on_what_waits(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]], tmp_path: Path
) -> None:
    """Nothing is lost when a worker is stopped, and nothing that ran is run again."""
    first = hearing(concurrency=8)
    gate = tmp_path / "gate"
    send(client, "slow.one", *[{"path": str(gate)}] * 5)
    wait_until(lambda: len(noted("gated")) == 2, what="two starts")

    first.signal(signal.SIGTERM)
    wait_until(lambda: given_back(client, "ada.gated") == 3, what="the rest to be given back")
    gate.touch()
    assert first.wait() == 0
    assert len(noted("gated")) == 2, "what waited was not begun any more"

    hearing()
    wait_until(lambda: len(noted("gated")) == 5, what="the rest", within=20)


def test_fan_out_reaches_every_process(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
) -> None:
    """Such as word that a cache must be emptied."""
    fleet = hearing(processes=2)

    send(client, "news", "flush")

    wait_until(lambda: len(noted("told")) == 2, what="both")
    assert {int(line[1]) for line in noted("told")} == set(fleet.children())


def test_ordered_messages_are_handled_one_after_the_other(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
) -> None:
    """Across two processes with eight slots each."""
    hearing(processes=2, concurrency=8)

    send(client, "steps", *({"number": number} for number in range(20)))

    wait_until(lambda: len(noted("steps")) == 40, what="all steps", within=30)
    expected = [[what, str(number)] for number in range(20) for what in ("begin", "end")]
    assert noted("steps") == expected


def answers(client: Client, asker: str) -> list[tuple[str, Any]]:
    """What came back for an asker."""
    key = bus_keys.replies(keys.root(client.namespace, 0), asker)
    read = (read_reply(fields) for _, fields in client.engine.execute(0, "XRANGE", key, "-", "+"))
    return [(one.how, one.body) for one in read if one is not None]


def test_what_a_mailbox_handler_returns_is_the_answer(
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
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
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
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
    hearing: Hearing, client: Client, noted: Callable[[str], list[list[str]]]
) -> None:
    """Events are topics: task.succeeded and its like."""
    hearing()

    handle = client.work.enqueue("done")
    handle.result(timeout=10)

    def heard() -> list[str]:
        return [line[0] for line in noted("hears_of_tasks") if handle.id in " ".join(line)]

    wait_until(lambda: "task.succeeded" in heard(), what="word of its end")
    assert heard().count("task.succeeded") == 1
