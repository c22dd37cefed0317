"""`coordq events` tells what happened so that a person understands it."""

from __future__ import annotations

import io
import json

import pytest

from coordq import Flow
from coordq.client.client import Client
from coordq.fleet.election import Candidate, campaign
from coordq.fleet.tell import tell
from coordq.interfaces.story import sentence
from coordq.work.beat import Pulse, beat, reap, release
from coordq.work.events import EVENTS, Event
from coordq.work.finish import Outcome, finish
from tests.interfaces.conftest import Shell, end


def told(shell: Shell) -> list[tuple[str, str, str]]:
    """Kind, subject and sentence of all events, as a pipe gets them."""
    lines = [line.split("\t") for line in shell("events").stdout.splitlines()]
    return [(line[1], line[2], line[5]) for line in lines]


def test_a_kill_is_a_story(shell: Shell, client: Client) -> None:
    """From the silence of a worker to the end of the task that it had begun."""
    engine = client.engine
    task_id = client.work.enqueue("crawl", {}).id
    held = client.work.claim_one(task_id, claimant="w1/0.1:a")
    silent = "silent for 9.1 s, beats every 2 s, phi 12.0"
    engine.run(tell(0, 7, [("dead", "w1", silent)]))
    engine.run(release(0, [held.member], reason="crash"))
    again = client.work.claim_one(task_id, claimant="w2/0.1:a")
    late = Outcome("succeeded", task_id, held.fence, b"1")
    engine.run(finish(0, [late, Outcome("succeeded", task_id, again.fence, b"1")]))

    assert told(shell) == [
        ("ready", task_id, "enqueued, and ready"),
        ("running", task_id, "runs on w1/0.1"),
        ("dead", "w1", silent),
        (
            "crashed",
            task_id,
            "given back, because w1/0.1 died at it: ready, with a strike",
        ),
        ("running", task_id, "runs on w2/0.1"),
        (
            "refused",
            task_id,
            f"an outcome came too late, by the old fence {held.fence}: nothing was changed",
        ),
        ("succeeded", task_id, "done"),
    ]


def test_a_lapse_names_who_lost_the_task(shell: Shell, client: Client) -> None:
    """The machine to look at."""
    task_id = client.work.enqueue("crawl", {}).id
    held = client.work.claim_one(task_id, claimant="w1/0.1:a")
    client.engine.execute(0, "ZADD", f"cq:{{{client.namespace}.0}}:lease", 1, held.member)

    client.engine.run(reap(0))

    wanted = "taken back from w1/0.1, whose lease had run out: ready"
    assert told(shell)[-1] == ("lapsed", task_id, wanted)


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        ("retrying", "1500", "failed, and is tried again in 1.5s"),
        ("snoozed", "60000", "put itself off, and comes back in 1m00s"),
        ("failed", "timeout", "will not be tried again, it is a dead letter: timeout"),
        ("released", "", "given back by its worker, at no cost: ready"),
        ("released", "17 w1/0", "given back by w1/0, at no cost: ready"),
        ("cancelling", "no need", "is to be cancelled, its worker was told: no need"),
        ("stalled", "child 0 pid 7 for 3.0 s", "its loop is blocked: child 0 pid 7 for 3.0 s"),
        ("elected", "leads with epoch 7", "leads with epoch 7"),
        ("repaired", "it ran without a lease: given back", "it ran without a lease: given back"),
    ],
)
def test_each_kind_has_its_sentence(kind: str, detail: str, words: str) -> None:
    """What the leader tells is a sentence already."""
    assert sentence(Event("1-0", 0, "x", kind, 2, 0, "q", "n", detail)) == words


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("detail", ["", "7", "7 w1", "\x1b[31mred\nline"])
def test_no_detail_breaks_a_line_or_steers_the_terminal(kind: str, detail: str) -> None:
    """Details hold what strangers wrote: reasons, names."""
    words = sentence(Event("1-0", 0, "x", kind, 2, 0, "q", "n", detail))

    assert words.isprintable()


def test_events_stay_as_they_are_for_programs(shell: Shell, client: Client) -> None:
    """Sentences may become better; fields may not."""
    client.engine.run(tell(0, 7, [("dead", "w1", "silent for 9 s")]))

    line = json.loads(shell("events", "--json").stdout)

    assert (line["event"], line["id"], line["detail"]) == ("dead", "w1", "silent for 9 s")
    assert line["fence"] == 7


# -- the lines above the live view ---------------------------------------------------------------


def lead(client: Client) -> int:
    """Somebody leads; gives the epoch."""
    return client.engine.run(campaign(Candidate("s1", 60_000))).leader.epoch


def test_top_shows_who_leads_how_the_workers_are_and_what_they_cost(
    shell: Shell, client: Client
) -> None:
    """From the leader's reports; numbers of another version, or none, are shown as unknown."""
    from coordq.fleet.report import publish

    epoch = lead(client)
    for name, zone in (("w1", "a"), ("w2", "b")):
        info = json.dumps({"zone": zone, "slots": 4, "protocol": 2, "beat_ms": 2000}).encode()
        client.engine.run(beat(0, Pulse(name, info=info)))
    rates = {
        "enqueued_s": 12.5,
        "ended_s": 0.25,
        "busy": 3,
        "slots": 8,
        "worked_percent": 31.2,
        "overhead_percent": 4.5,
        "run_ms": {"p50": 1.25, "p95": 250, "p99": None},
        "workers": {"w1": {"overhead_percent": 7.0}},
    }
    client.engine.run(publish(epoch, "rates", rates, 60_000))

    lines = shell("top").stdout.splitlines()

    assert lines[0].startswith("led by s1 for ")
    assert lines[0].endswith(f"epoch {epoch}")
    assert lines[1] == "workers: 2 healthy (zone a: 1 healthy; zone b: 1 healthy)"
    assert lines[2] == "last minute: 12/s in, 0.25/s out, 0/s failed, 0/s retried, 0/s lapsed"
    assert lines[3] == "3 of 8 slots busy, 31.2 % at work, overhead 4.5 %"
    assert lines[4] == "wait p50 - p95 - p99 -; run p50 1.2ms p95 250ms p99 -"
    (row,) = [line.split("\t") for line in lines if line.startswith("w1\t")]
    assert (row[2], row[5]) == ("healthy", "7.0 %")
    stats = dict(line.split("\t") for line in shell("stats").stdout.splitlines())
    assert stats["rates"].startswith("last minute: 12/s in")
    assert shell.json("workers")[0]["health"] == "healthy"


def test_top_shows_that_nothing_new_is_taken(shell: Shell) -> None:
    """And by whose word."""
    assert shell("fleet", "read-only", "on", "--reason", "we move house").exit_code == 0

    assert "we move house; nothing new is taken or started" in shell("top").stdout


def test_the_board_draws_the_same_lines(client: Client) -> None:
    """The live view, without a terminal."""
    from rich.console import Console

    from coordq.interfaces.live import Board

    lead(client)
    console = Console(width=120, file=io.StringIO(), record=True)

    console.print(Board(client).draw())

    assert "led by s1" in console.export_text()


def test_a_flow_is_a_story(shell: Shell, client: Client) -> None:
    """From the launch to the end: who waited for whom, who was left out, and who said yes."""
    flow = Flow("print")
    text = flow.task("write", key="write")
    flow.task("translate", after=text, when="language != 'en'")
    flow.approval("ship", after=text)
    flow_id = client.flows.run(flow).id
    ids = {node.key: node.id for node in client.flows.get(flow_id).nodes}
    end(client, ids["write"], "succeeded", {"language": "en"})
    client.flows.approve(ids["ship"], by="ada", note="go")

    story = told(shell)

    assert ("flow-started", flow_id, "a flow of 3 tasks has started") in story
    assert ("unblocked", ids["write"], "the tasks before it have ended") in story
    assert ("skipped", ids["translate"], "left out: it will not run") in story
    assert ("suspended", ids["ship"], "waits for an approval, and holds no slot") in story
    assert ("approved", ids["ship"], "approved by ada: go") in story
    assert story[-1] == ("flow-ended", flow_id, "the flow has ended: succeeded")


def test_every_kind_of_event_has_a_sentence() -> None:
    """With and without a detail; nobody has to know how scripts spell it."""
    for kind in EVENTS:
        for detail in ("", "something"):
            assert sentence(Event("1-0", 0, "x", kind, 2, 0, "-", "x", detail)) or not detail


def test_tasks_that_wait_can_be_listed(shell: Shell, client: Client) -> None:
    """For others, or for an answer."""
    flow = Flow("ask")
    flow.task("crawl", after=flow.approval("ship"), key="later")
    ids = {node.key: node.id for node in client.flows.run(flow).get().nodes}

    for state, key in (("suspended", "ship"), ("waiting", "later")):
        assert [one["id"] for one in shell.json("ls", "--state", state)] == [ids[key]]
