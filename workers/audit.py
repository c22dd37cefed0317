"""Audit Python sources: one task per file, and a reduce step over their results.

Run it with `coordq worker workers/audit.py --processes 4`, then

    coordq enqueue audit_file path=/usr/lib/python3.11/ast.py --wait

`audit_file` measures one file, `audit_deep` looks closely at the functions of a complex one,
`audit_tally` adds up the results of up to 500 files, and `audit_report` joins any number of
tallies, so no payload grows with the size of the tree: a tally is a few kilobytes whether it stands
for one file or for a hundred thousand. `coordq demo` makes a flow of these, over the standard
library, with a worker killed on the way.

A file that does not decode or parse will not do so next time either: it is rejected, becomes a
dead letter with its reason, and nothing else stops; `audit_text` may stand in and count its lines.
"""

from __future__ import annotations

import ast
import re
import stat
import threading
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from coordq import Agent, Reject

from ._figures import HOT, FileFigures, FunctionFigures, HotSpot, Tally, join, tally

agent = Agent("audit", role="auditor", capabilities={"python"})

FILE_MAX: Final = 8 * 1024 * 1024
"""The largest file that is read, in bytes. The parser needs about a hundred times as much."""

_SOURCE: Final = "<audited>"

# The audited file's doubtful escapes are not this worker's warnings.
warnings.filterwarnings("ignore", module=re.escape(_SOURCE))


# Tasks


@agent.task(timeout=60, max_attempts=3, result_ttl=3600)
def audit_file(path: str) -> FileFigures:
    """Measure one Python file.

    Rejected (dead letter, with the reason) when there is no such regular file, it is over 8 MiB,
    its bytes do not decode by PEP 263, or it does not parse with this Python.
    """
    return measure(path, _read(Path(path)))


@agent.task(timeout=60, max_attempts=3, result_ttl=3600)
def audit_deep(path: str) -> list[HotSpot]:
    """Look closely at the functions of a file that branch most: how long, how deep, how wide."""
    return hot_spots(path, _read(Path(path)))


@agent.task(timeout=60, max_attempts=3, result_ttl=3600)
def audit_text(path: str) -> FileFigures:
    """Count the lines of a file that `audit_file` cannot make sense of. Whatever its bytes are."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise Reject(f"{path} cannot be read: {error.strerror}") from error
    written = sum(bool(line.strip()) for line in lines)
    return FileFigures(path, len(lines), written, 0, 0, 0, None, [], 0, 0, parsed=False)


@agent.task(timeout=120, max_attempts=3, result_ttl=3600)
def audit_tally(
    figures: Annotated[list[FileFigures | None], Field(max_length=500)],
    spots: list[list[HotSpot] | None] | None = None,
) -> Tally:
    """Add up the figures of files, and what was found in those that were looked at closely.

    A file without figures (a dead letter, say) counts as `missing`.
    """
    present = [one for one in figures if one is not None]
    found = chain.from_iterable(one for one in spots or () if one is not None)
    return replace(tally(present, found), missing=len(figures) - len(present))


@agent.task(timeout=60, max_attempts=3, result_ttl=3600)
def audit_report(tallies: list[Tally]) -> Tally:
    """Join tallies into one: the totals and the most complex modules of the whole tree."""
    return join(tallies)


# Reading


def _read(path: Path) -> str:
    """The file's text. PEP 263 and byte order marks are honoured; anything odd is rejected."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Reject(f"{path} is not a regular file")
        if found.st_size > FILE_MAX:
            raise Reject(f"{path} has {found.st_size} bytes, more than the {FILE_MAX} allowed")
        with tokenize.open(path) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise Reject(f"{path} cannot be read: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise Reject(f"{path} does not decode: {error}") from error


def measure(path: str, source: str) -> FileFigures:
    """Figures of `source`, which was read from `path`. Rejected when it does not parse."""
    tree = _parse(path, source)
    nodes = list(ast.walk(tree))
    functions = [
        FunctionFigures(name, one.lineno, complexity(one)) for name, one in _functions(tree)
    ]
    documented, documentable = _documentation(tree, nodes)
    return FileFigures(
        path=path,
        lines=source.count("\n") + (not source.endswith("\n") and bool(source)),
        code_lines=_code_lines(source, nodes),
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        complexity_sum=sum(one.complexity for one in functions),
        worst=max(functions, key=lambda one: (one.complexity, -one.line), default=None),
        imports=sorted(set(_imports(nodes))),
        documented=documented,
        documentable=documentable,
    )


# Python 3.11 keeps one depth counter for all threads that make trees, and fails when it does not
# add up ("AST constructor recursion depth mismatch"). One at a time costs nothing under the GIL.
_parsing = threading.Lock()


def _parse(path: str, source: str) -> ast.Module:
    try:
        with _parsing:
            return ast.parse(source, filename=_SOURCE)
    except SyntaxError as error:
        raise Reject(f"{path}:{error.lineno or 0} does not parse: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Reject(f"{path} does not parse: {error or type(error).__name__}") from error


# Complexity

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function with its dotted name, at any depth.

    Without recursion: generated files nest deeper than stacks.
    """
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, prefix = stack.pop()
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.ClassDef | Function):
                inner = f"{prefix}{child.name}."
            if isinstance(child, Function):
                yield prefix + child.name, child
            stack.append((child, inner))


def complexity(function: Function) -> int:
    """Cyclomatic complexity by McCabe: one, plus one for each place where the path can fork.

    Forks are `if`, `elif`, the conditional expression, `for`, `while`, `except`, each `for` and
    `if` of a comprehension, each `and`/`or`, and each `case` that can be passed by. `else`,
    `finally` and `with` fork nothing. What is defined inside (functions, classes) has its own
    count; a lambda belongs to the function it stands in.
    """
    total = 1
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.ClassDef | Function):
            continue
        total += _forks(node)
        stack.extend(ast.iter_child_nodes(node))
    return total


_FORKS: Final = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)


def _forks(node: ast.AST) -> int:
    match node:
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.comprehension(ifs=ifs):
            return 1 + len(ifs)
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            return 0  # `case _:` and `case name:` always match
        case ast.match_case():
            return 1
        case _:
            return int(isinstance(node, _FORKS))


_BLOCKS: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try)


def hot_spots(path: str, source: str) -> list[HotSpot]:
    """The functions of `source` that branch at least HOT times, looked at closely."""
    found = ((name, one, complexity(one)) for name, one in _functions(_parse(path, source)))
    return [
        HotSpot(path, name, one.lineno, forks, _length(one), _depth(one), _parameters(one))
        for name, one, forks in found
        if forks >= HOT
    ]


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _depth(function: Function) -> int:
    """How many blocks stand inside one another, at the deepest place. An `elif` is no deeper."""
    deepest = 0
    stack: list[tuple[ast.AST, int]] = [(one, 0) for one in function.body]
    while stack:
        node, depth = stack.pop()
        depth += isinstance(node, _BLOCKS)
        deepest = max(deepest, depth)
        beside = node.orelse[:1] if isinstance(node, ast.If) else []
        for child in ast.iter_child_nodes(node):
            is_elif = beside == [child] and isinstance(child, ast.If)
            stack.append((child, depth - is_elif))
    return deepest


def _parameters(function: Function) -> int:
    given = function.args
    several = (given.vararg, given.kwarg)
    named = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    return len(named) + sum(one is not None for one in several)


# Lines and names


def _code_lines(source: str, nodes: Iterable[ast.AST]) -> int:
    """Lines that are neither blank nor comment nor docstring.

    A line that starts with `#` is a comment unless it is inside a string of several lines.
    """
    docstrings, strings = set[int](), set[int]()
    for node in nodes:
        if isinstance(node, ast.Expr) and _is_text(node.value):
            docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
            strings.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    numbered = enumerate(map(str.strip, source.split("\n")), start=1)
    return sum(
        1
        for number, line in numbered
        if line and number not in docstrings and (line[0] != "#" or number in strings)
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").partition(".")[0]


def _documentation(tree: ast.Module, nodes: Iterable[ast.AST]) -> tuple[int, int]:
    public = [
        node
        for node in nodes
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_")
    ]
    documentable = [tree, *public]
    return sum(ast.get_docstring(node, clean=False) is not None for node in documentable), len(
        documentable
    )
