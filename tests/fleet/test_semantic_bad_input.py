"""What cannot be routed, declared or calibrated gets a code and a sentence, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordq.errors import CoordqError
from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.calibrate import similarity_for, threshold_for
from coordq.fleet.semantic.file import read_routes
from coordq.fleet.semantic.labelled import read_labelled, unknown
from coordq.fleet.semantic.router import Router

ROUTES = {"billing": ["invoices"], "shipping": ["parcels"]}


def routed(*args: Any, **given: Any) -> Callable[[], object]:
    """A text that is routed."""
    return lambda: Router(ROUTES).route(*args, **given)


def declared(routes: Any, **given: Any) -> Callable[[], object]:
    """A router that is made."""
    return lambda: Router(routes, **given)


CASES: list[tuple[str, str, Callable[[], object]]] = [
    # texts
    ("invalid-arguments", "not a int", routed(17)),
    ("invalid-arguments", "not a NoneType", routed(None)),
    ("invalid-arguments", "not a bytes", routed(b"text")),
    ("invalid-arguments", "is empty", routed("")),
    ("invalid-arguments", "is empty", routed(" \n\t")),
    ("payload-too-large", "16,385 characters", routed("x" * 16_385)),
    # options
    ("invalid-option", "from 1 to 16", routed("text", top=0)),
    ("invalid-option", "from 1 to 16", routed("text", top=17)),
    ("invalid-option", "from 1 to 16", routed("text", top=True)),
    ("invalid-option", "from 1 to 16", routed("text", top="2")),
    ("invalid-option", "from 0 to 65536", lambda: Caching(size=-1)),
    ("invalid-option", "from 0 to 65536", lambda: Caching(size=10**9)),
    ("invalid-option", "more than 0", lambda: Caching(similarity=0)),
    ("invalid-option", "is no number", lambda: Caching(similarity="0.85")),  # type: ignore[arg-type]
    ("invalid-option", "from 0 to 1", lambda: Caching(margin=-0.1)),
    ("invalid-option", "whole number", lambda: Caching(check_every=1.5)),  # type: ignore[arg-type]
    ("invalid-option", "no guard 'number'", lambda: Caching(guards=["number"])),
    # routes
    ("invalid-routes", "texts by name", declared([("a", ["b"])])),
    ("invalid-routes", "not allowed", declared({"no name": ["text"]})),
    ("invalid-routes", "not text but int", declared({17: ["text"]})),
    ("invalid-routes", "a list of texts", declared({"a": "text"})),
    ("invalid-routes", "a list of texts", declared({"a": None})),
    ("invalid-routes", "at least one text", declared({"a": []})),
    ("invalid-routes", "is no text", declared({"a": ["b", 3]})),
    ("invalid-routes", "is no text", declared({"a": [" "]})),
    ("invalid-routes", "1,001 characters", declared({"a": ["x" * 1001]})),
    ("invalid-routes", "201 texts", declared({"a": [f"text {n}" for n in range(201)]})),
    ("invalid-routes", "10,001 routes", declared({f"r{n}": ["x"] for n in range(10_001)})),
    ("invalid-routes", "'phrases' is not known", declared({"a": {"phrases": ["b"]}})),
    ("invalid-routes", "from -1 to 1", declared({"a": {"texts": ["b"], "threshold": 2}})),
    ("invalid-routes", "from -1 to 1", declared(ROUTES, threshold="near")),
    ("invalid-routes", "from -1 to 1", declared(ROUTES, threshold=float("nan"))),
    ("invalid-name", "not allowed", declared(ROUTES, fallback="no name")),
    ("invalid-setting", "no embedder 'bert'", declared(ROUTES, embedder="bert")),
    # calibration
    ("invalid-option", "a share", lambda: similarity_for([], false_rate=1)),
    ("invalid-option", "a share", lambda: similarity_for([], false_rate=True)),
    ("invalid-option", "no guard", lambda: similarity_for([], guards=["nothing"])),
    ("invalid-option", "a share", lambda: threshold_for(Router(ROUTES), [], false_rate=-0.1)),
]

FILES: list[tuple[str, str, str]] = [
    ("a.yaml", "routes: [", "neither YAML nor JSON"),
    ("a.yaml", "just words", "words with values"),
    ("a.yaml", "", "words with values"),
    ("a.json", '{"routes": ', "neither YAML nor JSON"),
    ("a.toml", "routes = ", "not TOML"),
    ("a.yaml", "routes: {}", "at least one route"),
    ("a.yaml", "route: {a: [b]}", "write routes"),
    ("a.yaml", "routes: {a: [b]}\nfrom: me", "known here"),
    ("a.yaml", "routes: {a: b}", "a list of texts"),
    ("a.yaml", "routes: {a: [1]}", "is no text"),
    ("a.yaml", "routes: {a: [b]}\nthreshold: high", "from -1 to 1"),
    ("a.yaml", "routes: {a: [b]}\nfallback: '@'", "not allowed"),
    ("a.yaml", "routes: {a: [b]}\nembedder: bert", "lexical or wordllama"),
    ("a.yaml", "routes: !!python/object:os.system {}", "neither YAML nor JSON"),
]

LABELLED: list[tuple[str, str]] = [
    ("routes: {a: [b]}", "texts by route"),
    ("asks: [text]", "lists of texts by route"),
    ("asks: {a: text}", "a list of texts"),
    ("asks: {a: [1]}", "no text that can be routed"),
    ("asks: {a: [[fine, '']]}", "no text that can be routed"),
    ("nowhere: text", "a list of texts"),
    ("ask: {a: [text]}", "write asks"),
]


@pytest.mark.parametrize(("code", "told", "attempt"), CASES)
def test_bad_input_is_told(code: str, told: str, attempt: Callable[[], object]) -> None:
    """A stable code for programs, and words for people: what is wrong, and what to write."""
    with pytest.raises(CoordqError) as caught:
        attempt()

    assert caught.value.code == code
    assert told in str(caught.value)


@pytest.mark.parametrize(("name", "text", "told"), FILES)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    """With the place in it."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CoordqError, match=r"a\.(yaml|json|toml)") as caught:
        read_routes(path)

    assert caught.value.code == "invalid-routes"
    assert told in str(caught.value)


@pytest.mark.parametrize(("text", "told"), LABELLED)
def test_labels_that_cannot_be_used_are_named(tmp_path: Path, text: str, told: str) -> None:
    """The same for labelled texts."""
    path = tmp_path / "labels.yaml"
    path.write_text(text)
    with pytest.raises(CoordqError, match=r"labels\.yaml") as caught:
        read_labelled(path)

    assert caught.value.code == "invalid-routes"
    assert told in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    """Not as an OSError, nor as a UnicodeDecodeError."""
    with pytest.raises(CoordqError, match="cannot be read"):
        read_routes(tmp_path / "none.yaml")
    with pytest.raises(CoordqError, match="cannot be read"):
        read_routes(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"routes: \xff")
    with pytest.raises(CoordqError, match="not UTF-8"):
        read_routes(binary)


def test_a_label_that_no_route_has_is_told(tmp_path: Path) -> None:
    """A slip of the pen would otherwise count as the router's mistake."""
    path = tmp_path / "labels.yaml"
    path.write_text("asks: {biling: [my invoice]}")

    problem = unknown(read_labelled(path), set(ROUTES))

    assert problem is not None
    assert "biling" in str(problem)
    assert "billing" in str(problem)


def test_routes_can_be_written_in_three_ways(tmp_path: Path) -> None:
    """YAML, JSON and TOML say the same."""
    written = {
        "a.yaml": "routes:\n  a: [one, two]\n  b: {texts: [three], threshold: 0.4}\nfallback: c\n",
        "a.json": '{"routes": {"a": ["one", "two"], "b": {"texts": ["three"], "threshold": 0.4}}, '
        '"fallback": "c"}',
        "a.toml": 'fallback = "c"\n[routes]\na = ["one", "two"]\n'
        'b = {texts = ["three"], threshold = 0.4}\n',
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)

    one, *others = [read_routes(tmp_path / name) for name in written]

    assert (one.fallback, one.routes["b"].threshold, one.routes["a"].texts) == (
        "c",
        0.4,
        ("one", "two"),
    )
    assert others == [one, one]
