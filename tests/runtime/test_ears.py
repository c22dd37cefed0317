"""Workers hear messages: once in each group, tried again, buried with a reason, handed on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from tests.runtime.hearing import Hearing, Noted, buried, due_ms, given_back, held, send
from tests.waiting import wait_until

pytestmark = pytest.mark.live


def test_each_agent_that_asked_for_a_topic_hears_of_it_once(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """Two agents, two processes that compete: two copies of each message are handled, not four."""
    hearing(processes=2)

    send(client, "orders.created", *({"number": number} for number in range(40)))

    wait_until(lambda: len(noted("hears")) >= 40 and len(noted("listens_too")) >= 40, what="all")
    assert sorted(int(line[0]) for line in noted("hears")) == list(range(40))
    assert sorted(int(line[0]) for line in noted("listens_too")) == list(range(40))


def test_messages_go_through_middleware_dependencies_and_threads(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """A listener is a handler like any other."""
    hearing()

    send(client, "threads.one", {"number": 7})

    wait_until(lambda: noted("threaded"), what="the handler")
    assert noted("threaded") == [["7", "hello"]]
    assert noted("before") == [["@ada.threaded", "threads.one"]]


def test_a_failure_is_tried_again_and_then_a_dead_letter(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """With the reason, the error's type and what it said."""
    hearing()

    send(client, "rough.sea", {"number": 5})

    wait_until(lambda: buried(client), what="the dead letter")
    (letter,) = buried(client)
    assert noted("fails") == [["5", "1"], ["5", "2"]]
    assert letter.reason == "exception: ValueError: unlucky 5"
    assert (letter.group, letter.deliveries) == ("ada.fails", 2)


@pytest.mark.parametrize(
    ("body", "reason"),
    [({"number": 0}, "rejected"), ({"number": "x"}, "invalid-arguments"), ([], "invalid-argum")],
)
def test_what_no_retry_would_help_is_buried_at_once(
    hearing: Hearing, client: Client, body: Any, reason: str
) -> None:
    """Rejected by the handler, or by its signature."""
    hearing()

    send(client, "rough.sea", body)

    wait_until(lambda: buried(client), what="the dead letter")
    assert buried(client)[0].reason.startswith(reason)
    assert buried(client)[0].deliveries == 1


def test_a_message_of_a_killed_process_is_handled_by_another(
    hearing: Hearing, client: Client, noted: Noted, tmp_path: Path
) -> None:
    """It was not acknowledged, so it is given out again."""
    fleet = hearing(processes=2)
    gate = tmp_path / "gate"
    send(client, "slow.one", {"path": str(gate)})
    wait_until(lambda: noted("gated"), what="the start")

    fleet.signal(signal.SIGKILL, pid=int(noted("gated")[0][1]))
    wait_until(lambda: len(noted("gated")) == 2, what="the second start")
    gate.touch()

    assert noted("gated")[1][0] == "2", "its second delivery"
    wait_until(lambda: not held(client, "ada.gated"), what="the ack")


def test_a_message_that_takes_longer_than_its_visibility_is_kept(
    hearing: Hearing, client: Client, noted: Noted, tmp_path: Path
) -> None:
    """It is held as long as its handler is at work: past the moment at which it was due."""
    hearing(processes=2)
    gate = tmp_path / "gate"
    send(client, "slow.one", {"path": str(gate)})
    wait_until(lambda: noted("gated"), what="the start")
    first = due_ms(client, "ada.gated")

    # who keeps it does so before it is due: when it is due so much later, that moment has passed
    wait_until(lambda: due_ms(client, "ada.gated") > first + 4000, what="more than a visibility")
    gate.touch()
    wait_until(lambda: not held(client, "ada.gated"), what="the ack")
    assert len(noted("gated")) == 1


def test_no_more_run_at_once_than_a_listener_allows(
    hearing: Hearing, client: Client, noted: Noted, tmp_path: Path
) -> None:
    """The others wait in the process, or are left in Redis."""
    hearing(concurrency=8)
    gate = tmp_path / "gate"
    send(client, "slow.one", *[{"path": str(gate)}] * 5)
    wait_until(lambda: len(noted("gated")) == 2, what="two starts")
    send(client, "orders.created", {"number": 1})
    wait_until(lambda: noted("hears"), what="another listener's message")

    assert len(noted("gated")) == 2
    gate.touch()
    wait_until(lambda: len(noted("gated")) == 5, what="the rest")


def test_a_drain_finishes_what_runs_and_hands_on_what_waits(
    hearing: Hearing, client: Client, noted: Noted, tmp_path: Path
) -> None:
    """Nothing is lost when a worker is stopped, and nothing that ran is run again."""
    first = hearing(concurrency=8)
    gate = tmp_path / "gate"
    send(client, "slow.one", *[{"path": str(gate)}] * 5)
    wait_until(lambda: len(noted("gated")) == 2, what="two starts")

    first.signal(signal.SIGTERM)
    wait_until(lambda: given_back(client, "ada.gated") == 3, what="the rest to be given back")
    gate.touch()
    assert first.wait() == 0
    assert len(noted("gated")) == 2, "what waited was not begun any more"

    hearing()
    wait_until(lambda: len(noted("gated")) == 5, what="the rest")


def test_fan_out_reaches_every_process(hearing: Hearing, client: Client, noted: Noted) -> None:
    """Such as word that a cache must be emptied."""
    fleet = hearing(processes=2)

    send(client, "news", "flush")

    wait_until(lambda: len(noted("told")) == 2, what="both")
    assert {int(line[1]) for line in noted("told")} == set(fleet.children())


def test_ordered_messages_are_handled_one_after_the_other(
    hearing: Hearing, client: Client, noted: Noted
) -> None:
    """Across two processes with eight slots each."""
    hearing(processes=2, concurrency=8)

    send(client, "steps", *({"number": number} for number in range(20)))

    wait_until(lambda: len(noted("steps")) == 40, what="all steps")
    expected = [[what, str(number)] for number in range(20) for what in ("begin", "end")]
    assert noted("steps") == expected
