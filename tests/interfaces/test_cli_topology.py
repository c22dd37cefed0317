"""Topologies from a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.fleet.topology.make import make
from coordq.interfaces.topology_view import draw
from tests.interfaces.conftest import Shell


def test_a_topology_from_the_command_line_is_what_was_said(shell: Shell, client: Client) -> None:
    """Every flag arrives."""
    words = (
        "a b c --link a=b --link b=c --report b=a --one-way --acyclic --degree-max 2 "
        "--strangers allow --in-flight return --why 'a try' --expect 0"
    )

    said = shell("topology", "set", "graph", *shlex.split(words))
    assert said.exit_code == 2, "b reports to a, and may not talk to it"
    said = shell("topology", "set", "graph", *shlex.split(words.replace("b=a", "a=b")))

    assert said.stdout == "topology version 1: graph of 3, 2 links\n"
    seen = client.topology.get()
    assert seen.topology == make(
        "graph", ["a", "b", "c"], links=[("a", "b"), ("b", "c")], reports=[("a", "b")],
        one_way=True, acyclic=True, degree_max=2, strangers="allow", in_flight="return",
    )  # fmt: skip
    assert seen.why == "a try"


def test_an_adaptive_one_is_set_by_its_kind(shell: Shell, client: Client) -> None:
    """With its bounds."""
    shell("topology", "set", "auto", "a", "b", "--star-max", "5", "--settle", "2m")

    topology = client.topology.get().topology
    assert topology is not None
    assert topology.adapt is not None
    assert (topology.adapt.star_max, topology.adapt.settle_s) == (5, 120)


def test_it_is_drawn(shell: Shell) -> None:
    """As people draw it."""
    shell("topology", "set", "tree", "a", "b", "c", "d", "--fanout", "2")

    said = shell("topology", "show").stdout
    assert said.endswith("a\n├─ b\n│  └─ d\n└─ c\n")
    assert "topology\ttree of 4" in said
    assert shell.json("topology", "show")["topology"]["kind"] == "tree"


@pytest.mark.parametrize(
    ("words", "drawing"),
    [
        ("mesh a b c", "─┬─ a  each talks to each|─┼─ b|─┴─ c"),
        ("mesh a", "─── a"),
        ("star a b c", "a|├─ b|└─ c"),
        ("ring a b c", "┌► a|│  b|└─ c"),
        ("groups --group a,b,c --group d", "◆ a  heads talk to each other|   ├─ b|   └─ c|◆ d"),
        ("graph --link a=b --link b=c", "a  ── b|b  ── a, c|c  ── b"),
        ("graph --link a=b --link b=c --one-way", "a  ─► b|b  ─► c|c"),
    ],
)
def test_each_kind_has_its_drawing(shell: Shell, words: str, drawing: str) -> None:
    """Without a colour or a width: it may be read from a pipe."""
    shell("topology", "set", *shlex.split(words))

    said = shell("topology", "show").stdout.partition("\n\n")[2]

    assert [line.rstrip() for line in said.splitlines()] == drawing.split("|")


def test_a_large_one_is_drawn_in_part() -> None:
    """A thousand lines tell nobody anything."""
    lines = draw(make("star", [f"a{n}" for n in range(1000)]))

    assert len(lines) == 201
    assert lines[-1][1] == "... and 800 more agents"


def test_a_plan_says_what_would_change_and_changes_nothing(shell: Shell, client: Client) -> None:
    """Before an operator does it."""
    shell("topology", "set", "star", "a", "b", "c")

    said = shell("topology", "plan", "ring", "a", "b", "x").stdout

    assert "from\tversion 1, star of 3, around a" in said
    assert "come\tx" in said
    assert "leave\tc" in said
    assert "report anew\tb to nobody" in said
    assert client.topology.get().version == 1
    assert shell.json("topology", "plan", "star", "a", "b", "c")["opened"] == 0


def test_what_cannot_be_is_said_and_changes_nothing(shell: Shell, client: Client) -> None:
    """With the exit code of a check that failed."""
    planned = shell("topology", "plan", "graph", "a", "b", "c", "--link", "a=b")
    checked = shell("topology", "validate", "graph", "a", "b", "c", "--link", "a=b", "--json")

    assert (planned.exit_code, checked.exit_code) == (1, 1)
    assert "Linked with nobody: c." in planned.stdout
    assert json.loads(checked.stdout)["problems"][0]["agents"] == ["c"]
    assert client.topology.get().version == 0


def test_a_sound_one_is_surveyed(shell: Shell) -> None:
    """Whose loss would part the others is worth knowing."""
    shell("topology", "set", "star", "a", "b", "c")

    said = shell("topology", "validate")

    assert said.exit_code == 0
    assert "falls apart without\ta\n" in said.stdout
    assert "longest way\t2 steps" in said.stdout
    assert "not here now: a, b, c" in said.stderr


def test_versions_are_listed_and_come_back(shell: Shell, client: Client) -> None:
    """A restored one is a new version: nothing is forgotten."""
    shell("topology", "set", "mesh", "a", "b")
    shell("topology", "set", "star", "a", "b", "--why", "calmer")
    shell("topology", "clear")

    assert shell.line("topology", "restore", "1") == "topology version 4: mesh of 2"

    rows = shell("topology", "history").stdout.splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == ["4", "3", "2", "1"]
    assert rows[0].endswith("mesh of 2\tversion 1 again")
    assert "star of 2" in shell("topology", "show", "--version", "2").stdout
    assert client.topology.get().topology == make("mesh", ["a", "b"])


def test_a_file_says_it_all(shell: Shell, tmp_path: Path) -> None:
    """JSON, as show prints it, or YAML by hand."""
    shell("topology", "set", "ring", "a", "b", "c")
    file = tmp_path / "topology.json"
    file.write_text(shell("topology", "show", "--json").stdout)
    shell("topology", "clear")

    assert shell.line("topology", "set", "--file", str(file)) == "topology version 3: ring of 3"
    file.write_text("kind: tree\nmembers: [a, b]\nreports: {b: a}\n")
    assert shell.line("topology", "set", "--file", str(file)) == "topology version 4: tree of 2"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("set circle a b", 2, "circle"),
        ("set", 2, "Say what kind"),
        ("set mesh", 2, "No agent is here now"),
        ("set ring a b", 2, "three members"),
        ("set star a b --hub z", 2, "no member: z"),
        ("set mesh a b --hub a", 2, "has no 'hub'"),
        ("set graph a --link ab", 2, "not of the form"),
        ("set graph --link a=a", 2, "Linked with itself"),
        ("set mesh 'a b'", 2, "not allowed"),
        ("set mesh a --star-max 5", 2, "go with the kind auto"),
        ("set auto a --settle soon", 2, "not a length of time"),
        ("set auto a --star-max 39", 2, "too near"),
        ("set --file nothing.yaml", 2, "cannot be read"),
        ("set mesh a --file x", 2, "A file says everything"),
        ("set mesh a --expect 7", 5, "version 0 now, not 7"),
        ("set mesh a --expect -1", 2, "expect=-1"),
        ("restore 7", 3, "not kept; there are: none yet"),
        ("show --version 7", 3, "not kept"),
    ],
)
def test_bad_topologies_are_refused_in_words(
    shell: Shell, words: str, code: int, says: str, client: Client
) -> None:
    """And with the exit code of what was wrong."""
    result = shell("topology", *shlex.split(words))

    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert client.topology.get().version == 0


def test_a_file_that_is_no_topology_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Whatever it holds."""
    file = tmp_path / "x.yaml"
    for text in ("[", "- 1", "kind: torus", "kind: mesh\nmembers: 5", "\x00"):
        file.write_text(text)
        result = shell("topology", "set", "--file", str(file))

        assert result.exit_code == 2, text
        assert "Traceback" not in result.stderr
