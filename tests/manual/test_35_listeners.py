"""Chapter 36. Listeners: agents in workers hear messages, as they do tasks."""

from __future__ import annotations

import json

import pytest

from coordq import Client
from coordq.errors import AskFailed
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
import asyncio
from pathlib import Path
from typing import Any

from coordq import Agent, Context, Middleware, Reject, Retry

NOTES = Path(__file__).parent


def note(what: str, *words: object) -> None:
    with (NOTES / what).open("a") as file:
        print(*words, file=file)


class Counts(Middleware):
    async def before_run(self, ctx: Context, args: dict[str, Any]) -> None:
        note("runs", ctx.name, ctx.queue)


store = Agent("store", middleware=[Counts()])
clerk = Agent("clerk")


@store.on("orders.*")
async def restock(id: int, amount: int = 1) -> None:
    note("orders", id, amount)


@clerk.on("orders.*")
async def bill(ctx: Context, id: int) -> None:
    note("bills", id, ctx.message.sender, ctx.message.topic)


@clerk.on("mixed.**")
async def file(body: Any) -> None:
    note("filed", body)


@clerk.on()
async def read(body: str) -> str:
    return body.upper()


@clerk.on(kind="sum")
def add(body: list[int]) -> int:
    return sum(body)


@clerk.on(kind="spell")
async def spell(ctx: Context, body: str) -> None:
    for letter in body:
        await ctx.reply(letter, last=False)
    await ctx.reply(len(body))


@clerk.on(kind="refuse")
async def refuse(body: Any) -> None:
    raise Reject("we are closed")


@store.on("prices", fanout=True)
async def forget_prices() -> None:
    note("fanout", "forgot")


@store.on("shelf.*", ordered=True)
async def move(step: int) -> None:
    note("moves", "begin", step)
    await asyncio.sleep(0.01)
    note("moves", "end", step)


@store.on("fragile.*", max_deliveries=3)
async def carry(ctx: Context, what: str) -> None:
    if what == "egg":
        raise Reject("already broken")
    if ctx.attempt < 3 or what == "glass":
        raise Retry(0.01, "slipped")
    note("carried", what, ctx.attempt)


@store.on("big.*")
async def hand_over(ctx: Context, pages: int) -> None:
    await ctx.client.work.enqueue("count", {"pages": pages}, unique=ctx.message.id)


@store.task
async def count(pages: int) -> None:
    note("counted", pages)


@store.on("stock.low")
async def reorder(ctx: Context, what: str) -> None:
    price = await ctx.ask("clerk", what, timeout=20)
    await ctx.publish("purchases.wanted", {"what": what, "price": price})


@store.task
def complain(ctx: Context, about: str) -> str:
    return ctx.publish("letters.complaint", about).id


@store.on("unlucky")
async def say_and_stumble(ctx: Context) -> None:
    await ctx.publish("letters.once", ctx.attempt)
    if ctx.attempt == 1:
        raise Retry(0.01, "stumbled")
    await ctx.publish("letters.then", ctx.attempt)


@clerk.on("task.succeeded")
async def tick_off(id: str, name: str = "") -> None:
    note("succeeded", id)
"""


@pytest.fixture(scope="module", autouse=True)
def listening(worker: object, client: Client) -> None:  # noqa: ARG001 - it must run
    """From here on messages are kept for the worker: its listeners are groups that exist."""
    wanted = {"store.restock", "store.move", "clerk.bill", "clerk.tick_off", "@clerk"}
    wait_until(lambda: wanted <= {one.name for one in client.bus.groups()})


def noted(shell: Shell, what: str, amount: int = 1) -> list[str]:
    """What listeners wrote down, once there are so many lines."""
    file = shell.folder / what

    def lines() -> list[str]:
        return file.read_text().splitlines() if file.exists() else []

    wait_until(lambda: len(lines()) >= amount, what=what)
    return lines()


def test_fields_of_the_message_are_the_parameters(client: Client, shell: Shell) -> None:
    """Checked as arguments are, with defaults; fields that nobody asks for are passed over."""
    client.bus.publish("orders.created", {"id": 17, "colour": "red"}, sender="shop")

    assert noted(shell, "orders") == ["17 1"]


def test_each_listener_hears_it_once(client: Client, shell: Shell) -> None:
    """However many workers have it. `ctx.message` is the envelope."""
    client.bus.publish("orders.paid", {"id": 18}, sender="bank")

    assert "18 1" in noted(shell, "orders", 2)
    assert "18 bank orders.paid" in noted(shell, "bills", 2)


def test_a_body_may_be_anything(client: Client, shell: Shell) -> None:
    """A parameter named `body` takes all of it."""
    for body in ("text", [1, 2], None):
        client.bus.publish("mixed.bag", body)

    assert noted(shell, "filed", 3) == ["text", "[1, 2]", "None"]


def test_an_agent_answers_from_its_mailbox(client: Client) -> None:
    """`@agent.on()`: what it returns is the answer to who asked."""
    assert client.bus.ask("clerk", "hello", timeout=60) == "HELLO"


def test_kinds_of_a_mailbox(client: Client) -> None:
    """A listener for each kind, and one for the rest. Plain functions run in threads."""
    assert client.bus.ask("clerk", [1, 2, 3], kind="sum", timeout=60) == 6
    assert client.bus.ask("clerk", "other kinds", kind="whatever", timeout=60) == "OTHER KINDS"


def test_an_answer_in_parts(client: Client) -> None:
    """`ctx.reply(part, last=False)`; what is returned does not count then."""
    parts = client.bus.ask_parts("clerk", "sea", kind="spell", timeout=60)

    assert [part.body for part in parts] == ["s", "e", "a", 3]


def test_who_asked_is_told_of_a_failure(client: Client) -> None:
    """As soon as no retry can help."""
    with pytest.raises(AskFailed, match="we are closed"):
        client.bus.ask("clerk", None, kind="refuse", timeout=60)


def test_every_process_hears_it(client: Client, shell: Shell) -> None:
    """`fanout=True`: here one process; such as word that a cache is stale."""
    client.bus.publish("prices", {})

    assert noted(shell, "fanout") == ["forgot"]


def test_in_order(client: Client, shell: Shell) -> None:
    """`ordered=True`: of each topic the next begins when the last has ended, across all workers."""
    client.bus.publish_many([("shelf.a", {"step": step}) for step in range(3)])

    assert noted(shell, "moves", 6) == [
        f"{what} {step}" for step in range(3) for what in ("begin", "end")
    ]


def test_failures_are_tried_again(client: Client, shell: Shell) -> None:
    """`Retry` and the others mean what they mean in tasks; `ctx.attempt` counts deliveries."""
    client.bus.publish("fragile.load", {"what": "cup"})

    assert noted(shell, "carried") == ["cup 3"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"what": "glass"}, "slipped"),  # after three deliveries
        ({"what": "egg"}, "already broken"),  # at once
        ({"weight": 7}, "what"),  # at once: a field is missing
    ],
)
def test_what_cannot_be_handled_is_a_dead_letter(
    client: Client, body: dict[str, object], reason: str
) -> None:
    """Of the listener's group, `<agent>.<function>`, with the reason."""
    client.bus.publish("fragile.load", body)

    wait_until(lambda: client.bus.dead(group="store.carry"), what="the dead letter")
    letters = client.bus.dead(group="store.carry")
    client.bus.purge_dead(*[letter.id for letter in letters])
    assert [reason in letter.reason for letter in letters] == [True]


def test_a_listener_is_run_as_a_task_is(client: Client, shell: Shell) -> None:
    """Under its agent's middleware, with dependencies, time limits and drains."""
    client.bus.publish("prices", {})

    assert "@store.forget_prices prices" in noted(shell, "runs")


def test_what_has_to_be_tracked_becomes_a_task(client: Client, shell: Shell) -> None:
    """The message's id as unique key: though it may be delivered twice, there is one task."""
    client.bus.publish("big.book", {"pages": 300})

    assert noted(shell, "counted") == ["300"]


def test_a_handler_speaks_as_its_agent(client: Client) -> None:
    """`ctx.ask`, `ctx.publish`, `ctx.send`: the envelope says who it is, and what that comes of."""
    with client.bus.subscribe("purchases.*") as purchases:
        low = client.bus.publish("stock.low", {"what": "tea"}, correlation="spring")

        wanted = purchases.receive(60)

    assert wanted is not None
    assert wanted.body == {"what": "tea", "price": "TEA"}
    assert (wanted.message.sender, wanted.message.causation) == ("store", low.id)
    assert wanted.message.correlation == "spring"


def test_so_does_a_task(client: Client) -> None:
    """In a plain function nothing is awaited."""
    with client.bus.subscribe("letters.complaint") as letters:
        task = client.work.enqueue("complain", {"about": "the weather"})

        letter = letters.receive(60)

    assert letter is not None
    assert letter.message.id == task.result(timeout=60)
    assert (letter.message.sender, letter.message.causation) == ("store", task.id)


def test_a_handler_that_is_run_again_publishes_nothing_twice(client: Client) -> None:
    """What its first run has said within five minutes is said; it goes on with the rest."""
    with client.bus.subscribe("letters.once", "letters.then") as letters:
        client.bus.publish("unlucky", {})

        said = [letters.receive(60) for _ in range(2)]

    assert [(one.message.topic, one.body) for one in said if one] == [
        ("letters.once", 1),
        ("letters.then", 2),
    ]


def test_what_happens_to_tasks_can_be_heard(client: Client, shell: Shell) -> None:
    """Once by each group that asks for it, like any other topic."""
    task = client.work.enqueue("count", {"pages": 7})

    task.result(timeout=60)

    wait_until(lambda: task.id in noted(shell, "succeeded"), what="word of its end")


def test_groups_from_the_shell(shell: Shell) -> None:
    """Who asks for what, how much waits for them, and what they have handled."""
    groups = {one["name"]: one for one in json.loads(shell("bus", "groups", "--json"))}

    assert {"store.restock", "clerk.bill", "@clerk"} <= groups.keys()
    assert groups["clerk.bill"]["patterns"] == ["orders.*"]
