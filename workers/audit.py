"""Audit Python sources: one task per file, and a reduce step over their results.

Run it with `coordq worker workers/audit.py --processes 4`, then

    coordq enqueue audit_file path=/usr/lib/python3.11/ast.py --wait

`audit_file` measures one file. `audit_tally` adds up the results of up to 500 such tasks, and
`audit_report` joins any number of tallies, so no payload grows with the size of the tree: a
tally is a few kilobytes whether it stands for one file or for a hundred thousand.
`coordq demo` is this, on the standard library, with a worker killed on the way.

A file that does not decode or parse will not do so next time either: it is rejected, becomes a
dead letter with its reason, and nothing else stops.
"""

from __future__ import annotations

import ast
import asyncio
import re
import stat
import threading
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from coordq import Agent, Context, Reject
from coordq.errors import TaskNotFound

agent = Agent("audit", role="auditor", capabilities={"python"})

FILE_MAX: Final = 8 * 1024 * 1024
"""The largest file that is read, in bytes. The parser needs about a hundred times as much."""

TOP: Final = 20
"""How many modules, functions and imports a tally keeps of each ranking."""

_SOURCE: Final = "<audited>"

# The audited file's doubtful escapes are not this worker's warnings.
warnings.filterwarnings("ignore", module=re.escape(_SOURCE))


@dataclass(frozen=True, slots=True)
class FunctionFigures:
    """One function or method: its dotted name inside the file, where it starts, how it branches."""

    name: str
    line: int
    complexity: int


@dataclass(frozen=True, slots=True)
class FileFigures:
    """What `audit_file` measures.

    `code_lines` are neither blank nor comment nor docstring. `complexity_sum` is over all
    functions; `worst` is the most complex one. `imports` are distinct top-level names, relative
    ones as ".". `documented` of `documentable` (the module, public classes, public functions)
    have a docstring.
    """

    path: str
    lines: int
    code_lines: int
    functions: int
    classes: int
    complexity_sum: int
    worst: FunctionFigures | None
    imports: list[str]
    documented: int
    documentable: int

    @property
    def complexity_mean(self) -> float:
        """Average cyclomatic complexity of the file's functions; 0 when it has none."""
        return self.complexity_sum / self.functions if self.functions else 0.0

    @property
    def complexity_max(self) -> int:
        """Complexity of the most complex function; 0 when there is none."""
        return self.worst.complexity if self.worst else 0

    @property
    def docstring_coverage(self) -> float:
        """Share of the documentable things that are documented, from 0 to 1."""
        return self.documented / self.documentable if self.documentable else 1.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A file's place in the ranking by complexity."""

    path: str
    code_lines: int
    functions: int
    complexity_mean: float
    complexity_max: int
    worst: str


@dataclass(frozen=True, slots=True)
class Tally:
    """The sum of many files' figures, with the most complex of them and the commonest imports."""

    files: int = 0
    lines: int = 0
    code_lines: int = 0
    functions: int = 0
    classes: int = 0
    complexity_sum: int = 0
    documented: int = 0
    documentable: int = 0
    missing: int = 0
    top: list[Ranked] = field(default_factory=list)
    imports: dict[str, int] = field(default_factory=dict)

    @property
    def complexity_mean(self) -> float:
        """Average cyclomatic complexity of all functions; 0 when there are none."""
        return self.complexity_sum / self.functions if self.functions else 0.0

    @property
    def docstring_coverage(self) -> float:
        """Share of the documentable things that are documented, from 0 to 1."""
        return self.documented / self.documentable if self.documentable else 1.0


# Tasks


@agent.task(timeout=60, max_attempts=3, result_ttl=3600)
def audit_file(path: str) -> FileFigures:
    """Measure one Python file.

    Rejected (dead letter, with the reason) when there is no such regular file, it is over 8 MiB,
    its bytes do not decode by PEP 263, or it does not parse with this Python.
    """
    return measure(path, _read(Path(path)))


@agent.task(timeout=120, max_attempts=3, result_ttl=3600)
async def audit_tally(ctx: Context, ids: Annotated[list[str], Field(max_length=500)]) -> Tally:
    """Add up the results of the `audit_file` tasks with these ids.

    A task that has no result (a dead letter, or its retention ran out) counts as `missing`.
    """
    present: list[FileFigures] = []
    for first in range(0, len(ids), 50):
        found = await asyncio.gather(*(_figures(ctx, one) for one in ids[first : first + 50]))
        present.extend(one for one in found if one is not None)
    return replace(tally(present), missing=len(ids) - len(present))


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
    functions = list(_functions(tree))
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


def _functions(tree: ast.Module) -> Iterator[FunctionFigures]:
    """Every function, at any depth. Without recursion: generated files nest deeper than stacks."""
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, prefix = stack.pop()
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.ClassDef | Function):
                inner = f"{prefix}{child.name}."
            if isinstance(child, Function):
                yield FunctionFigures(prefix + child.name, child.lineno, complexity(child))
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


# Adding up


def tally(figures: Iterable[FileFigures]) -> Tally:
    """The sum of these files' figures."""
    return join(_single(one) for one in figures)


def join(tallies: Iterable[Tally]) -> Tally:
    """The sum of these tallies. Rankings stay TOP long, so joining does not grow them."""
    parts = list(tallies)
    ranked = sorted(chain.from_iterable(one.top for one in parts), key=_rank, reverse=True)
    imports: Counter[str] = Counter()
    for one in parts:
        imports.update(one.imports)
    sums = {name: sum(getattr(one, name) for one in parts) for name in _SUMMED}
    return Tally(**sums, top=ranked[:TOP], imports=dict(imports.most_common(_IMPORTS_KEPT)))


_SUMMED: Final = (
    "files",
    "lines",
    "code_lines",
    "functions",
    "classes",
    "complexity_sum",
    "documented",
    "documentable",
    "missing",
)

_IMPORTS_KEPT: Final = 200


def _rank(one: Ranked) -> tuple[int, float, str]:
    return one.complexity_max, one.complexity_mean, one.path


def _single(one: FileFigures) -> Tally:
    place = Ranked(
        path=one.path,
        code_lines=one.code_lines,
        functions=one.functions,
        complexity_mean=round(one.complexity_mean, 2),
        complexity_max=one.complexity_max,
        worst=one.worst.name if one.worst else "",
    )
    return Tally(
        files=1,
        lines=one.lines,
        code_lines=one.code_lines,
        functions=one.functions,
        classes=one.classes,
        complexity_sum=one.complexity_sum,
        documented=one.documented,
        documentable=one.documentable,
        top=[place] if one.functions else [],
        imports=dict.fromkeys(one.imports, 1),
    )


_RESULT: Final = TypeAdapter(FileFigures)


async def _figures(ctx: Context, task_id: str) -> FileFigures | None:
    """The stored result of an `audit_file` task; None when it has none."""
    try:
        task = await ctx.client.work.get(task_id)
    except TaskNotFound:
        return None
    return _RESULT.validate_python(task.result) if task.state == "succeeded" else None
