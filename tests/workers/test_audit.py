"""What an audit counts, by example; and that a tree's size does not show in any payload."""

import ast
import json
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from coordq import Reject
from tests.workers.conftest import worker_module

audit = worker_module("audit")


def complexity(body: str) -> int:
    tree = ast.parse("def f(a, b, c):\n" + textwrap.indent(textwrap.dedent(body), "    "))
    assert isinstance(tree.body[0], ast.FunctionDef)
    return int(audit.complexity(tree.body[0]))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a", 1),
        ("if a: pass", 2),
        ("if a: pass\nelse: pass", 2),
        ("if a: pass\nelif b: pass\nelse: pass", 3),
        ("return a if b else c", 2),
        ("for x in a: pass", 2),
        ("for x in a: pass\nelse: pass", 2),
        ("while a: pass", 2),
        ("with a: pass", 1),
        ("assert a", 1),
        ("try: pass\nexcept A: pass\nexcept B: pass", 3),
        ("try: pass\nfinally: pass", 1),
        ("return a and b", 2),
        ("return a and b and c or a", 4),
        ("return [x for x in a]", 2),
        ("return {x for x in a if x if b}", 4),
        ("return (x for y in a for x in y)", 3),
        ("match a:\n    case 1: pass\n    case 2: pass\n    case _: pass", 3),
        ("match a:\n    case x if b: pass\n    case 1 | 2: pass", 3),
        ("return lambda: a if b else c", 2),
        ("def inner():\n    if a: pass\nreturn inner", 1),
        ("class Inner:\n    x = 1 if a else 2", 1),
    ],
)
def test_complexity_is_one_more_than_the_forks(body: str, expected: int) -> None:
    """Every construct that can send the path two ways counts once, and nothing else does."""
    assert complexity(body) == expected


def test_the_async_forms_count_like_the_plain_ones() -> None:
    """`async for` forks as `for` does; `await` and `async with` fork nothing."""
    tree = ast.parse("async def f(a):\n async for x in a:\n  async with x: await x\n")
    assert isinstance(tree.body[0], ast.AsyncFunctionDef)

    assert audit.complexity(tree.body[0]) == 2


EXAMPLE = '''
"""A module."""
# a comment

import os.path, sys
import os
from . import sibling
from json import loads


class Public:
    """Documented."""

    def method(self):
        """Documented, over
        two lines.
        """
        if os:
            return """
# not a comment
"""

    def bare(self): ...

    def _private(self): ...


def outer():
    def inner():
        return [x for x in sys if x]
    return inner
'''.lstrip()


def test_a_file_becomes_its_figures() -> None:
    """One example with something of everything, counted by hand."""
    figures = audit.measure("example.py", EXAMPLE)

    assert asdict(figures) == {
        "path": "example.py",
        "lines": 30,
        "code_lines": 16,
        "functions": 5,
        "classes": 1,
        "complexity_sum": 8,
        "worst": {"name": "outer.inner", "line": 28, "complexity": 3},
        "imports": [".", "json", "os", "sys"],
        "documented": 3,
        "documentable": 6,
        "parsed": True,
    }
    assert figures.complexity_mean == 8 / 5
    assert figures.complexity_max == 3
    assert figures.docstring_coverage == 0.5


def test_an_empty_file_has_figures_too() -> None:
    """Half the __init__.py of the world are empty; none of them may divide by zero."""
    figures = audit.measure("empty.py", "")

    assert (figures.lines, figures.code_lines, figures.functions) == (0, 0, 0)
    assert (figures.complexity_mean, figures.complexity_max) == (0.0, 0)


def test_the_figures_of_a_real_module_are_plausible() -> None:
    """A second source for the numbers: what Python itself says about the file."""
    path = ast.__file__

    figures = audit.audit_file(path)

    text = Path(path).read_text(encoding="utf-8")
    assert figures.lines == len(text.splitlines())
    assert figures.classes == text.count("\nclass ")
    assert "re" not in figures.imports
    assert {"sys", "enum", "contextlib"} <= set(figures.imports)


@pytest.mark.parametrize(
    ("content", "first_import"),
    [
        (b"# -*- coding: latin-1 -*-\nimport caf\xe9\n", "caf\u00e9"),
        (b"\xef\xbb\xbfimport bom\n", "bom"),
        ("import \u00fcber\n".encode(), "\u00fcber"),
        (b"import crlf\r\nx = 1\r\n", "crlf"),
    ],
)
def test_encodings_are_read_as_python_reads_them(
    tmp_path: Path, content: bytes, first_import: str
) -> None:
    """PEP 263 cookies, byte order marks and line ends are honoured."""
    file = tmp_path / "encoded.py"
    file.write_bytes(content)

    assert audit.audit_file(str(file)).imports == [first_import]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"def f(:\n", "bad.py:1 does not parse"),
        (b"x = 1\nprint 'two'\n", "bad.py:2 does not parse"),
        (b"x = '\xff'\n", "does not decode"),
        (b"# coding: no-such-codec\n", "does not decode"),
        (b"x = 1\0\n", "does not parse"),
        (b"(" * 5000 + b")" * 5000, "does not parse"),
        (b"-" * 100_000 + b"1", "does not parse"),
    ],
)
def test_a_file_that_cannot_be_read_is_rejected_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """It will be no better the next time, so it must not be tried again."""
    file = tmp_path / "bad.py"
    file.write_bytes(content)

    with pytest.raises(Reject, match=reason):
        audit.audit_file(str(file))


def test_what_is_not_a_file_is_rejected(tmp_path: Path) -> None:
    """A missing file, a folder, and a pipe that would block a thread for ever."""
    for path in (tmp_path / "missing.py", tmp_path, Path("/dev/null"), tmp_path / "a" / "b"):
        with pytest.raises(Reject):
            audit.audit_file(str(path))


def test_a_file_that_is_too_large_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree of a gigabyte of generated code must not take a child's memory with it."""
    monkeypatch.setattr(audit, "FILE_MAX", 10)
    file = tmp_path / "large.py"
    file.write_text("x = 1  # more than ten bytes\n")

    with pytest.raises(Reject, match="more than the 10 allowed"):
        audit.audit_file(str(file))


def test_one_file_is_parsed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees made by two threads at once fail now and then on Python 3.11."""
    parse, both_inside = ast.parse, threading.Barrier(2)

    def watched_parse(*args: Any, **options: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            both_inside.wait(0.2)
            pytest.fail("two threads parse at once")
        return parse(*args, **options)

    monkeypatch.setattr(audit.ast, "parse", watched_parse)
    with ThreadPoolExecutor(2) as threads:
        figures = threads.map(lambda name: audit.measure(name, "x = 1\n"), ["a", "b"])

    assert [one.path for one in figures] == ["a", "b"]


def figures_of(number: int) -> Any:
    body = "".join(f"def f{n}(a):\n    return a if a else {n}\n" for n in range(number))
    return audit.measure(f"file{number}.py", f"import os, lib{number}\n" + body)


def test_a_tally_is_the_sum_of_its_files() -> None:
    """Totals, the ranking and the imports come out as if the files were one."""
    tally = audit.tally([figures_of(3), figures_of(0), figures_of(2)])

    assert (tally.files, tally.functions, tally.complexity_sum) == (3, 5, 10)
    assert tally.imports["os"] == 3
    assert [one.path for one in tally.top] == ["file3.py", "file2.py"]
    assert tally.complexity_mean == 2.0


def test_it_does_not_matter_how_files_are_grouped() -> None:
    """Tallies of tallies give the same as one tally, or the report would depend on chance."""
    files = [figures_of(number) for number in range(12)]

    grouped = audit.join([audit.tally(files[:5]), audit.tally(files[5:6]), audit.tally(files[6:])])

    assert grouped == audit.tally(files)
    assert audit.join([]) == audit.Tally()


def test_a_tally_does_not_grow_with_the_tree() -> None:
    """The reduce step works for any number of files because of this."""
    small = audit.tally(figures_of(number) for number in range(40))
    large = audit.join([small] * 200)

    assert len(json.dumps(asdict(large))) < 2 * len(json.dumps(asdict(small))) < 20_000
    assert large.files == 200 * small.files


HOT = (
    """
class Knot:
    def tie(self, a, *rest, loose=False):
"""
    + "".join(f"        {'el' * (n > 0)}if a == {n}:\n            return {n}\n" for n in range(24))
    + """
        while a:
            with self:
                for one in rest:
                    a = one and a

def plain(a):
    return a
"""
)


def test_what_is_hard_to_follow_is_looked_at_closely() -> None:
    """Only functions over the threshold; how deep and how wide they are stands beside it."""
    (spot,) = audit.hot_spots("knot.py", HOT)

    assert (spot.name, spot.complexity) == ("Knot.tie", 28)
    assert (spot.depth, spot.parameters, spot.line) == (3, 4, 3)
    assert audit.hot_spots("plain.py", "def plain(a):\n    return a\n") == []


def test_the_lines_of_what_is_no_python_are_counted(tmp_path: Path) -> None:
    """The fallback: a file without figures would be missing in the totals."""
    file = tmp_path / "bad.py"
    file.write_bytes(b"def f(:\n\n  \xff\n")

    figures = audit.audit_text(str(file))

    assert (figures.lines, figures.code_lines, figures.parsed) == (3, 2, False)
    assert audit.audit_tally([figures, None]).unparsed == 1
    with pytest.raises(Reject):
        audit.audit_text(str(tmp_path / "missing.py"))


def test_a_tally_keeps_the_worst_of_what_was_looked_at_closely() -> None:
    """All are counted; some twenty are shown, however they were grouped."""
    spots = [audit.HotSpot("a.py", f"f{n}", n, n, 10, 2, 1) for n in range(30)]

    together = audit.tally([], spots)
    apart = audit.join([audit.tally([], spots[:10]), audit.tally([], spots[10:])])

    assert together == apart
    assert (together.hot, len(together.spots), together.spots[0].name) == (30, 20, "f29")
