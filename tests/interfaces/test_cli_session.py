"""Sessions from a shell: opened, read as a transcript, spoken in, closed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

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

    assert row.split("\t")[:5] == [talk.id, "where to sail", "open", "1", "2"]
    assert shell.json("session", "ls", "--of", "ada") == []
    assert [one["state"] for one in shell.json("session", "ls")] == ["closed"]


def test_people_come_and_go_from_a_shell(talk: Session, shell: Shell, client: Client) -> None:
    """Who was invited has a letter, and the role when they come; each is told in one line."""
    client.bus.add_group(Group("@eve"))

    invited = shell.line("session", "invite", talk.id, "eve", "--role", "critic", "--as", "ada")
    joined = shell.line("session", "join", talk.id, "--as", "eve")
    left = shell.json("session", "leave", talk.id, "--as", "bob")

    assert (invited, joined) == (
        f"eve is invited to session {talk.id}",
        f"eve takes part in session {talk.id}",
    )
    assert left == {"id": talk.id, "name": "bob", "turn": 2}
    assert [(one.name, one.role) for one in talk.get().people if one.state == "joined"] == [
        ("ada", "captain"),
        ("eve", "critic"),
    ]
    with client.bus.subscribe("@eve") as box:
        letter = box.receive(10)
    assert letter is not None
    assert (letter.message.kind, letter.body["by"]) == ("invite", "ada")


def test_who_comes_late_may_hear_what_was_said(talk: Session, shell: Shell, client: Client) -> None:
    """With --history; and joining again changes nothing."""
    talk.say("before")
    for _ in range(2):
        shell("session", "join", talk.id, "--as", "me", "--role", "guest", "--history")

    with client.bus.subscribe("@me") as box:
        letter = box.receive(10)

    assert letter is not None
    assert letter.body == "before"
    assert shell.json("session", "ls")[0]["present"] == 3


def follow(shell: Shell, *words: str) -> subprocess.Popen[str]:
    """`coordq session show --follow`, in a process of its own."""
    command = [sys.executable, "-u", "-m", "coordq", "session", "show", *words, "--follow"]
    return subprocess.Popen(
        command, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_session_is_followed_until_it_is_closed(talk: Session, shell: Shell) -> None:
    """The facts, what was said, and each turn when it is said; then the command ends well."""
    talk.say("before")
    with follow(shell, talk.id) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("ada: before\n"):
                break
        answer = talk.say("now", kind="plan")
        assert process.stdout.readline().endswith("ada (plan): now\n")
        talk.say("yes", correlation=answer.id)
        assert process.stdout.readline().endswith("ada (say 2): yes\n")
        talk.close("decided")
        assert process.stdout.read().endswith("- closed: decided\n")
        assert process.wait(60) == 0


def test_a_followed_session_is_a_line_of_json_for_each_turn(talk: Session, shell: Shell) -> None:
    """And as many as were asked for."""
    for number in range(3):
        talk.say(number)

    words = ("session", "show", talk.id, "--json", "--follow", "--after", "1", "--limit", "2")
    done = shell(*words)

    assert done.exit_code == 0, done.stderr
    assert [json.loads(line)["body"] for line in done.stdout.splitlines()] == [1, 2]


def test_ctrl_c_ends_following_quietly(talk: Session, shell: Shell) -> None:
    """130, as shells expect, and no traceback; the session goes on."""
    talk.say("hello")
    with follow(shell, talk.id, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["body"] == "hello"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == ""
    assert talk.get().state == "open"


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
        (["show", NOBODY, "--follow"], 3, "session-not-found"),
        (["show", "TALK", "--follow", "--after", "-1"], 2, "usage"),
        (["join", "zzz", "--as", "ada"], 3, "session-not-found"),
        (["join", NOBODY, "--as", "ada"], 3, "session-not-found"),
        (["join", "TALK"], 2, "usage"),
        (["join", "TALK", "--as", ""], 2, "invalid-option"),
        (["join", "TALK", "--as", "a b"], 2, "invalid-name"),
        (["join", "TALK", "--as", "eve", "--role", "a b"], 2, "invalid-name"),
        (["leave", NOBODY, "--as", "ada"], 3, "session-not-found"),
        (["leave", "TALK"], 2, "usage"),
        (["leave", "TALK", "--as", ""], 2, "invalid-option"),
        (["leave", "TALK", "--as", "eve"], 5, "not-participant"),
        (["invite", NOBODY, "ada"], 3, "session-not-found"),
        (["invite", "TALK"], 2, "usage"),
        (["invite", "TALK", "a b"], 2, "invalid-name"),
        (["invite", "TALK", "nobody"], 3, "agent-not-found"),
        (["invite", "TALK", "ada", "--role", "a b"], 2, "invalid-name"),
        (["invite", "TALK", "ada", "--as", "a b"], 2, "invalid-name"),
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
