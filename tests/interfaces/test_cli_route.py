"""Whom a text concerns, from a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordq.client.client import Client
from tests.interfaces.conftest import Shell

ROUTES = """
routes:
  billing: [refund a wrong charge, invoices and payments]
  shipping: [where is my parcel]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file of routes."""
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTES)
    return str(path)


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    """Labelled texts, one of which goes elsewhere."""
    path = tmp_path / "labelled.yaml"
    path.write_text(
        ROUTES + "asks: {billing: [refund the charge, my parcel], shipping: [find the parcel]}\n"
        "nowhere: [sing]\n"
    )
    return str(path)


def test_a_text_is_routed_with_or_without_the_word_to(shell: Shell, file: str) -> None:
    """The first word may be the text; one that is called like a command needs `to`."""
    assert shell.line("route", "please refund the charge", "--routes", file) == "billing"
    assert shell.line("route", "--routes", file, "please refund the charge") == "billing"
    assert shell.line("route", "to", "please refund the charge", "--routes", file) == "billing"
    assert shell("route", "to", "ls", "--routes", file).exit_code == 3


def test_a_file_needs_no_redis(shell: Shell, file: str) -> None:
    """Nothing is asked for what is written down."""
    done = shell("route", "refund", "--routes", file, "--url", "redis://127.0.0.1:1/0")

    assert (done.exit_code, done.stdout) == (0, "billing\n")


def test_registered_agents_are_routes(shell: Shell, client: Client, file: str) -> None:
    """By their interests; beside those of a file when that is asked for."""
    client.agents.register("zoe", interests="songs to sing")

    assert shell.line("route", "sing a song") == "zoe"
    assert shell("route", "sing a song", "--routes", file).exit_code == 3
    assert shell.line("route", "sing a song", "--routes", file, "--agents") == "zoe"
    assert shell("route", "ls").stdout == "route\tsays of itself\nzoe\tsongs to sing\n"
    assert [one["route"] for one in shell.json("route", "ls", "--routes", file)] == [
        "billing",
        "shipping",
    ]


def test_nobody_is_an_answer(shell: Shell, file: str) -> None:
    """On stderr, and as an exit code; unless there is a fallback."""
    done = shell("route", "sing", "--routes", file)

    assert (done.exit_code, done.stdout) == (3, "")
    assert "Nobody is near enough" in done.stderr
    assert shell.line("route", "sing", "--routes", file, "--fallback", "desk") == "desk"


def test_a_decision_is_explained(shell: Shell, file: str) -> None:
    """In sentences, and as JSON."""
    lines = shell("route", "refund the parcel", "--routes", file, "--explain").stdout.splitlines()

    assert lines[0].endswith("it is nearest, and near enough")
    assert len(lines) == 4
    told = shell.json("route", "refund the parcel", "--routes", file)
    assert (told["route"], told["cached"]) == ("shipping", "no")
    assert {one["route"] for one in told["candidates"]} == {"billing", "shipping"}


def test_labelled_texts_are_judged(shell: Shell, labelled: str) -> None:
    """How many went where they belong, and which did not; CI can ask for a share."""
    done = shell("route", "test", labelled, "--least", "0.9")

    assert done.exit_code == 1
    assert "right\t3 (75.0%)" in done.stdout
    assert "my parcel\tbilling\tshipping\t" in done.stdout
    assert "75.0% went where they belong; 90.0% must." in done.stderr
    assert shell("route", "test", labelled, "--least", "0.7").exit_code == 0
    assert shell.json("route", "test", labelled)["right"] == 3


def test_thresholds_are_taken_from_labels(shell: Shell, labelled: str) -> None:
    """For routes and for the cache, with how little so few texts prove."""
    told = shell.json("route", "calibrate", labelled, "--false-rate", "0")

    assert told["threshold"]["wrong"] == 0
    done = shell("route", "calibrate", labelled)
    assert done.stdout.startswith("embedder\tlexical\nthreshold\t")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["route", ""], "empty"),
        (["route", "text", "--routes", "missing.yaml"], "cannot be read"),
        (["route", "text", "--routes", "FILE", "--top", "0"], "from 1 to 16"),
        (["route", "text", "--routes", "FILE", "--embedder", "bert"], "no embedder 'bert'"),
        (["route", "text", "--routes", "FILE", "--threshold", "7"], "from -1 to 1"),
        (["route", "text", "--routes", "FILE", "--fallback", "no name"], "not allowed"),
        (["route", "test", "FILE"], "texts by route"),
        (["route", "calibrate", "LABELLED", "--false-rate", "2"], "a share"),
        (["route", "test", "LABELLED", "--routes", "OTHER"], "no such route"),
        (["route", "text", "--tpo", "2"], "--top"),
    ],
)
def test_bad_input_is_told(
    shell: Shell, file: str, labelled: str, words: list[str], told: str
) -> None:
    """A sentence and the exit code of wrong usage, never a traceback."""
    other = Path(file).with_name("other.yaml")
    other.write_text("routes: {else: [something else]}")
    names = {"FILE": file, "LABELLED": labelled, "OTHER": str(other)}

    done = shell(*(names.get(word, word) for word in words))

    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
