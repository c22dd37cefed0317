"""Sessions from a shell: opened, read as a transcript, spoken in, closed."""

from __future__ import annotations

import pytest

from coordq.bus.group import Group
from coordq.client.client import Client
from coordq.client.sessions import Session
from tests.interfaces.conftest import Shell

NOBODY = "0" * 22


@pytest.fixture
def talk(client: Client, shell: Shell) -> Session:
    """A session that was opened from a shell, as `ada` sees it."""
    for name in ("ada", "bob"):
        client.bus.add_group(Group(f"@{name}"))
    words = ("session", "open", "where to sail", "--with", "ada:captain", "--with", "bob")
    return client.sessions.get(shell.line(*words, "--turns", "20", "--deadline", "1h"), me="ada")


def test_a_session_is_opened_by_its_rules(talk: Session) -> None:
    """With names, roles and limits."""
    view = talk.get()

    assert (view.about, view.state, view.max_turns) == ("where to sail", "open", 20)
    assert [(one.name, one.role) for one in view.people] == [("ada", "captain"), ("bob", "")]
    assert view.deadline_ms > view.opened_ms


def test_the_transcript_reads_like_a_play(talk: Session, shell: Shell, client: Client) -> None:
    """Who, to whom, what for, and the words; lines stay under each other."""
    question = talk.say("how deep?", to=["bob"], kind="ask", correlation="log-1").id
    bob = client.sessions.get(talk.id, me="bob")
    bob.say(7, kind="reply", correlation=question)
    talk.offer({"course": "north"})
    bob.accept(3)
    talk.say("two\nlines \x1b[31m")
    client.sessions.get(talk.id, me="eve").join(role="guest")
    talk.close("decided")

    facts, _, turns = shell("session", "show", talk.id).stdout.partition("\n\n")

    assert "about\twhere to sail\n" in facts
    assert "decided" in facts
    assert "ada (captain)\tgiven all up to turn" in facts
    said = turns.splitlines()[1:]
    assert [line.split("  ", 2)[-1].strip() for line in said] == [
        "ada to bob (ask): how deep?",
        "bob (answers 1): 7",
        'ada (offer): {"course":"north"}',
        "bob (accept 3)",
        "ada: two",
        "lines \\x1b[31m",
        "- eve joined as guest",
        "- closed: decided",
    ]
    assert said[5].index("lines") == said[4].index("ada"), "under where the words begin"


def test_a_part_of_the_transcript_is_shown(talk: Session, shell: Shell) -> None:
    """Behind a turn, and so many; as JSON too."""
    for number in range(5):
        talk.say(number)

    said = shell.json("session", "show", talk.id, "--after", "2", "--limit", "2")

    assert [turn["body"] for turn in said["transcript"]] == [2, 3]
    assert (said["turn"], said["people"][0]["role"]) == (5, "captain")


def test_who_takes_part_speaks_from_a_shell(talk: Session, shell: Shell) -> None:
    """The number of the turn is printed."""
    assert shell.line("session", "say", talk.id, "--as", "ada", "--text", "hello") == "1"
    said = shell.json("session", "say", talk.id, "--as", "bob", "--kind", "plan", "course=north")

    (_, turn) = talk.transcript()
    assert (turn.speaker, turn.kind, turn.body) == ("bob", "plan", {"course": "north"})
    assert said == {"turn": 2, "id": turn.message.id}


def test_somebody_at_a_keyboard_joins_and_speaks(talk: Session, shell: Shell) -> None:
    """Again with --join, they take part already."""
    for number in range(2):
        shell.line("session", "say", talk.id, "--as", "me", "--join", "--text", str(number))

    assert [turn.kind for turn in talk.transcript()] == ["joined", "say", "say"]


def test_sessions_are_listed(talk: Session, shell: Shell) -> None:
    """All of them, or open ones of somebody; what they are about stays on one line."""
    talk.say("hello")

    (row,) = shell("session", "ls", "--of", "ada").stdout.splitlines()[1:]
    shell("session", "close", talk.id)

    assert row.split("\t")[:4] == [talk.id, "where to sail", "open", "1"]
    assert shell.json("session", "ls", "--of", "ada") == []
    assert [one["state"] for one in shell.json("session", "ls")] == ["closed"]


def test_a_session_is_closed_with_a_word(talk: Session, shell: Shell) -> None:
    """Which all hear."""
    said = shell.line("session", "close", talk.id, "--why", "decided")

    assert said == f"session {talk.id} is closed"
    assert (talk.get().state, talk.get().why) == ("closed", "decided")


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["show", "zzz"], 3, "session-not-found"),
        (["show", NOBODY], 3, "session-not-found"),
        (["say", NOBODY, "--as", "ada", "--text", "x"], 3, "session-not-found"),
        (["say", "TALK", "--as", "eve", "--text", "x"], 5, "not-participant"),
        (["say", "TALK", "--as", "ada", "--to", "eve", "--text", "x"], 5, "not-participant"),
        (["say", "TALK", "--as", "a b", "--text", "x"], 2, "invalid-name"),
        (["say", "TALK", "--as", "ada", "--expects", "7"], 5, "conflict"),
        (["say", "TALK", "--text", "x"], 2, "usage"),
        (["say", "TALK", "--as", "ada", "--text", "x", "--body", "1"], 2, "usage"),
        (["say", "TALK", "--as", "ada", "--body", "{"], 2, "invalid-message"),
        (["say", "TALK", "--as", "ada", "--kind", "closed"], 2, "invalid-message"),
        (["open", "x", "--with", "nobody"], 3, "agent-not-found"),
        (["open", "x", "--with", "a b"], 2, "invalid-name"),
        (["open", "x", "--with", "ada:a b"], 2, "invalid-name"),
        (["open", "x", "--turns", "0"], 2, "invalid-option"),
        (["open", "x", "--max-people", "9999"], 2, "invalid-option"),
        (["open", "x", "--order", "square"], 2, "usage"),
        (["open", "x", "--with", "ada", "--with", "bob", "--max-people", "1"], 5, "session-full"),
        (["close", NOBODY], 3, "session-not-found"),
        (["ls", "--of", "a b"], 2, "invalid-name"),
    ],
)
def test_bad_input_gets_a_code(
    talk: Session, shell: Shell, words: list[str], exit_code: int, code: str
) -> None:
    """And nothing is said by it."""
    done = shell("session", *[talk.id if word == "TALK" else word for word in words])

    assert done.exit_code == exit_code, done.stderr
    assert f"(code: {code})" in done.stderr
    assert talk.get().turn == 0
