"""Crash or partition: the same silence, judged by who shares it."""

from __future__ import annotations

from coordq.fleet.zones import Silent, classify

NOW = 1_000_000


def quiet(name: str, zone: str = "a", *, ms: int = 7000, beat_ms: int = 2000) -> Silent:
    """A worker that has been silent for so long."""
    return Silent(
        name,
        zone,
        heard_ms=NOW - ms,
        silence_ms=ms,
        beat_ms=beat_ms,
        phi=12.3,
        dead=ms >= 3 * beat_ms,
        overdue=ms >= 4.5 * beat_ms,
    )


def test_one_silent_worker_is_a_crash() -> None:
    """And the evidence says who went on."""
    (verdict,) = classify([quiet("w1")], {"a": 6, "b": 2})

    assert (verdict.kind, verdict.members) == ("crash", ("w1",))
    assert verdict.evidence == (
        "silent for 7 s, beats every 2 s, phi 12.3; the other 5 workers of zone a beat"
    )


def test_half_a_zone_at_once_is_a_partition() -> None:
    """Two cables rarely break in the same second; one that two share does."""
    (verdict,) = classify([quiet("w1"), quiet("w2", ms=6100)], {"a": 4, "b": 3})

    assert (verdict.kind, verdict.zone, verdict.members) == ("partition", "a", ("w1", "w2"))
    assert "2 of 4 workers (w1, w2) fell silent within 900 ms" in verdict.evidence
    assert "3 workers of 1 other zone can be reached" in verdict.evidence


def test_less_than_half_a_zone_are_crashes() -> None:
    """Each for itself."""
    verdicts = classify([quiet("w1"), quiet("w2")], {"a": 5})

    assert [verdict.kind for verdict in verdicts] == ["crash", "crash"]


def test_workers_that_fall_silent_one_after_the_other_crash() -> None:
    """A rolling restart by kill -9 is no partition."""
    verdicts = classify([quiet("w1", ms=12_000), quiet("w2", ms=6500)], {"a": 2})

    assert [verdict.kind for verdict in verdicts] == ["crash", "crash"]


def test_a_verdict_waits_for_those_who_went_with_it() -> None:
    """Beats are spread over time: the first of a zone is overdue before the last is."""
    assert classify([quiet("w1", ms=6000), quiet("w2", ms=4100)], {"a": 2}) == []


def test_a_verdict_does_not_wait_for_ever() -> None:
    """What was promised about detection holds for the first of them."""
    silent = [quiet("w1", ms=9000), quiet("w2", ms=7000), quiet("w3", ms=5500)]

    (verdict,) = classify(silent, {"a": 3})

    assert (verdict.kind, verdict.members) == ("partition", ("w1", "w2"))


def test_our_own_zone_is_not_cut_off() -> None:
    """We are in it and reach Redis: whoever is silent there has died."""
    verdicts = classify([quiet("w1"), quiet("w2")], {"a": 2}, own_zone="a")

    assert [verdict.kind for verdict in verdicts] == ["crash", "crash"]
    assert "this supervisor is in it" in verdicts[0].evidence


def test_who_falls_silent_in_a_parted_zone_has_gone_with_it() -> None:
    """One cause, not two."""
    (verdict,) = classify([quiet("w3")], {"a": 1}, parted=["a"])

    assert (verdict.kind, verdict.members) == ("partition", ("w3",))


def test_zones_are_judged_one_by_one() -> None:
    """A crash here and a partition there."""
    silent = [quiet("w1"), quiet("w2", "b"), quiet("w3", "b")]

    verdicts = classify(silent, {"a": 3, "b": 3})

    assert {verdict.zone: verdict.kind for verdict in verdicts} == {"a": "crash", "b": "partition"}


def test_nobody_is_judged_who_is_only_late() -> None:
    """Suspicion is not death."""
    assert classify([quiet("w1", ms=4500), quiet("w2", ms=4500)], {"a": 2}) == []


def test_zones_that_fall_silent_together_are_no_witnesses_of_each_other() -> None:
    """When nobody beats at all it is us who may be alone with this Redis."""
    silent = [quiet("w1"), quiet("w2"), quiet("w3", "b"), quiet("w4", "b")]

    verdicts = classify(silent, {"a": 2, "b": 2})

    assert [verdict.kind for verdict in verdicts] == ["partition", "partition"]
    assert all("no worker of another zone beats" in verdict.evidence for verdict in verdicts)
