"""A corpus to argue about: passages of text, and which of them speak of a question."""

from __future__ import annotations

import ast
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from coordq.interfaces.demo.sources import SKIPPED

TEXTS: Final = (".md", ".rst", ".txt")
PASSAGE_MIN: Final = 40
PASSAGE_MAX: Final = 400
FILE_MAX: Final = 1_000_000
"""Bytes; what is larger is left out."""
_WORD: Final = re.compile(r"[a-z]{3,}")
_COMMON: Final = """
    the and for that this with are not from has have was were will can may its they which should how
    what when where who why does done into than then them there their one two all any each other
    some such only also but you your our out use used using
"""
LEFT_OUT: Final = SKIPPED | {"test", "tests", "idlelib", "lib2to3", "encodings", "turtledemo"}


@dataclass(frozen=True, slots=True)
class Passage:
    """A few sentences, and where they stand."""

    subject: str
    """What it speaks of: the module, or the file."""
    where: str
    text: str


def words(text: str) -> list[str]:
    """The words of a text that tell something, cut to their stems as well as a knife can."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _common()]


@cache
def _common() -> frozenset[str]:
    return frozenset(_COMMON.split())


def _stem(word: str) -> str:
    for end in ("ing", "ed", "es", "s"):
        if word.endswith(end) and len(word) - len(end) >= 3:  # noqa: PLR2004 - what is left of it
            return word[: -len(end)]
    return word


def read(root: Path) -> list[Passage]:
    """All passages under a folder, or of a file: docstrings of Python, paragraphs of texts."""
    files = [root] if root.is_file() else sorted(_walk(root))
    return [passage for file in files for passage in _passages(file, root)]


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in LEFT_OUT and not name.startswith(".")]
        for name in names:
            if name.endswith((".py", *TEXTS)):
                yield Path(folder, name)


def _passages(file: Path, root: Path) -> Iterator[Passage]:
    shown = file.name if file == root else str(file.relative_to(root))
    subject = shown.replace("/", ".").rpartition(".")[0].removesuffix(".__init__").partition(".")[0]
    try:
        if file.stat().st_size > FILE_MAX:
            return
        text = file.read_text(encoding="utf-8")
        spoken = _docstrings(text) if file.suffix == ".py" else [("", text)]
        for name, said in spoken:
            where = f"{shown}:{name}" if name else shown
            for paragraph in re.split(r"\n\s*\n", said):
                flat = " ".join(paragraph.split())
                if len(flat) >= PASSAGE_MIN:
                    yield Passage(subject, where, flat[:PASSAGE_MAX])
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return


def _docstrings(text: str) -> list[tuple[str, str]]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (getattr(node, "name", ""), said)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds) and (said := ast.get_docstring(node))
    ]


class Corpus:
    """Passages that can be asked what they say of a question. Ranked by BM25 (Robertson, 1994)."""

    def __init__(self, passages: list[Passage]) -> None:
        self.passages = passages
        self._counts = [Counter(words(passage.text)) for passage in passages]
        self._rarity: Counter[str] = Counter()
        for counts in self._counts:
            self._rarity.update(counts.keys())
        self._length = sum(map(len, self._counts)) / max(1, len(passages))

    def ask(self, question: str, *, most: int = 50) -> list[tuple[float, Passage]]:
        """The passages that fit best, with their scores, best first."""
        asked = set(words(question))
        scored = [
            (self._score(asked, counts), at)
            for at, counts in enumerate(self._counts)
            if not asked.isdisjoint(counts)
        ]
        scored.sort(key=lambda each: (-each[0], each[1]))
        return [(round(score, 3), self.passages[at]) for score, at in scored[:most]]

    def _score(self, asked: set[str], counts: Counter[str]) -> float:
        spread, damping = 0.75, 1.2
        long = 1 - spread + spread * len(counts) / self._length
        total = 0.0
        for word in asked & counts.keys():
            rare = math.log(1 + len(self.passages) / (0.5 + self._rarity[word]))
            often = counts[word]
            total += rare * often * (damping + 1) / (often + damping * long)
        return total
