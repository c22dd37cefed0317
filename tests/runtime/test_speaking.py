"""Handlers of real workers speak as their agent: who says it, what it comes of, and only once."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordq.bus.envelope import Message
from coordq.bus.group import Group
from coordq.client.client import Client
from coordq.client.subscription import Subscription
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet
from tests.waiting import wait_until

pytestmark = pytest.mark.live

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
AGENTS = """
    import asyncio
    import os
    from pathlib import Path
    from typing import Any
    from coordq import Agent, Batch, Context, CoordqError, Retry

    HERE = Path(__file__).parent
    ada, bob = Agent("ada"), Agent("bob")

    def note(kind: str, *words: object) -> None:
        with (HERE / kind).open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    @ada.on("orders.*")
    async def passes_on(ctx: Context, body: Any) -> None:
        await ctx.publish("said.loop", body)

    @ada.on("orders.*")
    def passes_on_from_a_thread(ctx: Context, body: Any) -> None:
        ctx.publish("said.thread", body, priority="critical", kind="word")

    @ada.task
    async def speaks(ctx: Context) -> str:
        return (await ctx.publish("said.task", None)).id

    @ada.task
    def speaks_from_a_thread(ctx: Context) -> str:
        return ctx.send("bob", "from ada").id

    @ada.task
    async def asks(ctx: Context, whom: str) -> Any:
        return await ctx.ask(whom, 20, timeout=60)

    @ada.task
    def asks_from_a_thread(ctx: Context) -> Any:
        return ctx.ask("bob", 20, timeout=60)

    @bob.on(kind="ask")
    async def adds_one(ctx: Context, body: int) -> list[Any]:
        return [ctx.message.sender, ctx.message.causation, body + 1]

    @bob.on()
    async def reads(ctx: Context, body: Any) -> None:
        note("bob", ctx.message.sender, body)

    @ada.task
    async def speaks_and_fails(ctx: Context) -> None:
        await ctx.publish("said.twice", 1)
        await ctx.publish("said.twice", 2, key="two")
        if ctx.attempt == 1:
            raise Retry(0.01, "after that")
        await ctx.publish("said.other", 3)

    @ada.on("fragile")
    async def dies(ctx: Context, body: str) -> None:
        await ctx.publish("said.before", ctx.attempt)
        note("fragile", os.getpid())
        while not Path(body).exists():
            await asyncio.sleep(0.02)
        await ctx.publish("said.after", ctx.attempt)

    @ada.task(batch=Batch(size=4, delay=0.01))
    async def many(ctx: Context, numbers: list[int]) -> None:
        for task, number in zip(ctx.tasks, numbers, strict=True):
            await task.publish("said.each", number)
        await ctx.publish("said.all", len(numbers))

    @ada.on("odd")
    async def tries(ctx: Context, body: dict[str, Any]) -> None:
        at, verb = body.pop("at"), body.pop("verb")
        try:
            await getattr(ctx, verb)(*body.pop("to"), 1, **body)
            note("refused", at, "nothing")
        except CoordqError as error:
            note("refused", at, error.code)

    @ada.on("task.failed")
    async def alarms(ctx: Context) -> None:
        await ctx.publish("said.alarm", None)
"""


@pytest.fixture
def fleet(new_fleet: NewFleet, tmp_path: Path) -> Fleet:
    """A worker with both agents."""
    file = tmp_path / "speaking.py"
    file.write_text(textwrap.dedent(AGENTS))
    return new_fleet(targets=(str(file),), concurrency=4)


@pytest.fixture
def ear(client: Client) -> Iterator[Subscription]:
    """Hears what is said."""
    with client.bus.subscribe("said.*") as ear:
        yield ear


Hear = Callable[[], Message]


@pytest.fixture
def hear(ear: Subscription) -> Hear:
    """The next thing that is said."""

    def next_one() -> Message:
        delivery = ear.receive(60)
        assert delivery is not None, "something is said"
        delivery.ack()
        return delivery.message

    return next_one


def lines(folder: Path, name: str) -> list[str]:
    """What a handler wrote down."""
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []


def test_what_a_listener_says_comes_of_the_message(
    fleet: Fleet, client: Client, hear: Hear
) -> None:
    """Its agent speaks; correlation and trace go on. From a thread it is the same, unawaited."""
    sent = client.bus.publish("orders.new", 7, correlation="deal", trace=TRACE, sender="shop")

    said = {one.topic: one for one in (hear(), hear())}

    assert fleet.running
    assert said.keys() == {"said.loop", "said.thread"}
    for one in said.values():
        assert (one.sender, one.causation, one.correlation) == ("ada", sent.id, "deal")
        assert (one.trace, one.body) == (TRACE, 7)
    assert (said["said.thread"].priority, said["said.thread"].kind) == ("critical", "word")


def test_what_has_no_correlation_begins_one(fleet: Fleet, client: Client, hear: Hear) -> None:
    """So that all that comes of a message can be found by one word."""
    sent = client.bus.publish("orders.new", 7)

    assert fleet.running
    assert {hear().correlation, hear().correlation} == {sent.id}


def test_what_a_task_says_comes_of_the_task(fleet: Fleet, client: Client, hear: Hear) -> None:
    """With the trace that its producer sent along; what is no trace is left out."""
    traced = client.work.enqueue("speaks", headers={"traceparent": TRACE})
    assert traced.result(timeout=60) == (first := hear()).id
    odd = client.work.enqueue("speaks", headers={"traceparent": "mine"})
    assert odd.result(timeout=60) == (second := hear()).id

    assert fleet.running
    assert (first.sender, first.causation, first.correlation) == ("ada", traced.id, traced.id)
    assert (first.trace, second.trace) == (TRACE, "")


def test_an_agent_sends_and_asks(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    """The other one knows who asks, and of what that comes."""
    client.work.enqueue("speaks_from_a_thread").result(timeout=60)
    ask = client.work.enqueue("asks", {"whom": "bob"})
    threaded = client.work.enqueue("asks_from_a_thread")

    assert fleet.running
    assert ask.result(timeout=60) == ["ada", ask.id, 21]
    assert threaded.result(timeout=60) == ["ada", threaded.id, 21]
    wait_until(lambda: lines(tmp_path, "bob") == ["ada from ada"], what="bob")


def test_a_run_that_is_repeated_says_nothing_twice(
    fleet: Fleet, client: Client, hear: Hear, ear: Subscription
) -> None:
    """What its first run said before it failed is said; what it did not come to is said then."""
    client.work.enqueue("speaks_and_fails").result(timeout=60)

    assert fleet.running
    assert [(one.topic, one.body) for one in (hear(), hear(), hear())] == [
        ("said.twice", 1),
        ("said.twice", 2),
        ("said.other", 3),
    ]
    assert ear.receive(0) is None


@pytest.mark.chaos
def test_a_handler_that_was_killed_publishes_nothing_twice(
    fleet: Fleet, client: Client, hear: Hear, tmp_path: Path, ear: Subscription
) -> None:
    """It dies between two messages; its second run says the second, and the first counts."""
    gate = tmp_path / "gate"
    client.bus.publish("fragile", str(gate))
    wait_until(lambda: lines(tmp_path, "fragile"), what="the first message")

    fleet.signal(signal.SIGKILL, pid=int(lines(tmp_path, "fragile")[0]))
    wait_until(lambda: len(lines(tmp_path, "fragile")) == 2, what="the second run")
    gate.touch()

    assert [(one.topic, one.body) for one in (hear(), hear())] == [
        ("said.before", 1),
        ("said.after", 2),
    ]
    assert ear.receive(0) is None


def test_tasks_of_a_batch_speak_for_themselves(fleet: Fleet, client: Client, hear: Hear) -> None:
    """The context of all of them speaks as the agent, of none."""
    tasks = [client.work.enqueue("many", {"numbers": number}).id for number in range(2)]

    heard = [hear(), hear(), hear()]
    while sum(one.body for one in heard if one.topic == "said.all") < len(tasks):
        heard.append(hear())

    assert fleet.running
    each = {one.causation: one.body for one in heard if one.topic == "said.each"}
    assert each == {tasks[0]: 0, tasks[1]: 1}
    assert {(one.sender, one.causation) for one in heard if one.topic == "said.all"} == {
        ("ada", "")
    }


def test_what_is_said_of_an_event_comes_of_it(fleet: Fleet, client: Client, hear: Hear) -> None:
    """An event is no message of anybody's and has no time of birth; it is named all the same."""
    client.work.enqueue("asks", {"whom": "nobody"}, max_attempts=1)

    alarm = hear()

    assert fleet.running
    assert (alarm.topic, alarm.sender) == ("said.alarm", "ada")
    assert alarm.causation == alarm.correlation != ""


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"verb": "send", "to": ["eve"]}, "not-connected"),
    ({"verb": "ask", "to": ["eve"]}, "not-connected"),
    ({"verb": "send", "to": ["nobody at all"]}, "invalid-name"),
    ({"verb": "send", "to": [7]}, "invalid-name"),
    ({"verb": "publish", "to": ["said..x"]}, "invalid-topic"),
    ({"verb": "publish", "to": [["said"]]}, "invalid-topic"),
    ({"verb": "publish", "to": ["task.failed"]}, "invalid-topic"),
    ({"verb": "publish", "to": ["~0"]}, "invalid-topic"),
    ({"verb": "publish", "to": ["said.x"], "sender": "bob"}, "invalid-option"),
    ({"verb": "publish", "to": ["said.x"], "causation": "c"}, "invalid-option"),
    ({"verb": "publish", "to": ["said.x"], "id": "0" * 22}, "invalid-option"),
    ({"verb": "publish", "to": ["said.x"], "once": False}, "invalid-option"),
    ({"verb": "ask", "to": ["bob"], "sender": "bob"}, "invalid-option"),
    ({"verb": "publish", "to": ["said.x"], "key": 7}, "invalid-input"),
    ({"verb": "publish", "to": ["said.x"], "key": "k" * 201}, "invalid-input"),
    ({"verb": "publish", "to": ["said.x"], "colour": "red"}, "invalid-message"),
    ({"verb": "publish", "to": ["said.x"], "trace": "mine"}, "invalid-message"),
    ({"verb": "publish", "to": ["said.x"], "when_full": "cry"}, "invalid-option"),
    ({"verb": "ask", "to": ["bob"], "timeout": -1}, "invalid-time"),
    ({"verb": "ask", "to": ["topic:said"], "timeout": 1}, "group-not-found"),
]


def test_what_a_handler_may_not_say_gets_a_code(
    fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    """Also whom the topology does not let its agent talk to; the worker goes on."""
    assert fleet.running
    client.bus.add_group(Group("@eve"))
    client.topology.set("star", ["ada", "bob", "eve"], hub="bob")

    client.bus.publish_many([("odd", wish | {"at": at}) for at, (wish, _) in enumerate(REFUSED)])

    wait_until(lambda: len(lines(tmp_path, "refused")) == len(REFUSED), what="all errors")
    codes = dict(line.split() for line in lines(tmp_path, "refused"))
    assert [codes[str(at)] for at in range(len(REFUSED))] == [code for _, code in REFUSED]
