"""Chapter 35. The bus: messages to topics, to agents, to all; read in groups, and acknowledged."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

import coordq
from coordq import AsyncSubscription, Client, Group
from coordq.errors import AgentNotFound, AskFailed, ChannelFull, GroupNotFound, WaitTimeout
from tests.manual.conftest import Shell
from tests.waiting import wait_until


def test_publish_and_subscribe(client: Client) -> None:
    """A topic is words with dots. Who asked for it by then is given what is published to it."""
    with client.bus.subscribe("orders.created") as orders:
        published = client.bus.publish("orders.created", {"id": 17}, sender="shop")

        delivery = orders.receive(timeout=60)

        assert delivery is not None
        assert delivery.body == {"id": 17}
        assert (delivery.message.sender, delivery.message.id) == ("shop", published.id)
        delivery.ack()


def test_what_nobody_asks_for_is_not_kept(client: Client) -> None:
    """You are told how many groups will be given it."""
    assert client.bus.publish("nobody.cares", "hello").receivers == 0


def test_patterns(client: Client) -> None:
    """`*` stands for one word, `**` at the end for any number of them, also none."""
    with client.bus.subscribe("ship.*.speed", "harbour.**") as heard:
        for topic in ("ship.a.speed", "ship.a.b.speed", "harbour", "harbour.north.gate"):
            client.bus.publish(topic, None)

        topics = [delivery.topic for delivery in heard.receive_many(10, timeout=60)]

    assert sorted(topics) == ["harbour", "harbour.north.gate", "ship.a.speed"]


def test_readers_of_a_group_share_and_each_group_is_given_all(client: Client) -> None:
    """Competing workers are one group with many readers; fan-out is many groups."""
    with (
        client.bus.subscribe("job.*", group="doers", prefetch=1) as one,
        client.bus.subscribe("job.*", group="doers", prefetch=1) as other,
        client.bus.subscribe("job.*", group="audit") as audit,
    ):
        client.bus.publish_many([("job.new", 1), ("job.new", 2)])

        shared = [reader.receive(timeout=60) for reader in (one, other)]
        all_of_them = audit.receive_many(2, timeout=60)

        assert {delivery.body for delivery in shared if delivery} == {1, 2}
        assert [delivery.body for delivery in all_of_them] == [1, 2]


def test_a_named_group_keeps_messages_while_nobody_reads(client: Client) -> None:
    """It exists from its first subscription, or from `add_group`, until you end it.

    Without a name a group is its reader's own, and ends with it.
    """
    client.bus.add_group(Group("night-shift", ("alarm.*",)))
    client.bus.publish("alarm.fire", "hall 3")

    with client.bus.subscribe(group="night-shift") as alarms:
        delivery = alarms.receive(timeout=60)
        assert delivery is not None
        assert delivery.body == "hall 3"
        delivery.ack()

    client.bus.unsubscribe("night-shift")
    with pytest.raises(GroupNotFound):
        client.bus.group("night-shift")


def test_what_is_not_acknowledged_comes_again(client: Client) -> None:
    """At once to a reader of the same name: a process that crashed and came back.

    To others when its visibility time is over, 30 s unless the group says otherwise.
    """
    before_the_crash = client.bus.subscribe("wine.*", group="cellar", reader="cellar-1")
    client.bus.publish("wine.red", "a bottle")
    assert before_the_crash.receive(timeout=60) is not None  # and no ack

    with client.bus.subscribe("wine.*", group="cellar", reader="cellar-1") as back_again:
        delivery = back_again.receive(timeout=60)

    assert delivery is not None
    assert (delivery.body, delivery.message.attempt) == ("a bottle", 2)


def test_what_is_given_back_comes_after_a_delay(client: Client) -> None:
    """`nack(delay=...)`, to any reader of the group; without a delay it backs off by itself."""
    with client.bus.subscribe("mail.*", group="post") as mail:
        client.bus.publish("mail.in", "letter")
        first = mail.receive(timeout=60)
        assert first is not None

        first.nack(delay=0.05, reason="nobody at home")

        second = mail.receive(timeout=60)
        assert second is not None
        assert second.message.attempt == 2
        second.ack()


def test_poison_ends_as_a_dead_letter_and_can_be_revived(client: Client) -> None:
    """After `max_deliveries`, or at once by `reject`; the reason is kept."""
    with client.bus.subscribe("parcel.*", group="depot", max_deliveries=2) as parcels:
        client.bus.publish("parcel.in", "a bomb?")
        for _ in range(2):
            delivery = parcels.receive(timeout=60)
            assert delivery is not None
            delivery.nack(delay=0, reason="it ticks")

        assert parcels.receive(timeout=0.1) is None
        (letter,) = client.bus.dead(group="depot")
        assert (letter.reason.endswith("it ticks"), letter.deliveries) == (True, 2)

        client.bus.revive(letter.id)
        alive = parcels.receive(timeout=60)
        assert alive is not None
        assert alive.body == "a bomb?"
        alive.ack()


def test_every_agent_has_a_mailbox(client: Client) -> None:
    """A worker reads those of its agents; `subscribe("@ada")` reads hers by hand."""
    with client.bus.subscribe("@ada") as mailbox:
        client.bus.send("ada", "hello", sender="bob")

        delivery = mailbox.receive(timeout=60)
        assert delivery is not None
        assert (delivery.body, delivery.message.sender) == ("hello", "bob")
        delivery.ack()

    with pytest.raises(AgentNotFound):
        client.bus.send("nobody", "hello")


def test_all_agents_at_once(client: Client) -> None:
    """A broadcast is in every mailbox there is."""
    with client.bus.subscribe("@ada") as ada, client.bus.subscribe("@bob") as bob:
        client.bus.broadcast("lunch")

        for mailbox in (ada, bob):
            delivery = mailbox.receive(timeout=60)
            assert delivery is not None
            assert delivery.body == "lunch"
            delivery.ack()


def test_the_critical_overtakes(client: Client) -> None:
    """Critical before normal before low; within each in the order of publication."""
    with client.bus.subscribe("news.*") as news:
        for priority in ("low", "normal", "critical"):
            client.bus.publish("news.today", priority, priority=priority)

        heard = [delivery.body for delivery in news.receive_many(3, timeout=60)]

    assert heard == ["critical", "normal", "low"]


def test_what_is_too_old_is_given_to_nobody(client: Client) -> None:
    """`expires`, in seconds: it is a dead letter with that reason."""
    client.bus.add_group(Group("weather", ("weather.*",)))
    client.bus.publish("weather.now", "rain", expires=0.001)
    over = time.monotonic() + 0.01
    wait_until(lambda: time.monotonic() > over)

    with client.bus.subscribe(group="weather") as weather:
        assert weather.receive(timeout=0.1) is None

    assert client.bus.dead(group="weather")[0].reason == "expired"


def test_an_ordered_group_is_given_one_message_of_a_topic_at_a_time(client: Client) -> None:
    """So what was given back is not overtaken by what came later."""
    with client.bus.subscribe("steps.*", group="walker", ordered=True) as steps:
        client.bus.publish_many([("steps.left", 1), ("steps.left", 2)])
        first = steps.receive(timeout=60)
        assert first is not None
        assert steps.receive(timeout=0.1) is None

        first.nack(delay=0)

        again = steps.receive(timeout=60)
        assert again is not None
        assert again.body == 1
        again.ack()
        second = steps.receive(timeout=60)
        assert second is not None
        assert second.body == 2


async def test_ask_and_be_answered(url: str) -> None:
    """`ask` an agent, or a topic that somebody answers. The async client reads with `async for`."""
    async with await coordq.connect_async(url) as client, client.bus.subscribe("@oracle") as box:
        answering = asyncio.create_task(_answer_one(box))

        assert await client.bus.ask("oracle", "how many?", timeout=60) == 42

        await answering


async def _answer_one(box: AsyncSubscription) -> None:
    async for delivery in box:
        await delivery.reply(42)  # it is acknowledged by that
        return


def test_an_answer_may_come_in_parts(client: Client) -> None:
    """As a text that is still being written: `ask_parts` gives them as they come."""
    with client.bus.subscribe("@poet") as box:
        writing = threading.Thread(target=lambda: _write(box))
        writing.start()

        parts = [part.body for part in client.bus.ask_parts("poet", "a line?", timeout=60)]

        writing.join()
    assert parts == ["Shall I", "compare thee", "to a summer's day?"]


def _write(box: coordq.Subscription) -> None:
    question = box.receive(timeout=60)
    assert question is not None
    question.reply("Shall I", more=True)
    question.reply("compare thee", more=True)
    question.reply("to a summer's day?")


def test_an_error_is_an_answer_too_and_silence_has_an_end(client: Client) -> None:
    """AskFailed says what the other side said, WaitTimeout that it said nothing.

    Nobody is given a question any more that nobody waits for.
    """
    with client.bus.subscribe("@grump") as box:
        with pytest.raises(WaitTimeout):
            client.bus.ask("grump", "hello?", timeout=0.05)
        over = time.monotonic() + 0.01
        wait_until(lambda: time.monotonic() > over)

        refusing = threading.Thread(target=lambda: _refuse(box))
        refusing.start()
        with pytest.raises(AskFailed, match="not now"):
            client.bus.ask("grump", "are you there?", timeout=60)
        refusing.join()


def _refuse(box: coordq.Subscription) -> None:
    question = box.receive(timeout=60)
    assert question is not None
    assert question.body == "are you there?"
    question.fail("busy", "not now")


def test_a_channel_is_bounded(client: Client) -> None:
    """In messages that not every group has acknowledged, and in bytes.

    Whoever publishes waits for room and is woken (`timeout`), or is refused, or lets low messages
    go to make room. Low ones find room up to 80 % of the bound, critical ones up to 110 %.
    """
    client.bus.bound("flood.*", entries=10, max_bytes=1_000_000)
    client.bus.add_group(Group("dam", ("flood.*",)))
    for number in range(10):
        client.bus.publish("flood.water", number, priority="low" if number < 3 else "normal")

    with pytest.raises(ChannelFull):
        client.bus.publish("flood.water", "refused", when_full="refuse")
    with pytest.raises(ChannelFull):
        client.bus.publish("flood.water", "waits in vain", timeout=0.05)
    assert client.bus.publish("flood.water", "urgent", priority="critical").receivers == 1

    client.bus.publish("flood.water", "important", when_full="shed")

    shed = client.bus.dead(channel="flood.water")
    assert {letter.priority for letter in shed} == {"low"}


def test_what_happens_to_tasks_are_topics_too(client: Client) -> None:
    """`task.*`, `flow.*`, `fleet.*`, `agent.*`, `session.*`, `bus.*` are told by coordq itself."""
    with client.bus.subscribe("task.cancelled") as cancelled:
        task = client.work.enqueue("sail", delay=60)
        client.work.cancel(task.id)

        delivery = cancelled.receive(timeout=60)

    assert delivery is not None
    assert delivery.topic == "task.cancelled"
    assert delivery.body["id"] == task.id


def test_the_bus_from_the_shell(client: Client, shell: Shell) -> None:
    """`coordq bus publish|ask|tail|ls|topics|show|groups|bound|dead|revive|purge`."""
    client.bus.add_group(Group("clerk", ("desk.*",)))

    shell("bus", "publish", "desk.note", "id=7", "--sender", "me", "--priority", "low")

    assert "clerk" in shell("bus", "show", "desk.note")
    told = json.loads(shell("bus", "tail", "--group", "clerk", "--count", "1", "--json"))
    assert (told["channel"], told["sender"], told["body"]) == ("desk.note", "me", {"id": 7})
    wait_until(lambda: client.bus.group("clerk").held == 0)
