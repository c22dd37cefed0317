"""The labelled set, what is judged by it, and thresholds that are taken from it."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.calibrate import similarity_for, threshold_for
from coordq.fleet.semantic.embedder import available
from coordq.fleet.semantic.labelled import (
    ASKS,
    HARD,
    NOWHERE,
    held_out,
    read_labelled,
    shipped,
    unknown,
)
from coordq.fleet.semantic.router import Router
from coordq.fleet.semantic.trial import judge, judge_stream
from coordq.fleet.semantic.words import folded


def test_the_shipped_set_is_what_is_said_of_it() -> None:
    """Size, kinds, no text twice, and no text that a route says of itself."""
    labelled = shipped()
    texts = [folded(one.text) for one in labelled.texts]
    said = {folded(text) for route in labelled.file.routes.values() for text in route.texts}
    kinds = Counter(one.kind for one in labelled.texts)

    assert (len(texts), len(labelled.file.routes)) == (375, 25)
    assert kinds == {ASKS: 301, HARD: 50, NOWHERE: 24}
    assert len(set(texts)) == len(texts)
    assert not said & set(texts)
    assert unknown(labelled, set(labelled.file.routes)) is None


def test_what_is_judged_by_was_not_tuned_by() -> None:
    """Every route has two requests, each in four wordings, and one hard text; none is known."""
    held, tuned = held_out(), shipped()
    texts = {folded(one.text) for one in held.texts}
    asks = Counter((one.route, one.ask) for one in held.texts if one.kind == ASKS)
    said = {folded(text) for route in tuned.file.routes.values() for text in route.texts}

    assert len(texts) == len(held.texts) == 237
    assert Counter(asks.values()) == {4: 50}
    assert Counter(route for route, _ in asks) == dict.fromkeys(tuned.file.routes, 2)
    assert Counter(one.kind for one in held.texts)[HARD] == 25
    assert not texts & (said | {folded(one.text) for one in tuned.texts})


def test_wordings_come_once_each() -> None:
    """So that no hit is owed to a text that is repeated, or greeted differently."""
    held = held_out()
    texts = [one.text for one in held.wordings(seed=1)]

    assert len(set(texts)) == len(texts) == 200
    assert texts != [one.text for one in held.wordings(seed=2)]


def test_a_stream_verdict_tells_paraphrases_from_the_rest(tmp_path: Path) -> None:
    """A repeated text is a hit, and says nothing of how well other words are known."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "routes: {pay: [pay a bill], ship: [send a parcel]}\n"
        "asks: {pay: [[pay the bill, the bill I pay, settle what we owe]], ship: [send it]}\n"
    )
    labelled = read_labelled(path)
    one, other, owe, ship = labelled.texts
    caching = Caching(similarity=0.6, margin=0, check_every=0)
    router = Router(labelled.file.routes, caching=caching)

    verdict = judge_stream(router, [one, one, other, owe, ship])

    assert (verdict.texts, verdict.new, verdict.hits) == (5, 4, 2)
    assert (verdict.reworded, verdict.reworded_hits, verdict.reworded_hit_rate) == (2, 1, 0.5)


@pytest.mark.parametrize("embedder", available())
def test_embedders_are_as_good_as_is_said_of_them(embedder: str) -> None:
    """The README's figures, with room for other releases of the model."""
    labelled = shipped()
    verdict = judge(Router(labelled.file.routes, embedder=embedder), labelled.texts)

    least = {"lexical": 0.70, "wordllama": 0.80}[embedder]
    assert verdict.accuracy > least
    assert verdict.right + len(verdict.misses) == verdict.texts == 375
    assert verdict.wrong <= verdict.taken
    assert verdict.by_kind[HARD] < 0.5, "they would not be hard"
    held = held_out()
    unseen = judge(Router(held.file.routes, embedder=embedder), held.texts)
    assert unseen.accuracy > {"lexical": 0.28, "wordllama": 0.48}[embedder]


def test_a_verdict_names_what_went_wrong(tmp_path: Path) -> None:
    """So that somebody can add a phrase."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "routes: {pay: [pay a bill], ship: [send a parcel]}\n"
        "asks: {pay: [[pay the bill, the bill I pay]], ship: [pay for a parcel bill]}\n"
        "nowhere: [sing]\n"
    )
    labelled = read_labelled(path)

    verdict = judge(Router(labelled.file.routes), labelled.texts)

    assert (verdict.texts, verdict.right, verdict.taken, verdict.wrong) == (4, 3, 3, 1)
    (miss,) = verdict.misses
    assert (miss.text, miss.wanted, miss.got) == ("pay for a parcel bill", "ship", "pay")
    assert verdict.false_rate == pytest.approx(1 / 3)


def test_a_stream_is_the_same_for_a_seed_and_few_are_asked_often() -> None:
    """Figures that were taken by it can be taken again."""
    stream = list(shipped().stream(2000, seed=3))

    assert stream == list(shipped().stream(2000, seed=3))
    assert stream != list(shipped().stream(2000, seed=4))
    asked = Counter(one.ask for one in stream)
    assert asked.most_common(1)[0][1] > 10 * min(asked.values())
    assert len({one.text for one in stream}) > 1000


# -- thresholds ------------------------------------------------------------------------------------


@given(st.sampled_from([0.0, 0.01, 0.05, 0.2]))
def test_a_threshold_keeps_to_its_target(false_rate: float) -> None:
    """On the texts that it was taken from; what it does to others is for others to say."""
    labelled = shipped()
    router = Router(labelled.file.routes)
    found = threshold_for(router, labelled.texts, false_rate=false_rate)
    assert found.threshold is not None

    strict = Router(labelled.file.routes, threshold=found.threshold)
    verdict = judge(strict, labelled.texts)

    assert verdict.false_rate == found.false_rate <= false_rate
    assert (verdict.taken, verdict.wrong) == (found.taken, found.wrong)
    assert found.false_rate_at_most is not None
    assert found.false_rate_at_most > found.false_rate


def test_more_may_be_wrong_so_more_is_taken() -> None:
    """Whoever allows more gets a lower threshold."""
    labelled = shipped()
    router = Router(labelled.file.routes)
    found = [threshold_for(router, labelled.texts, false_rate=rate) for rate in (0.0, 0.05, 0.2)]

    assert [one.taken for one in found] == sorted(one.taken for one in found)
    assert [one.threshold for one in found] == sorted(
        (one.threshold for one in found if one.threshold is not None), reverse=True
    )


def test_pairs_that_a_guard_keeps_apart_cannot_be_wrong() -> None:
    """Guards and threshold work together, so they are measured together."""
    pairs = [
        ("enable the alarm of gate 4", "disable the alarm of gate 4", False),
        ("refund order 17 to my card", "refund order 71 to my card", False),
        ("where is the parcel", "where is my parcel", True),
    ]

    guarded = similarity_for(pairs, false_rate=0)
    bare = similarity_for(pairs, false_rate=0, guards=())

    assert (guarded.taken, guarded.wrong, guarded.considered) == (1, 0, 3)
    assert guarded.threshold is not None
    assert bare.threshold is None or bare.threshold > 0.9


def test_no_threshold_is_an_answer_too() -> None:
    """When the nearest of all is wrong already."""
    found = similarity_for([("the same text", "the same, text", False)], false_rate=0.5)

    assert (found.threshold, found.taken, found.false_rate) == (None, 0, 0.0)
    assert found.false_rate_at_most is None
    assert similarity_for([]).threshold is None


def test_every_two_texts_are_a_pair() -> None:
    """The pairs of the shipped set: same route or not."""
    labelled = shipped()

    first = list(islice(labelled.pairs(), 20))

    assert all(same for _, _, same in first[:12])
    assert sum(1 for _ in labelled.pairs()) == 375 * 374 // 2
