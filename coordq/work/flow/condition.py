"""Conditions on a parent's result: `quality_score > 0.8 and not flagged`.

A condition is written as text, kept as a JSON tree, and judged in two places that must agree:
lua/lib/condition.lua, inside the script that ends the parent, and `judge.py`. Nothing is ever
executed: Python's parser reads the text, and what is not on this list is refused.

    text                        tree
    score > 0.8                 [">", ["get", "score"], 0.8]
    result.tags[0] == "new"     ["==", ["get", "tags", 0], "new"]
    a < b <= 3                  ["and", ["<", ["get", "a"], ["get", "b"]], ["<=", ["get", "b"], 3]]
    not flagged                 ["not", ["get", "flagged"]]
    kind in ["x", "y"]          ["in", ["get", "kind"], ["lit", ["x", "y"]]]
    len(files) > 10             [">", ["len", ["get", "files"]], 10]
    has(report.error)           ["has", "report", "error"]

A bare name is a field of the result, `result` is all of it. What the trees mean is in `judge.py`.
"""

from __future__ import annotations

import ast
import json
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidCondition
from coordq.work.flow.judge import evaluate

TEXT_MAX: Final = 1000
"""Characters."""
DEPTH_MAX: Final = 24
"""Operations inside one another. A branch may add a few to them; see judge.DEPTH_MAX."""
SIZE_MAX: Final = 200
"""Operations and values of one tree."""
ENCODED_MAX: Final = 8192
"""Bytes of a tree as JSON."""
EXACT_MAX: Final = 2**53
"""Whole numbers beyond this are not exact as doubles."""
SHOWN_MAX: Final = 40
"""Characters of a wrong part that are repeated."""

_SIGNS: Final[dict[type, str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "==",
    ast.IsNot: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_WORDS: Final = {"true": True, "false": False, "null": None}
_HINTS: Final = {"&&": "and", "||": "or", "===": "==", "!": "not", "=": "=="}
_RULE: Final = (
    "use names of fields, texts, numbers, and or not, == != < <= > >= in, len(...) and has(...)"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was understood."""

    text: str
    tree: Any
    """Nested tuples; as JSON they are the lists that the module describes."""

    def holds(self, result: Any) -> bool:
        """Whether it is true of a result, a JSON value."""
        return evaluate(self.tree, result)

    def encode(self) -> str:
        """The tree as JSON, for Redis."""
        return json.dumps(self.tree, separators=(",", ":"), ensure_ascii=False)

    def negated(self) -> Condition:
        """True of exactly those results that this one is not true of."""
        return Condition(f"not ({self.text})", ("not", self.tree))

    def __str__(self) -> str:
        return self.text


def all_of(conditions: Iterable[Condition]) -> Condition:
    """True where all of them are, one at least. Raises InvalidCondition when that is too long."""
    every = list(conditions)
    if len(every) == 1:
        return every[0]
    text = " and ".join(
        one.text if one.text.startswith("not (") else f"({one.text})" for one in every
    )
    return _checked(Condition(text, ("and", *(one.tree for one in every))))


def parse(text: object) -> Condition:
    """The condition that `text` describes. Raises InvalidCondition, which shows where."""
    if not isinstance(text, str):
        kind = type(text).__name__
        _refuse(text, 0, f"it is {kind}, not text: write something like 'score > 0.8'")
    return _parsed(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Condition:
    if not text.strip():
        _refuse(text, 0, "it is empty: write something like score > 0.8")
    if len(text) > TEXT_MAX:
        _refuse(text, 0, f"it has over {TEXT_MAX:,} characters: decide it in a task")
    line = " ".join(text.splitlines()).strip()
    return _checked(Condition(line, _Reader(line).read()))


def _checked(condition: Condition) -> Condition:
    if _depth(condition.tree) > DEPTH_MAX:
        _refuse(condition.text, 0, f"it is nested more than {DEPTH_MAX} levels deep: split it")
    if len(condition.encode().encode()) > ENCODED_MAX:
        _refuse(condition.text, 0, f"it takes over {ENCODED_MAX:,} bytes: decide it in a task")
    return condition


def _depth(tree: Any) -> int:
    return 1 + max(map(_depth, tree[1:]), default=0) if isinstance(tree, tuple) else 0


def _refuse(text: Any, at: int, why: str) -> NoReturn:
    shown = repr(text) if len(repr(text)) <= 2 * SHOWN_MAX else f"{repr(text)[: 2 * SHOWN_MAX]}..."
    where = f", at character {at + 1}" if at else ""
    raise InvalidCondition(f"condition {shown}{where}: {why}.", condition=text, at=at)


class _Reader:
    """Turns one line into a tree, and refuses what no condition can be made of."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._size = 0
        self._looks = False
        self._readers: dict[type, Callable[[Any], Any]] = {
            ast.BoolOp: self._joined,
            ast.UnaryOp: self._signed,
            ast.Compare: self._compared,
            ast.Call: self._called,
            ast.Constant: self._constant,
            ast.List: self._members,
            ast.Tuple: self._members,
            ast.Name: self._named,
            ast.Attribute: self._got,
            ast.Subscript: self._got,
        }

    def read(self) -> Any:
        try:
            tree = self._tree(self._parsed())
        except RecursionError:
            _refuse(self.text, 0, "it is nested too deep to be read: split it")
        if not self._looks:
            _refuse(self.text, 0, "it never looks at the result: name one of its fields")
        return tree

    def _parsed(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an odd escape in a text is text all the same
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            at = len(self.text) if error.offset == 0 else (error.offset or 1) - 1  # 0: at the end
            _refuse(self.text, at, self._hint(error.msg))
        except (ValueError, MemoryError):
            _refuse(self.text, 0, "it cannot be read: make it shorter and flatter")

    def _hint(self, message: str) -> str:
        bare = self.text
        for sign in ("!=", "<=", ">=", " == "):
            bare = bare.replace(sign, " ")
        for sign, better in _HINTS.items():
            if sign in bare:
                return f"there is no {sign!r} here: write `{better}`"
        return f"this cannot be read ({message}): write something like score > 0.8"

    def _wrong(self, node: ast.expr, why: str) -> NoReturn:
        before = self.text.encode()[: node.col_offset].decode(errors="replace")
        source = ast.get_source_segment(self.text, node) or type(node).__name__
        shown = source if len(source) <= SHOWN_MAX else f"{source[: SHOWN_MAX - 3]}..."
        _refuse(self.text, len(before), f"{shown!r} {why}")

    def _tree(self, node: ast.expr) -> Any:
        self._size += 1
        if self._size > SIZE_MAX:
            _refuse(self.text, 0, f"it has over {SIZE_MAX} parts: decide it in a task")
        read = self._readers.get(type(node))
        if read is None:
            self._wrong(node, f"cannot stand in a condition: {_RULE}")
        return read(node)

    def _joined(self, node: ast.BoolOp) -> Any:
        word = "and" if isinstance(node.op, ast.And) else "or"
        return (word, *map(self._tree, node.values))

    def _signed(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return ("not", self._tree(node.operand))
        number = getattr(node.operand, "value", None)
        if not isinstance(node.op, ast.USub) or not is_number(number):
            self._wrong(node, f"cannot stand in a condition: {_RULE}")
        return -self._tree(node.operand)

    def _compared(self, node: ast.Compare) -> Any:
        values = [self._tree(one) for one in (node.left, *node.comparators)]
        parts = []
        for sign, left, right in zip(node.ops, values, values[1:], strict=False):
            word = _SIGNS[type(sign)]
            found = (word.removeprefix("not "), left, right)
            parts.append(("not", found) if word == "not in" else found)
        return parts[0] if len(parts) == 1 else ("and", *parts)

    def _called(self, node: ast.Call) -> Any:
        name = getattr(node.func, "id", "")
        if name not in ("len", "has") or len(node.args) != 1 or node.keywords:
            self._wrong(node, f"cannot be called here: {_RULE}")
        path = self._path(node.args[0])
        return ("len", ("get", *path)) if name == "len" else ("has", *path)

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(node, value)
        if not isinstance(value, int | float):
            self._wrong(node, "is neither text, a number, true, false nor null")
        if not math.isfinite(value) or (isinstance(value, int) and value > EXACT_MAX):
            self._wrong(node, "is too large a number to be compared exactly")
        return value

    def _text(self, node: ast.expr, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._wrong(node, "holds half a surrogate pair, which is not Unicode")
        return text

    def _members(self, node: ast.List | ast.Tuple) -> Any:
        members = tuple(self._tree(one) for one in node.elts)
        for one, tree in zip(node.elts, members, strict=True):
            if isinstance(tree, tuple):
                self._wrong(one, "cannot stand in a list: write texts and numbers")
        return ("lit", members)

    def _named(self, node: ast.Name) -> Any:
        return _WORDS[node.id] if node.id in _WORDS else self._got(node)

    def _got(self, node: ast.expr) -> Any:
        return ("get", *self._path(node))

    def _path(self, node: ast.expr) -> list[str | int]:
        """Where in the result a name, with its attributes and indexes, points."""
        self._looks = True
        steps: list[str | int] = []
        inner = node
        while not isinstance(inner, ast.Name):
            step, inner = self._step(inner)
            steps.append(step)
        if inner.id != "result":
            steps.append(inner.id)
        return steps[::-1]

    def _step(self, node: ast.expr) -> tuple[str | int, ast.expr]:
        """The last step of a path, and the path before it."""
        if isinstance(node, ast.Attribute):
            return node.attr, node.value
        if isinstance(node, ast.Subscript):
            match node.slice:
                case ast.Constant(value=str() as word):
                    return self._text(node, word), node.value
                case ast.Constant() | ast.UnaryOp():
                    at = self._tree(node.slice)
                    if is_whole(at):
                        return at, node.value
        return self._wrong(node, 'is no path: write a.b, a["b"] or a[0]')
