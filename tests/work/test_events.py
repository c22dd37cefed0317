"""The event stream: everything that happens, in few bytes, read back exactly."""

from __future__ import annotations

import pytest

from coordq.work.events import EVENTS, note, read_entry
from tests.work.desk import Desk, bulk, order


def test_the_life_of_a_task_can_be_read(desk: Desk) -> None:
    """Every transition, with version, fence and detail."""
    task_id = desk.put("job", queue="q1")
    claim = desk.take(queues="q1")
    desk.end(claim, "retry", delay_ms=1500)

    told = [
        (e.kind, e.subject, e.version, e.fence, e.queue, e.name, e.detail) for e in desk.events()
    ]

    assert told == [
        ("ready", task_id, 1, 0, "q1", "job", ""),
        ("running", task_id, 2, claim.fence, "q1", "job", "w1/1"),
        ("retrying", task_id, 3, claim.fence, "q1", "job", "1500"),
    ]


def test_events_are_in_the_order_of_time(desk: Desk) -> None:
    """By Redis's clock."""
    for _ in range(3):
        desk.put()
        desk.take()

    moments = [event.ms for event in desk.events()]

    assert moments == sorted(moments)
    assert abs(moments[-1] - desk.now_ms()) < 60_000


def test_a_bulk_costs_few_bytes_and_loses_no_id(desk: Desk) -> None:
    """Four bytes a task, when ids were drawn together: in one millisecond."""
    orders = bulk(500)
    desk.place_all(orders)

    entries = desk.redis("XRANGE", desk.key("events"), "-", "+")

    assert [event.subject for event in desk.events()] == [each.id for each in orders]
    moments = len({each.id[:20] for each in orders})
    assert sum(len(entry[1][1]) for entry in entries) < 500 * 5 + 22 * moments
    assert len(entries) <= 9


def test_ids_that_share_nothing_are_told_apart(desk: Desk) -> None:
    """The short form is only for neighbours."""
    orders = [order() for _ in range(5)] + [order("other") for _ in range(5)]
    strangers = [order(id=f"{n:x}" * 22) for n in range(1, 6)]
    strangers = [each for each in strangers if each.id[9:11] == "11"] or strangers[:1]
    desk.audited = False
    mixed = [*orders[:3], *strangers, *orders[3:]]
    desk.place_all(mixed)

    assert [event.subject for event in desk.events()] == [each.id for each in mixed]


def test_a_transition_says_its_version_and_fence_in_a_batch_too(desk: Desk) -> None:
    """The short form of the id, the long form of the numbers."""
    desk.place_all(bulk(3))
    claims = desk.claim(3).claims

    told = [(e.subject, e.version, e.fence) for e in desk.events() if e.kind == "running"]

    assert told == [(claim.id, 2, claim.fence) for claim in claims]


def test_the_stream_is_capped(desk: Desk) -> None:
    """It is for watching, not for keeping."""
    for _ in range(40):
        desk.place_all([order(f"job{n}") for n in range(250)])
        desk.purge(limit=1000)

    assert desk.redis("XLEN", desk.key("events")) < 8192 + 200


def test_notes_are_events_too(desk: Desk) -> None:
    """For what no transition writes: a stalled worker, say."""
    at = desk.run(note(0, "w1/2", "stalled", "silent for\n5 s"))

    (event,) = desk.events()
    assert (event.at, event.kind, event.subject) == (at, "stalled", "w1/2")
    assert event.detail == "silent for 5 s"


def test_every_kind_that_scripts_write_is_named() -> None:
    """A program that switches on kinds must know them all."""
    import re

    from coordq.engine.scripts import load, names

    text = "\n".join(load(name).source for name in names())
    written = set(re.findall(r"event\([\w.]+, '(\w+)'", text))
    written |= set(re.findall(r"(?:give_back|again)\(task, [^\n]*?'(\w{3,})'", text))

    assert written <= set(EVENTS)
    assert {"running", "requeued", "refused", "lapsed", "retrying"} <= written


@pytest.mark.parametrize("fields", [("e", "junk"), ("x", "y", "z", "w"), ("e", "a b\nc")])
def test_entries_that_are_not_ours_are_passed_over(desk: Desk, fields: tuple[str, ...]) -> None:
    """Whoever tails the stream must not stumble over a stranger's entry."""
    desk.redis("XADD", desk.key("events"), "*", *fields)
    desk.put()

    assert [event.kind for event in desk.events()] == ["ready"]


def test_a_stream_of_the_wrong_type_does_not_stop_the_work(desk: Desk) -> None:
    """Events are told if they can be told: work must not depend on it."""
    desk.redis("SET", desk.key("events"), "junk")
    desk.put()

    assert desk.end(desk.take()) == "ok"

    desk.redis("DEL", desk.key("events"))


def test_an_event_is_plain_json(desk: Desk) -> None:
    """For `--json` and the dashboard."""
    task_id = desk.put()
    (event,) = desk.events()

    assert event.to_json() == {
        "at": event.at,
        "ms": event.ms,
        "shard": 0,
        "id": task_id,
        "event": "ready",
        "version": 1,
        "fence": 0,
        "queue": "default",
        "name": "job",
        "detail": "",
    }


def test_a_short_item_needs_the_one_before_it() -> None:
    """The form, by hand: `+` and two characters stand for a neighbour's id."""
    first = "0123456789abcdefghijkl"
    entry = [b"5-0", [b"e", f"ready q job \n{first} +mm +nn,7,9".encode()]]

    told = [(e.subject, e.version, e.fence) for e in read_entry(0, entry)]

    assert told == [(first, 1, 0), (first[:-2] + "mm", 1, 0), (first[:-2] + "nn", 7, 9)]
