"""A text says what a message is about; those whom it concerns are sent it."""

from __future__ import annotations

from typing import Any

import pytest

import coordq
from coordq import Client
from coordq.bus.group import Group
from coordq.client import guide
from coordq.errors import ChannelFull, CoordqError, NoRoute, NotConnected
from tests.client.talk import heard

pytestmark = pytest.mark.live

CHARGE = "there is a wrong charge on my card"


@pytest.fixture
def town(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Agents with interests and mailboxes; the registry is asked at each call."""
    monkeypatch.setattr(guide, "FRESH_S", 0.0)
    client.agents.register("ann", interests="Refunds and invoices. Wrong charges on a card")
    client.agents.register("bob", interests="a charge on a card")
    client.agents.register("cas", capabilities=["parcel-tracking"], interests="late delivery")
    client.agents.register("desk")
    for name in ("ann", "bob", "cas", "desk"):
        client.bus.add_group(Group(f"@{name}"))
    return client


def box(client: Client, agent: str) -> list[Any]:
    """What lies in a mailbox."""
    with client.bus.subscribe(f"@{agent}") as mailbox:
        return heard(mailbox)


# -- whom --------------------------------------------------------------------------------------


def test_a_message_goes_to_whom_its_text_concerns(town: Client) -> None:
    """By interests or capabilities; the body is another thing than the text."""
    routed = town.bus.route(CHARGE, {"order": 17})
    town.bus.route("track my parcel", "where?", priority="critical", kind="question")

    (sent,) = routed.sent
    assert (sent.to, sent.receivers, sent.shed, routed.fallback) == ("ann", 1, False, False)
    assert sent.score == routed.decision.score
    assert box(town, "ann") == [{"order": 17}]
    assert box(town, "bob") == []
    with town.bus.subscribe("@cas") as mailbox:
        delivery = mailbox.receive(10)
    assert delivery is not None
    message = delivery.message
    assert (message.body, message.priority, message.kind) == ("where?", "critical", "question")


def test_the_result_says_why(town: Client) -> None:
    """Near which phrase, how near, and how near was asked for; and who was passed over."""
    town.breakers.open("agent:ann", why="drill")

    routed = town.bus.route(CHARGE, 1)

    assert routed.sent[0].to == "bob"
    told = routed.explain()
    assert 'near "a charge on a card", at least 0.2 is asked for' in told[0]
    assert told[-1] == "ann was passed over: its breaker, agent:ann, is open"
    assert routed.to_json()["passed"] == dict(routed.passed)
    assert routed.to_json()["sent"][0]["to"] == "bob"


def test_several_can_be_sent_to(town: Client) -> None:
    """The nearest first, each with a message of its own, and none that is not near enough."""
    routed = town.bus.route(CHARGE, "look", top=5)

    assert [one.to for one in routed.sent] == ["ann", "bob"]
    assert len({one.id for one in routed.sent}) == 2
    assert (box(town, "ann"), box(town, "bob"), box(town, "cas")) == (["look"], ["look"], [])


def test_nobody_is_sent_to_twice_and_all_who_are_hidden_are_found(town: Client) -> None:
    """A decision names sixteen; when these may not be sent to, the next are looked at."""
    for number in range(40):
        town.agents.register(f"c{number:02}", interests="Wrong charges on a card")
        town.bus.add_group(Group(f"@c{number:02}"))
        if number < 38:
            town.breakers.open(f"agent:c{number:02}")
    town.breakers.open("agent:ann")

    routed = town.bus.route("Wrong charges on a card", 1, top=3, threshold=0.9)

    assert [one.to for one in routed.sent] == ["c38", "c39"]
    assert len(routed.passed) == 39


def test_a_sender_is_not_sent_its_own_message(town: Client) -> None:
    """Whoever says what another should do does not mean itself."""
    assert town.bus.route(CHARGE, 1, sender="ann").sent[0].to == "bob"


def test_a_stand_in_hears_for_who_is_away(town: Client) -> None:
    """The message lies in the mailbox of who is away, which the other reads."""
    town.agents.leave("ann")
    assert town.bus.route(CHARGE, 1).sent[0].to == "bob"
    town.agents.stand_in("ann", "desk")

    (sent,) = town.bus.route(CHARGE, 2).sent

    assert sent.to == "ann"
    assert sent.reasons[-1] == "it is away, and desk stands in for it"


def test_who_is_on_trial_counts_half(town: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a recommendation: it is sent to when nobody else is half as near."""
    states = dict.fromkeys(("agent:ann",), "half-open")

    def told(names: Any) -> Any:
        yield from ()
        return {name: states.get(name, "closed") for name in names}

    monkeypatch.setattr("coordq.client.breaker_plans.states", told)

    assert town.bus.route(CHARGE, 1).sent[0].to == "bob"
    town.agents.leave("bob")
    (sent,) = town.bus.route(CHARGE, 1).sent
    assert sent.to == "ann"
    assert "on trial" in sent.reasons[-1]


def test_routes_by_hand_name_agents_and_topics(town: Client) -> None:
    """A declared topic is published to; who reads it is given the message."""
    town.routing.use(routes={"choir.songs": ["sing a song"], "desk": ["lost and found"]})
    assert town.bus.route("a song to sing", 0, fallback="desk").fallback, "nobody reads it yet"

    with town.bus.subscribe("choir.*") as choir:
        assert town.bus.route("a song to sing", 1).sent[0].to == "choir.songs"
        assert heard(choir) == [1]
    town.bus.route("I have lost my hat, was it found", 2)
    assert box(town, "desk") == [0, 2]


# -- nobody ------------------------------------------------------------------------------------


def test_what_concerns_nobody_goes_to_the_fallback(town: Client) -> None:
    """Of the call, else of the router: an agent, or a topic."""
    town.bus.route("sing a song", 1, fallback="desk")
    town.routing.use(fallback="desk")
    routed = town.bus.route("sing a song", 2)
    with town.bus.subscribe("lost.found") as lost:
        town.bus.route("sing a song", 3, fallback="lost.found")
        assert heard(lost) == [3]

    assert routed.fallback
    assert (routed.sent[0].to, routed.sent[0].score) == ("desk", None)
    assert routed.explain() == ["desk: nobody is near enough, and this is the fall-back"]
    assert box(town, "desk") == [1, 2]


def test_without_a_fallback_it_is_said_who_is_nearest(town: Client) -> None:
    """Nothing is sent, and the error has what a program needs."""
    with pytest.raises(NoRoute, match="Nobody is near enough") as caught:
        town.bus.route("sing a song", 1)

    assert (caught.value.code, caught.value.exit_code) == ("no-route", 3)
    assert caught.value.passed == {}
    with pytest.raises(NoRoute, match="ann is nearest") as caught:
        town.bus.route(CHARGE, 1, threshold=0.99)
    assert caught.value.nearest == "ann"
    with pytest.raises(NoRoute, match=r"Nor does anybody read no\.body"):
        town.bus.route("sing a song", 1, fallback="no.body")


def test_nobody_is_near_where_nobody_says_anything(client: Client) -> None:
    """An empty registry is no error of its own."""
    with pytest.raises(NoRoute, match="No agent says"):
        client.bus.route(CHARGE, 1)


def test_open_breakers_leave_nobody(town: Client) -> None:
    """The error names the first, and why; a fall-back takes it."""
    for name in ("ann", "bob"):
        town.breakers.open(f"agent:{name}")

    with pytest.raises(NoRoute, match="ann, because its breaker") as caught:
        town.bus.route(CHARGE, 1)

    assert set(caught.value.passed) == {"ann", "bob"}
    routed = town.bus.route(CHARGE, 1, fallback="desk")
    assert "who is near enough can be sent to" in routed.explain()[0]


def test_who_may_not_be_talked_to_is_passed_over(town: Client) -> None:
    """The next is sent to; when the topology leaves nobody, the error says so."""
    town.topology.set("star", ["ann", "bob", "cas", "desk"], hub="bob")

    routed = town.bus.route(CHARGE, 1, sender="cas")
    assert routed.sent[0].to == "bob"
    assert "in this star" in routed.passed["ann"]
    town.topology.set("star", ["ann", "bob", "cas", "desk"], hub="desk")
    town.topology.view(max_age=0)
    with pytest.raises(NotConnected, match="cas may not talk to ann"):
        town.bus.route(CHARGE, 1, sender="cas")
    assert town.bus.route(CHARGE, 2, sender="cas", fallback="desk").fallback
    assert town.bus.route(CHARGE, 3).sent[0].to == "ann", "who is no agent may always send"
    assert box(town, "ann") == [3]
    with town.bus.subscribe("@desk") as mailbox:
        delivery = mailbox.receive(10)
    assert delivery is not None
    assert delivery.message.arranged == 2, "it tells by which version it was allowed"


def test_who_has_no_room_is_passed_over(town: Client) -> None:
    """The next is sent to at once; when nobody has room, that is what is said."""
    for name in ("ann", "bob"):
        town.bus.bound(f"@{name}", entries=1, max_bytes=1000)
    town.bus.send("ann", 0)

    routed = town.bus.route(CHARGE, 1, when_full="refuse")

    assert routed.sent[0].to == "bob"
    assert "acknowledged" in routed.passed["ann"]
    with pytest.raises(ChannelFull):
        town.bus.route(CHARGE, 2, when_full="refuse")
    assert town.bus.route(CHARGE, 3, when_full="refuse", fallback="desk").fallback
    assert town.bus.route(CHARGE, 4, when_full="shed").sent[0].shed


def test_who_is_forgotten_meanwhile_is_passed_over(
    town: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client knows of the registry may be a second old."""
    town.bus.route(CHARGE, 1)
    monkeypatch.setattr(guide, "FRESH_S", 3600.0)
    with coordq.connect(url) as other:
        other.agents.leave("ann", forget=True)
        other.bus.unsubscribe("@ann")

    routed = town.bus.route(CHARGE, 2)

    assert routed.sent[0].to == "bob"
    assert routed.passed == {"ann": "it has no mailbox"}


# -- the other door, and what cannot be -----------------------------------------------------------


@pytest.mark.usefixtures("town")
async def test_the_async_door_does_the_same(town: Client, url: str) -> None:
    """On the same plans; also with an embedder that takes its time."""
    async with coordq.connect_async(url) as client:
        routed = await client.bus.route(CHARGE, "hello", top=2, sender="bob")
        assert [one.to for one in routed.sent] == ["ann"]
        with pytest.raises(NoRoute):
            await client.bus.route("sing a song", 1)
        await client.routing.use(embedder=lambda texts: [[1.0, 0.5] for _ in texts], threshold=0.9)
        assert len((await client.bus.route("anything", "hello", top=16)).sent) == 3

    assert box(town, "ann") == ["hello", "hello"]


CASES: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("invalid-arguments", "not a int", (17, 1), {}),
    ("invalid-arguments", "is empty", (" ", 1), {}),
    ("payload-too-large", "too long", ("x" * 20_000, 1), {}),
    ("invalid-message", "JSON", (CHARGE, {1, 2}), {}),
    ("payload-too-large", "1,048,576|limit|bytes", (CHARGE, "x" * 2_000_000), {}),
    ("invalid-option", "from 1 to 16", (CHARGE, 1), {"top": 0}),
    ("invalid-option", "from 1 to 16", (CHARGE, 1), {"top": 17}),
    ("invalid-option", "from 1 to 16", (CHARGE, 1), {"top": True}),
    ("invalid-routes", "from -1 to 1", (CHARGE, 1), {"threshold": 2}),
    ("invalid-routes", "from -1 to 1", (CHARGE, 1), {"threshold": "near"}),
    ("invalid-name", "no name", (CHARGE, 1), {"fallback": "no name"}),
    ("invalid-name", "agent name", (CHARGE, 1), {"fallback": ""}),
    ("invalid-name", "agent name", (CHARGE, 1), {"fallback": "*"}),
    ("invalid-topic", "two", (CHARGE, 1), {"fallback": "two..dots"}),
    ("invalid-option", "when_full", (CHARGE, 1), {"when_full": "drop"}),
    ("invalid-time", "timeout", (CHARGE, 1), {"timeout": -1}),
    ("invalid-message", "give none", (CHARGE, 1), {"id": coordq.new_id()}),
    ("invalid-message", "has no 'color'", (CHARGE, 1), {"color": "red"}),
    ("invalid-message", "high", (CHARGE, 1), {"priority": "high"}),
]


@pytest.mark.parametrize(
    ("code", "words", "args", "options"), CASES, ids=[str(n) for n in range(len(CASES))]
)
def test_what_cannot_be_sent_is_refused_before_anybody_is_asked(
    town: Client, code: str, words: str, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """With a code and a sentence; nothing lies anywhere."""
    with pytest.raises(CoordqError, match=words) as caught:
        town.bus.route(*args, **options)

    assert caught.value.code == code
    assert town.bus.channels() == []
