"""The bus from a shell."""

from __future__ import annotations

import json

import pytest

from coordq.bus.group import Group
from coordq.client.client import Client
from tests.interfaces.conftest import Shell


def test_what_is_published_from_a_shell_is_read(shell: Shell, client: Client) -> None:
    """The body is what KEY=VALUE says; flags are the envelope."""
    with client.bus.subscribe("orders.*") as orders:
        message_id = shell.line(
            *("bus", "publish", "orders.created", "number=7", "tags:=[1]"),
            *("--sender", "me", "--kind", "news", "--priority", "critical"),
        )
        delivery = orders.receive(10)

    assert delivery is not None
    message = delivery.message
    assert (message.id, message.body) == (message_id, {"number": 7, "tags": [1]})
    assert (message.sender, message.kind, message.priority) == ("me", "news", "critical")


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--text", "hello"], "hello"),
        (["--body", "[1, null]"], [1, None]),
        ([], {}),
    ],
)
def test_a_body_may_be_anything(
    shell: Shell, client: Client, words: list[str], body: object
) -> None:
    """Text, any JSON, or nothing to say."""
    with client.bus.subscribe("news") as news:
        shell("bus", "publish", "news", *words)
        delivery = news.receive(10)

    assert delivery is not None
    assert delivery.body == body


def test_a_file_is_a_message_a_line(shell: Shell, client: Client, tmp_path: object) -> None:
    """In order."""
    file = f"{tmp_path}/bodies.jsonl"
    with open(file, "w") as lines:  # noqa: PTH123 - a path as a shell has it
        lines.write('{"n": 1}\n\n"two"\n')
    with client.bus.subscribe("news") as news:
        said = shell.json("bus", "publish", "news", "--file", file)
        bodies = [delivery.body for delivery in news.receive_many(2, 10)]

    assert len(said["ids"]) == 2
    assert bodies == [{"n": 1}, "two"]


def test_a_topic_that_nobody_reads_is_said_to_be_so(shell: Shell) -> None:
    """It is no error, and still no silence."""
    done = shell("bus", "publish", "nobody.cares")

    assert done.exit_code == 0
    assert "nobody reads nobody.cares: 1 message not kept" in done.stderr


def test_tail_prints_what_comes_and_takes_nothing_from_others(shell: Shell, client: Client) -> None:
    """It is a group of its own, unless it is told to be another."""
    client.bus.add_group(Group("keeper", ("orders.*",)))
    client.bus.publish("orders.created", {"number": 7}, sender="me")

    line = shell.line("bus", "tail", "--group", "keeper", "--count", "1")
    (said,) = client.bus.groups()

    assert line.endswith('orders.created  from me  { "number": 7 }')
    assert (said.name, said.figures["handled"]) == ("keeper", 1)


def test_tail_ends_when_nothing_comes_for_so_long(shell: Shell, client: Client) -> None:
    """For scripts."""
    assert shell("bus", "tail", "orders.*", "--for", "100ms").stdout == ""
    assert client.bus.groups() == [], "its group went with it"


def test_tail_may_print_json(shell: Shell, client: Client) -> None:
    """A document a line."""
    client.bus.add_group(Group("keeper", ("orders.*",)))
    client.bus.publish("orders.created", {"number": 7})

    said = shell.json("bus", "tail", "--group", "keeper", "--count", "1")

    assert (said["channel"], said["body"]) == ("orders.created", {"number": 7})


def test_channels_and_groups_are_listed_and_shown(shell: Shell, client: Client) -> None:
    """As rows, as facts, and as JSON."""
    client.bus.add_group(Group("keeper", ("orders.*",)))
    client.bus.add_group(Group("@ada"))
    client.bus.publish("orders.created", {})
    client.bus.send("ada", {})

    assert {row["name"] for row in shell.json("bus", "ls")} == {"orders.created", "@ada"}
    assert [row["name"] for row in shell.json("bus", "topics")] == ["orders.created"]
    assert "read by\tkeeper" in shell("bus", "show", "orders.created").stdout
    assert "keeper\torders.*\t0\t0" in shell("bus", "groups").stdout
    assert "@ada\tits mailbox" in shell("bus", "groups", "@ada").stdout


def test_a_bound_is_set_and_taken_back(shell: Shell, client: Client) -> None:
    """And shown where it holds."""
    client.bus.add_group(Group("keeper", ("orders.*",)))

    said = shell.line("bus", "bound", "orders.*", "--entries", "5", "--bytes", "1M")

    assert said == "orders.* holds up to 5 messages and 1.0 MiB"
    client.bus.publish("orders.created", {})
    assert client.bus.channel("orders.created").max_entries == 5
    shell("bus", "bound", "orders.created", "--entries", "3", "--bytes", "2K")
    shown = shell("bus", "show", "orders.created").stdout
    assert "bound\t1 of 3 messages\n" in shown
    assert " of 2.0 KiB\n" in shown
    assert shell.line("bus", "bound", "orders.*", "--entries", "0").endswith("as by default")


def test_bounds_are_listed(shell: Shell, client: Client) -> None:
    """Those that somebody has set; what is bounded as by default needs no row."""
    assert shell.json("bus", "bound") == []
    client.bus.bound("orders.*", entries=5, max_bytes=2**20)
    client.bus.bound("@ada", entries=3, max_bytes=2048)

    assert "orders.*\t5\t1.0 MiB" in shell("bus", "bound").stdout
    assert shell.json("bus", "bound") == [
        {"channel": "@ada", "entries": 3, "bytes": 2048},
        {"channel": "orders.*", "entries": 5, "bytes": 2**20},
    ]


def bury(client: Client) -> str:
    """One dead letter; its id."""
    with client.bus.subscribe("orders.*", group="keeper") as orders:
        client.bus.publish("orders.created", {"number": 7})
        delivery = orders.receive(10)
        assert delivery is not None
        delivery.reject("no use")
    (letter,) = client.bus.dead()
    return letter.id


def test_dead_letters_are_listed_with_their_reason_and_revived(
    shell: Shell, client: Client
) -> None:
    """To the group that gave them up."""
    letter = bury(client)

    assert "no use" in shell("bus", "dead").stdout
    assert shell.line("bus", "revive", letter) == "revived 1 dead letter"
    with client.bus.subscribe(group="keeper") as again:
        delivery = again.receive(10)
    assert delivery is not None
    assert delivery.body == {"number": 7}


def test_dead_letters_are_purged_by_filter(shell: Shell, client: Client) -> None:
    """Only those that fit, and only when somebody says yes."""
    bury(client)

    assert shell("bus", "purge", "--all").exit_code == 2
    assert shell.line("bus", "purge", "--group", "other", "--yes") == "deleted 0 dead letters"
    assert shell.line("bus", "purge", "--group", "keeper", "--yes") == "deleted 1 dead letter"


BAD = {
    "a topic with a space": (["bus", "publish", "a b"], 2, "Topic 'a b'"),
    "a wildcard": (["bus", "publish", "orders.*"], 2, "Wildcards are for those who subscribe"),
    "a topic of coordq's": (["bus", "publish", "task.done"], 2, "coordq's own"),
    "two bodies": (["bus", "publish", "a", "x=1", "--text", "y"], 2, "Give the body once"),
    "no JSON": (["bus", "publish", "a", "--body", "{"], 2, "For plain text say --text"),
    "no such file": (["bus", "publish", "a", "--file", "/no/file"], 2, "cannot be read"),
    "a file and a body": (["bus", "publish", "a", "x=1", "--file", "-"], 2, "holds the bodies"),
    "an unknown agent": (["bus", "publish", "@nobody"], 3, "nobody"),
    "no mailbox": (["bus", "publish", "@"], 2, "agent name"),
    "a bad expiry": (["bus", "publish", "a", "--expires", "soon"], 2, "soon"),
    "an agent asked as a topic": (["bus", "ask", "ada", "--timeout", "1s"], 3, "as '@ada'"),
    "nobody to ask": (["bus", "ask", "no.topic", "--timeout", "1s"], 3, "Nobody reads"),
    "an unknown agent to ask": (["bus", "ask", "@nobody", "--timeout", "1s"], 3, "nobody"),
    "nothing to listen to": (["bus", "tail"], 2, "Which topics"),
    "a bad pattern": (["bus", "tail", "a..b"], 2, "Pattern 'a..b'"),
    "a group that is not there": (["bus", "groups", "nobody"], 3, "no group"),
    "a channel that is not there": (["bus", "show", "no.topic"], 3, "Nothing lies in channel"),
    "which dead letters": (["bus", "revive"], 2, "Which ones"),
    "ids and filters": (["bus", "revive", "0/1-0", "--all"], 2, "not both"),
    "no id of a dead letter": (["bus", "revive", "x"], 2, "x"),
    "a dead letter that is none": (["bus", "revive", "0/1-0"], 3, "no dead letters"),
    "half a bound": (["bus", "bound", "a"], 2, "--entries"),
    "a negative bound": (["bus", "bound", "a", "--entries", "-1"], 2, "entries"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_get_a_sentence_and_a_code(shell: Shell, case: str) -> None:
    """And leave nothing behind."""
    words, code, said = BAD[case]

    done = shell(*words)

    assert done.exit_code == code, done.stderr
    assert said in done.stderr


def test_mistakes_are_json_when_asked(shell: Shell) -> None:
    """With a stable code."""
    done = shell("bus", "publish", "a b", "--json")

    assert json.loads(done.stderr)["error"]["code"] == "invalid-topic"


# -- to whom it concerns ------------------------------------------------------------------------


def neighbours(client: Client) -> None:
    """Two agents with interests, and a desk, each with a mailbox."""
    client.agents.register("ann", interests="Refunds and invoices. Wrong charges on a card")
    client.agents.register("bob", interests="late delivery of parcels")
    for name in ("ann", "bob", "desk"):
        client.bus.add_group(Group(f"@{name}"))


def test_a_text_is_sent_to_whom_it_concerns(shell: Shell, client: Client) -> None:
    """The ids and names go to stdout, the reasons to stderr; the text itself is the body."""
    neighbours(client)
    text = "there is a wrong charge on my card"

    done = shell("bus", "publish", "--nearest", text)
    told = shell.json("bus", "publish", "--nearest", text, "order=17", "--top", "3")

    message_id, _, name = done.stdout.strip().partition("  ")
    assert name == "ann"
    assert "ann: " in done.stderr
    assert "is asked for" in done.stderr
    assert [one["to"] for one in told["sent"]] == ["ann"]
    assert told["decision"]["candidates"][0]["phrase"] == "Wrong charges on a card"
    with client.bus.subscribe("@ann") as box:
        first, second = box.receive_many(2, 10)
    assert (first.message.id, first.body, second.body) == (message_id, text, {"order": 17})


def test_a_text_that_concerns_nobody_needs_a_fallback(shell: Shell, client: Client) -> None:
    """Without one the exit code is that of things not found."""
    neighbours(client)

    failed = shell("bus", "publish", "--nearest", "sing a song")
    done = shell("bus", "publish", "--nearest", "sing a song", "--fallback", "desk")

    assert failed.exit_code == 3
    assert "Nobody is near enough" in failed.stderr
    assert done.stdout.strip().endswith("  desk")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["news", "--top", "2"], "--top belongs to --nearest"),
        (["news", "--fallback", "desk"], "--fallback belongs to --nearest"),
        (["--nearest", "a text", "--file", "-"], "--nearest sends one message"),
        (["--nearest", "a text", "--top", "99"], "from 1 to 16"),
        (["--nearest", "a text", "--threshold", "7"], "from -1 to 1"),
        (["--nearest", "a text", "--embedder", "bert"], "no embedder 'bert'"),
        (["--nearest", " "], "is empty"),
    ],
)
def test_flags_of_nearness_are_checked(shell: Shell, words: list[str], told: str) -> None:
    """Before anything is sent."""
    failed = shell("bus", "publish", *words)

    assert failed.exit_code == 2
    assert told in failed.stderr
