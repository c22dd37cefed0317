"""What is remembered: never another outcome for the same text, and an honest count of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordq.fleet.semantic.cache import Caching, upper
from coordq.fleet.semantic.labelled import held_out
from coordq.fleet.semantic.router import Router
from coordq.fleet.semantic.trial import judge_stream

ROUTES = {
    "billing": ["invoices and payments", "refund a charge"],
    "shipping": ["where is my parcel", "delivery of an order"],
}
WORDS = ["refund", "charge", "invoice", "parcel", "not", "17", "71", "enable", "disable"]
requests = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=60)
@given(st.lists(requests, min_size=1, max_size=30), st.integers(0, 5))
def test_remembering_the_same_text_changes_no_outcome(texts: list[str], size: int) -> None:
    """Whatever came before, and however little room there is."""
    router = Router(ROUTES, fallback="desk", caching=Caching(size=size, similarity=1.5))

    for text in texts:
        found, fresh = router.route(text), router.route(text, fresh=True)

        assert (found.routes, found.rule, found.candidates) == (
            fresh.routes,
            fresh.rule,
            fresh.candidates,
        )
    assert router.report().entries <= size


@settings(max_examples=60)
@given(st.lists(requests, min_size=1, max_size=30))
def test_an_exact_hit_is_the_decision_that_was_taken(texts: list[str]) -> None:
    """With similar texts in the cache too: what a similar one got is never kept for the text."""
    router = Router(ROUTES, fallback="desk", caching=Caching(similarity=0.6, margin=0))

    for text in texts:
        found = router.route(text)

        if found.cached == "exact":
            assert found.routes == router.route(text, fresh=True).routes


@given(st.lists(requests, min_size=1, max_size=20))
def test_the_same_stream_gets_the_same_decisions(texts: list[str]) -> None:
    """Nothing is left to chance, not even which hits are checked."""
    caching = Caching(size=4, similarity=0.7, check_every=2)
    one, other = (Router(ROUTES, fallback="desk", caching=caching) for _ in range(2))

    assert [one.route(text) for text in texts] == [other.route(text) for text in texts]
    assert one.report() == other.report()


def test_a_text_close_by_gets_what_the_first_got() -> None:
    """And says so, with how close it lay."""
    router = Router(ROUTES, caching=Caching(check_every=0))
    first = router.route("please refund the charge on my invoice")

    found = router.route("Please, refund the charge on my invoice!")

    assert (found.cached, found.route) == ("similar", first.route)
    assert found.similarity is not None
    assert found.similarity >= 0.85
    assert "similarity" in found.explain()[-2]
    assert router.route("please refund the charge on my invoice").cached == "exact"
    report = router.report()
    assert (report.exact, report.similar, report.misses, report.hit_rate) == (1, 1, 1, 2 / 3)


@pytest.mark.parametrize(
    ("guard", "one", "other"),
    [
        ("numbers", "refund the charge of invoice 17", "refund the charge of invoice 71"),
        ("negation", "refund the charge of the invoice", "do not refund the charge of the invoice"),
        ("opposites", "enable the charge for this order", "disable the charge for this order"),
    ],
)
def test_a_guard_keeps_close_texts_apart(guard: str, one: str, other: str) -> None:
    """They lie close enough; without the guard the second were a hit."""
    guarded = Router(ROUTES, caching=Caching(similarity=0.6, margin=0))
    bare = Router(ROUTES, caching=Caching(similarity=0.6, margin=0, guards=(), check_every=0))
    for router in (guarded, bare):
        router.route(one)

    assert guarded.route(other).cached == "no"
    assert guarded.report().guarded == {guard: 1}
    assert bare.route(other).cached == "similar"


def test_a_close_call_counts_for_its_own_text_only() -> None:
    """A text a little different may well fall to the other side."""
    routes = {"a": ["refund the order"], "b": ["refund the parcel"]}
    router = Router(routes, caching=Caching(margin=0.05))
    router.route("refund the order and the parcel today")

    assert router.route("refund the order and the parcel today, thanks").cached == "no"
    assert router.report().guarded == {"margin": 1}
    assert router.route("Refund the order, and the parcel, today!").cached == "similar"


def test_the_nearer_a_text_the_less_clear_a_decision_must_have_been() -> None:
    """What two texts do not share may lie anywhere; there is less of it when they are near."""
    caching = Caching(margin=0.15)

    needed = [caching.needed(similarity) for similarity in (0.85, 0.95, 0.99, 1.0)]

    assert needed == pytest.approx([0.15, 0.0889, 0.0402, 0.0], abs=1e-4)
    assert Caching(margin=0.15, similarity=0.5).needed(0.5) > 0.15


@pytest.mark.parametrize("size", [1, 8])
def test_every_so_many_hits_are_checked_and_put_right(size: int) -> None:
    """The rate that is reported was measured, and an entry that misleads is not kept."""
    routes = {"a": ["alpha beta gamma delta"], "b": ["alpha beta gamma omega"]}
    caching = Caching(size=size, similarity=0.5, margin=0, check_every=1)
    router = Router(routes, caching=caching)
    assert router.route("alpha beta gamma delta").route == "a"

    found = router.route("alpha beta gamma omega")

    assert (found.route, found.cached) == ("b", "no")
    report = router.report()
    assert (report.checked, report.wrong, report.false_rate) == (1, 1, 1.0)
    assert router.report().entries == 1
    assert router.route("alpha beta gamma delta").cached == "no"


def test_rates_that_nobody_measured_are_not_zero() -> None:
    """None says that nothing is known."""
    report = Router(ROUTES).report()

    assert (report.hit_rate, report.false_rate, report.false_rate_at_most) == (None, None, None)


def test_few_checks_prove_little() -> None:
    """None wrong of ten may still be a quarter; of a thousand it is not."""
    assert upper(0, 10) == pytest.approx(0.278, abs=0.001)
    assert upper(0, 1000) == pytest.approx(0.0038, abs=0.0001)
    assert upper(1000, 1000) == 1.0


def test_what_was_used_last_stays() -> None:
    """The cache is bounded, and forgets what nobody asks for."""
    router = Router(ROUTES, caching=Caching(size=2, similarity=1.5))
    for text in ("one", "two", "one", "three"):
        router.route(text)

    assert [router.route(text).cached for text in ("one", "three")] == ["exact", "exact"]
    assert router.report().entries == 2
    assert router.route("two").cached == "no"


def test_other_routes_make_what_was_remembered_void() -> None:
    """The counts go on."""
    router = Router(ROUTES)
    router.route("refund the charge")
    router.update({**ROUTES, "refunds": ["refund the charge now"]}, 1)

    assert router.route("refund the charge").cached == "no"
    assert router.report().misses == 2


@pytest.mark.parametrize("embedder", ["lexical", "wordllama"])
def test_much_of_a_stream_is_remembered_and_hardly_a_hit_is_wrong(embedder: str) -> None:
    """By texts that nothing was tuned by, at 0.85. The bench has the figures."""
    if embedder == "wordllama":
        pytest.importorskip("tokenizers")
    held = held_out()
    caching = Caching(check_every=0)
    router = Router(held.file.routes, embedder=embedder, fallback="desk", caching=caching)

    verdict = judge_stream(router, held.stream(1500, seed=7))

    assert verdict.hit_rate > 0.4
    assert 0.2 < verdict.reworded_hit_rate < verdict.hit_rate
    assert verdict.false_rate < 0.02
