"""The tape: how big the house is. One table; `--json` for programs.

    python scripts/measure.py [--json]

Lines include comments and blanks. A function's length leaves out its docstring. Depth is the
longest chain of imports inside the package that does not turn back; modules on a cycle count as
one link.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("coordq", "workers", "lua", "scripts", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Tape:
    """The measures of one folder. Zero where there is nothing to measure."""

    files: int = 0
    lines: int = 0
    file_median: int = 0
    file_max: int = 0
    functions: int = 0
    function_p50: int = 0
    function_p90: int = 0
    function_max: int = 0


@dataclass(frozen=True, slots=True)
class House:
    """The measures of the whole."""

    folders: dict[str, Tape]
    import_depth: int
    import_cycles: list[list[str]]
    tests_per_code: float
    tests: int
    tests_with_docstring: float
    longest_function: str
    longest_file: str


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the code base.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    house = measure(ROOT)
    if parser.parse_args(arguments).json:
        print(json.dumps(asdict(house), indent=2))
    else:
        print("\n".join(table(house)))


def measure(root: Path) -> House:
    """Measure every folder under `root`."""
    sources = {name: list(_sources(root / name)) for name in FOLDERS}
    folders = {name: _tape(files) for name, files in sources.items()}
    tests = [one for path in sources["tests"] for one in _functions(path) if _is_test(one)]
    code = sum(folders[name].lines for name in ("coordq", "workers", "lua"))
    graph = grimp.build_graph("coordq", cache_dir=None, exclude_type_checking_imports=True)
    depth, cycles = _depth_and_cycles(
        {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    )
    return House(
        folders=folders,
        import_depth=depth,
        import_cycles=cycles,
        tests_per_code=round(folders["tests"].lines / max(code, 1), 2),
        tests=len(tests),
        tests_with_docstring=_share(tests, lambda test: ast.get_docstring(test) is not None),
        longest_function=_longest_function(root, sources),
        longest_file=_longest_file(root),
    )


def table(house: House) -> Iterator[str]:
    """The lines of the printed table."""
    yield "folder    files   lines   median / max file   fn p50 / p90 / max"
    for name, tape in house.folders.items():
        yield (
            f"{name:<8} {tape.files:6} {tape.lines:7,}   {tape.file_median:6} / {tape.file_max:<8}"
            + (
                f"   {tape.function_p50:6} / {tape.function_p90} / {tape.function_max}"
                if tape.functions
                else ""
            )
        ).rstrip()
    cycles = "; ".join(" > ".join(cycle) for cycle in house.import_cycles) or "none"
    yield f"import depth {house.import_depth}, cycles: {cycles}"
    yield f"tests : code {house.tests_per_code}, tests {house.tests},"
    yield f"  with a docstring {house.tests_with_docstring:.0%}"
    yield f"longest function {house.longest_function}"
    yield f"longest file {house.longest_file}"


# ---------------------------------------------------------------- files and functions


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".lua"} and "__pycache__" not in path.parts:
            yield path


def _tape(files: list[Path]) -> Tape:
    if not files:
        return Tape()
    lines = [_line_count(path) for path in files]
    lengths = sorted(_length(one) for path in files for one in _functions(path))
    return Tape(
        files=len(files),
        lines=sum(lines),
        file_median=round(statistics.median(lines)),
        file_max=max(lines),
        functions=len(lengths),
        function_p50=_quantile(lengths, 0.5),
        function_p90=_quantile(lengths, 0.9),
        function_max=lengths[-1] if lengths else 0,
    )


def _line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(path: Path) -> list[Function]:
    if path.suffix != ".py":
        return []
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def _length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring; decorators are not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _is_test(function: Function) -> bool:
    return function.name.startswith("test_")


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0


def _share(all_of_them: list[Function], holds: Callable[[Function], bool]) -> float:
    return round(sum(map(holds, all_of_them)) / max(len(all_of_them), 1), 3)


def _longest_function(root: Path, sources: dict[str, list[Path]]) -> str:
    found = [
        (_length(one), f"{path.relative_to(root)}:{one.lineno} {one.name}")
        for files in sources.values()
        for path in files
        for one in _functions(path)
    ]
    length, where = max(found, default=(0, "-"))
    return f"{where} ({length})"


def lengths(root: Path) -> list[tuple[Path, int]]:
    """Every source file under `root`, and its lines."""
    return [(path, _line_count(path)) for name in FOLDERS for path in _sources(root / name)]


def _longest_file(root: Path) -> str:
    path, lines = max(lengths(root), key=lambda each: each[1])
    return f"{path.relative_to(root)} ({lines})"


# ---------------------------------------------------------------- what imports what


def _depth_and_cycles(imports: dict[str, set[str]]) -> tuple[int, list[list[str]]]:
    """The longest chain over the condensed graph, and every group of modules on a cycle."""
    group_of = {module: group for group in _groups(imports) for module in group}

    @cache
    def depth(group: frozenset[str]) -> int:
        below = {group_of[target] for module in group for target in imports[module]} - {group}
        return 1 + max(map(depth, below), default=0)

    cycles = sorted(sorted(group) for group in set(group_of.values()) if len(group) > 1)
    return max(map(depth, group_of.values()), default=0), cycles


def _groups(imports: dict[str, set[str]]) -> list[frozenset[str]]:
    """Modules that can reach each other, together: strongly connected components."""
    reach = {module: _reachable(imports, module) for module in imports}
    return [
        frozenset({module} | {other for other in reach[module] if module in reach[other]})
        for module in imports
    ]


def _reachable(imports: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    ahead = list(imports[start])
    while ahead:
        module = ahead.pop()
        if module not in seen:
            seen.add(module)
            ahead.extend(imports[module])
    return seen


if __name__ == "__main__":
    main(sys.argv[1:])
