"""Chapter 34. Routing by meaning: to whom a text belongs, why, and how often that is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import coordq
from coordq import Caching, Client
from coordq.errors import InvalidRoutes, NoRoute
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

ann = Agent("ann", interests="Refunds and invoices. Wrong charges on a card")
bob = Agent("bob", capabilities=["parcel-tracking"], persona={"domain": "late deliveries"})


@ann.task
async def refund(order: str) -> str:
    return order


@ann.on()
async def hear(body: dict[str, int]) -> None:
    assert body["order"] == 17


@bob.task
async def track(parcel: str) -> str:
    return parcel
"""
pytestmark = pytest.mark.usefixtures("worker", "here")


@pytest.fixture
def here(client: Client) -> None:
    """Both agents have been heard of: a client looks at the registry once a second."""
    wait_until(lambda: {"ann", "bob"} <= set(client.routing.routes()))


def test_a_text_finds_the_agent_whose_words_lie_near(client: Client) -> None:
    """What an agent says it is interested in, and what it can do."""
    assert client.routing.route("there is a wrong charge on my card").route == "ann"
    assert client.routing.route("my delivery is late").route == "bob"


def test_a_decision_says_why(client: Client) -> None:
    """By which rule, near which phrase, who was second."""
    decision = client.routing.route("a wrong charge for the delivery")

    assert decision.rule == "nearest"
    assert [one.route for one in decision.candidates] == ["ann", "bob"]
    assert decision.candidates[0].phrase == "Wrong charges on a card"
    assert decision.margin > 0
    assert decision.explain()[0] == "ann: it is nearest, and near enough"


def test_what_concerns_nobody_goes_to_the_fallback(client: Client) -> None:
    """Or to nobody, unless you name one."""
    assert client.routing.route("sing a song").route is None

    client.routing.use(fallback="desk")

    assert client.routing.route("sing a song").route == "desk"


def test_routes_to_topics_and_tasks_are_declared_by_hand(client: Client, tmp_path: Path) -> None:
    """In code or in a file, beside the agents."""
    file = tmp_path / "routes.yaml"
    file.write_text("routes: {choir.songs: [sing a song, rehearsals of the choir]}")
    client.routing.use(file=file, routes={"bake": ["bread and cake"]})

    assert client.routing.route("when does the choir sing").route == "choir.songs"
    assert client.routing.route("a cake for Sunday").route == "bake"
    assert client.routing.route("refund the invoice").route == "ann"


def test_the_default_knows_spelling_and_no_meaning(client: Client) -> None:
    """It says so in each explanation; a model, or a function of yours, may know more."""
    assert client.routing.route("my money back").route is None

    def embed(texts: Sequence[str]) -> list[list[float]]:
        money = ("refund", "charge", "money")
        return [[float(any(word in text.lower() for word in money)), 0.1] for text in texts]

    client.routing.use(embedder=embed, threshold=0.9)

    assert client.routing.route("my money back").route == "ann"


def test_decisions_are_remembered_and_guesses_counted(client: Client) -> None:
    """The same text gets the same; a similar one when numbers, names and negation agree."""
    client.routing.use(caching=Caching(similarity=0.85, check_every=10))
    first = "please refund the wrong charge on my card"

    told = [client.routing.route(text).cached for text in (first, first, f"Hello, {first}!")]
    other = client.routing.route("please refund the wrong charge on my card 17").cached

    assert told == ["no", "exact", "similar"]
    assert other == "no"
    report = client.routing.report()
    assert (report.exact, report.similar, report.guarded) == (1, 1, {"numbers": 1})
    assert report.false_rate == 0.0


def test_a_message_is_sent_to_whom_it_concerns(client: Client) -> None:
    """The text says what it is about; the nearest agent hears the body in its mailbox."""
    routed = client.bus.route("there is a wrong charge on my card", {"order": 17})

    assert [one.to for one in routed.sent] == ["ann"]
    assert "Wrong charges on a card" in routed.explain()[0]
    wait_until(lambda: client.bus.group("@ann").figures["handled"] == 1)


def test_what_nobody_can_be_sent_goes_to_the_fallback(client: Client) -> None:
    """An agent or a topic; without one it is an error, and nothing was sent."""
    with pytest.raises(NoRoute) as caught:
        client.bus.route("sing a song", {"verse": 1})
    assert caught.value.passed == {}

    with client.bus.subscribe("lost.found") as lost:
        routed = client.bus.route("sing a song", {"verse": 1}, fallback="lost.found")
        delivery = lost.receive(60)

    assert (routed.fallback, routed.sent[0].to) == (True, "lost.found")
    assert delivery is not None


def test_who_fails_or_may_not_be_talked_to_is_passed_over(client: Client, url: str) -> None:
    """With the reason: an open breaker, the topology, a full mailbox, away without a stand-in."""
    client.breakers.open("agent:ann", why="drill")

    with client.bus.subscribe("lost.found"), coordq.connect(url) as other:  # heard nothing before
        routed = other.bus.route("a wrong charge on my card", {"order": 1}, fallback="lost.found")

    assert routed.passed == {"ann": "its breaker, agent:ann, is open"}
    client.breakers.reset("agent:ann")


def test_the_shell_sends_to_whom_it_concerns(shell: Shell, client: Client) -> None:
    """The id and the name, then the reasons; what is not said otherwise is the text itself."""
    with client.bus.subscribe("lost.found"):
        told = shell("bus", "publish", "--nearest", "sing", "--fallback", "lost.found")

    assert told.split()[1] == "lost.found"
    assert "nobody is near enough" in told


def test_the_shell_explains_tests_and_calibrates(shell: Shell, tmp_path: Path) -> None:
    """Label some texts of yours, and see how many go where they belong."""
    labelled = tmp_path / "labelled.yaml"
    labelled.write_text(
        "asks:\n"
        "  ann: [refund the invoice, a wrong charge]\n"
        "  bob: [[the parcel is late, a late delivery]]\n"
        "nowhere: [sing a song]\n"
    )

    assert "ann: it is nearest" in shell("route", "a wrong charge", "--explain")
    assert "right" in shell("route", "test", str(labelled))
    assert "threshold" in shell("route", "calibrate", str(labelled))


def test_a_router_works_without_a_redis() -> None:
    """For your own tests, and for routes that are nobody's agents."""
    router = coordq.Router({"a": ["green apples"], "b": ["blue berries"]}, fallback="nobody")

    assert router.route("the green ones").route == "a"
    with pytest.raises(InvalidRoutes):
        coordq.Router({"a": []})
