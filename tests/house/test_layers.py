"""The house stands on its floors: what may know what, and how big things may get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from scripts import measure

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "coordq").rglob("*.py"))

FILE_LINES_MAX = 400
CATALOGUES = {"coordq/errors.py"}  # a class for each code, and nothing else
FUNCTION_LINES_MAX = 60
IMPORT_DEPTH_MAX = 16  # a ratchet: it only falls

# Who may ask the machine for what. Everyone else is told.
CLOCKS = {"coordq/clock.py", "coordq/ids.py"}
ENVIRONMENTS = {"coordq/settings.py"}


@pytest.fixture(scope="module")
def house() -> measure.House:
    """The tape, applied once."""
    return measure.measure(ROOT)


def test_imports_only_go_down() -> None:
    """The contracts of pyproject.toml hold, among them: engine is the only door to Redis."""
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_no_import_goes_round(house: measure.House) -> None:
    """Also inside a room: two modules that need each other are one module, or three."""
    assert house.import_cycles == []
    assert house.import_depth <= IMPORT_DEPTH_MAX


def test_files_stay_readable() -> None:
    """A god file starts as one that is a little too long."""
    lengths = {str(path.relative_to(ROOT)): lines for path, lines in measure.lengths(ROOT)}

    assert {path for path, lines in lengths.items() if lines > FILE_LINES_MAX} <= CATALOGUES


def test_functions_stay_readable(house: measure.House) -> None:
    """Aim for 8 lines, wonder at 30, stop at 60."""
    longest = max(tape.function_max for tape in house.folders.values())

    assert longest <= FUNCTION_LINES_MAX, house.longest_function


def test_every_test_says_why_it_matters(house: measure.House) -> None:
    """The name says what, the docstring says why."""
    assert house.tests_with_docstring == 1


def test_only_the_clock_reads_time() -> None:
    """Leases are decided by Redis's clock; ours is read in one place, so that is easy to see."""
    readers = {"time", "time_ns", "monotonic", "monotonic_ns", "now", "utcnow"}
    found = {
        where
        for path in PACKAGE
        for where, owner, name in attributes(path)
        if (owner in {"time", "datetime"} and name in readers)
    }

    assert {where for where in found if where.split(":")[0] not in CLOCKS} == set()


def test_only_settings_reads_the_environment() -> None:
    """One place to look for every COORDQ_ variable."""
    found = {
        where
        for path in PACKAGE
        for where, owner, name in attributes(path)
        if owner == "os" and name in {"environ", "getenv", "environb"}
    }

    assert {where for where in found if where.split(":")[0] not in ENVIRONMENTS} == set()


def attributes(path: Path) -> Iterator[tuple[str, str, str]]:
    """Every `owner.name` in a file, with where it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value.id, node.attr
