"""Where texts belong: rules, reasons, and routes that change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.embedder import Called
from coordq.fleet.semantic.lexical import Lexical
from coordq.fleet.semantic.router import Router

ROUTES = {
    "billing": ["invoices and payments", "refund a charge"],
    "shipping": ["where is my parcel", "delivery of an order"],
    "legal": {"texts": ["review a contract"], "threshold": 0.9},
}
WORDS = ["refund", "charge", "invoice", "parcel", "order", "review", "the", "not", "17", "where"]

requests = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
described = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.lists(requests, min_size=1, max_size=3), max_size=4
)


class Counting(Lexical):
    """An embedder that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(256)
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        return super().embed(texts)


def test_the_nearest_route_takes_a_text() -> None:
    """The ordinary case, with what led to it."""
    decision = Router(ROUTES).route("please refund the charge on my card")

    assert (decision.route, decision.rule, decision.cached) == ("billing", "nearest", "no")
    best = decision.candidates[0]
    assert (best.route, best.phrase) == ("billing", "refund a charge")
    assert decision.score == best.score > best.threshold
    assert decision.margin == pytest.approx(best.score - decision.candidates[1].score)


def test_a_route_s_own_words_are_its_own() -> None:
    """Word for word, however written, and however high its threshold."""
    decision = Router(ROUTES).route("  Review a CONTRACT ")

    assert (decision.route, decision.rule, decision.score) == ("legal", "phrase", 1.0)


def test_a_route_may_want_texts_to_be_nearer_than_others_do() -> None:
    """Its own threshold counts for it, and the second gets the text that it does not take."""
    router = Router({**ROUTES, "office": ["the papers of a contract are somewhere"]})

    decision = router.route("contract")

    assert decision.candidates[0].route == "legal"
    assert not decision.candidates[0].near
    assert decision.route == "office"


def test_what_nobody_is_near_goes_to_the_fallback() -> None:
    """Or to nobody, when there is none; both say so."""
    text = "sing a song"

    decision = Router(ROUTES, fallback="desk").route(text)
    assert (decision.route, decision.routes, decision.rule) == ("desk", ("desk",), "fallback")
    decision = Router(ROUTES).route(text)
    assert (decision.route, decision.routes, decision.rule) == (None, (), "none")
    assert Router().route(text).score == 0.0


def test_as_many_are_named_as_were_asked_for() -> None:
    """Best first, and only those that are near enough."""
    router = Router({name: ["refund the order"] for name in "abcd"} | {"z": ["a song"]})

    assert router.route("refund my order").routes == ("a",)
    assert router.route("refund my order", top=3).routes == ("a", "b", "c")
    assert router.route("refund my order", top=16).routes == ("a", "b", "c", "d")


def test_only_some_routes_may_be_looked_at() -> None:
    """Such as agents that have the right role; nothing of that is remembered."""
    router = Router(ROUTES, fallback="desk")
    text = "refund the charge"

    assert router.route(text, among={"shipping"}).route == "desk"
    assert router.route(text, among=[]).rule == "fallback"
    assert router.route(text).cached == "no"


def test_a_decision_explains_itself() -> None:
    """Who, by which rule, near what, who was second and why not."""
    lines = Router({**ROUTES, "returns": ["refund or return"]}).route("refund the charge").explain()

    assert lines[0] == "billing: it is nearest, and near enough"
    assert any(line.startswith("returns 0.") and line.endswith("behind") for line in lines)
    assert any(line.startswith("legal 0.") and line.endswith("below 0.9") for line in lines)
    assert lines[-1] == "scores are by lexical, routes at version 0"


def test_a_decision_is_json() -> None:
    """For programs; it can be read back."""
    told = Router(ROUTES).route("where is the parcel").to_json()

    assert json.loads(json.dumps(told)) == told
    assert (told["route"], told["cached"], told["similarity"]) == ("shipping", "no", None)


# -- routes that change ----------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(described, max_size=5), requests)
def test_a_router_that_was_updated_decides_like_a_new_one(
    history: list[dict[str, list[str]]], text: str
) -> None:
    """Whatever it held before, and whatever it remembers of that."""
    router = Router(fallback="desk")
    for version, routes in enumerate(history, 1):
        router.update(routes, version)
        router.route(text)
    last = history[-1] if history else {}

    found = router.route(text)
    new = Router(last, fallback="desk", version=len(history)).route(text)
    assert found.candidates == new.candidates
    assert (found.routes, found.rule) == (new.routes, new.rule)


def test_only_what_changed_is_embedded() -> None:
    """A thousand agents of whom one moved cost one."""
    embedder = Counting()
    router = Router(ROUTES, embedder=embedder)
    embedder.asked.clear()

    router.update({**ROUTES, "legal": ["sue somebody"], "new": ["be new"]}, 1)

    assert sorted(embedder.asked) == ["be new", "sue somebody"]
    assert router.version == 1
    assert router.route("sue").route == "legal"


def test_a_version_that_is_there_is_not_looked_at() -> None:
    """Asking for news costs nothing when there are none."""
    router = Router(ROUTES, version=7)

    assert router.update({"other": ["words"]}, 7) is False
    assert set(router.routes) == set(ROUTES)
    assert router.update(ROUTES, 8) is False
    assert router.version == 8


def test_routes_come_and_go_one_by_one() -> None:
    """With what was remembered of them."""
    router = Router(ROUTES)
    assert router.route("sing a song").route is None

    router.put("choir", ["sing songs"])
    assert (router.route("sing a song").route, len(router)) == ("choir", 4)
    assert router.drop("choir")
    assert router.drop("choir") is False
    assert (router.route("sing a song").route, len(router)) == (None, 3)


def test_a_change_that_fails_changes_nothing() -> None:
    """An embedder that breaks in the middle leaves the routes of before."""
    broken = [False]

    def function(texts: Sequence[str]) -> Any:
        if broken[0]:
            raise ConnectionError("the service is away")
        return Lexical(32).embed(texts)

    router = Router(ROUTES, embedder=Called(function, name="mine", threshold=0.2))
    broken[0] = True
    with pytest.raises(ConnectionError):
        router.update({"other": ["words"]}, 9)
    broken[0] = False

    assert (set(router.routes), router.version) == (set(ROUTES), 0)
    assert router.route("refund a charge please").route == "billing"


def test_threads_share_a_router() -> None:
    """Routes change while others ask; each decision is that of one version."""
    router = Router(ROUTES, caching=Caching(size=8))
    wrong: list[object] = []

    def ask() -> None:
        for number in range(200):
            decision = router.route(f"refund charge {number}")
            if decision.route != ("billing" if decision.version % 2 == 0 else "payments"):
                wrong.append(decision)

    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(1, 41):
        name = "billing" if version % 2 == 0 else "payments"
        router.update({name: ROUTES["billing"], "legal": ["review"]}, version)
    for thread in threads:
        thread.join()

    assert wrong == []


def test_an_embedder_that_takes_its_time_holds_nobody_up() -> None:
    """While new routes are embedded, texts go where they went before."""
    asked, answer = Event(), Event()

    def function(texts: Sequence[str]) -> Any:
        if "sing songs" in texts:
            asked.set()
            assert answer.wait(60)
        return Lexical().embed(texts)

    router = Router(ROUTES, embedder=Called(function, threshold=0.2))
    change = Thread(target=router.put, args=("choir", ["sing songs"]))
    change.start()
    assert asked.wait(60)

    assert router.route("refund a charge please").route == "billing"
    assert "choir" not in router.routes
    answer.set()
    change.join()
    assert router.route("sing a song").route == "choir"
