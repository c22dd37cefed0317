"""Figures of Python sources, of one file and of many: what `audit.py` measures, and its sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

TOP: Final = 20
"""How many modules, functions and imports a tally keeps of each ranking."""
HOT: Final = 25
"""Complexity from which on a function is looked at more closely."""


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
    parsed: bool = True
    """Whether it is Python at all; else its lines were counted, and nothing more."""

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
class HotSpot:
    """A function that is hard to follow: how it branches, how long and how deep it is."""

    path: str
    name: str
    line: int
    complexity: int
    lines: int
    depth: int
    """Blocks inside one another."""
    parameters: int


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
    """Files without figures."""
    unparsed: int = 0
    hot: int = 0
    """Functions that were looked at more closely; `spots` are the worst of them."""
    spots: list[HotSpot] = field(default_factory=list)
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


# Adding up


def tally(figures: Iterable[FileFigures], spots: Iterable[HotSpot] = ()) -> Tally:
    """The sum of these files' figures, with the worst of these functions."""
    found = sorted(spots, key=_heat, reverse=True)
    return join([*map(_single, figures), Tally(hot=len(found), spots=found)])


def join(tallies: Iterable[Tally]) -> Tally:
    """The sum of these tallies. Rankings stay TOP long, so joining does not grow them."""
    parts = list(tallies)
    ranked = sorted(chain.from_iterable(one.top for one in parts), key=_rank, reverse=True)
    spots = sorted(chain.from_iterable(one.spots for one in parts), key=_heat, reverse=True)
    imports: Counter[str] = Counter()
    for one in parts:
        imports.update(one.imports)
    sums = {name: sum(getattr(one, name) for one in parts) for name in _SUMMED}
    return Tally(
        **sums,
        spots=spots[:TOP],
        top=ranked[:TOP],
        imports=dict(imports.most_common(_IMPORTS_KEPT)),
    )


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
    "unparsed",
    "hot",
)

_IMPORTS_KEPT: Final = 200


def _rank(one: Ranked) -> tuple[int, float, str]:
    return one.complexity_max, one.complexity_mean, one.path


def _heat(one: HotSpot) -> tuple[int, int, str, int]:
    return one.complexity, one.depth, one.path, one.line


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
        unparsed=not one.parsed,
        top=[place] if one.functions else [],
        imports=dict.fromkeys(one.imports, 1),
    )
