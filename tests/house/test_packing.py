"""What the wheel carries, and that it works where there is no checkout."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import coordq

ROOT = Path(__file__).resolve().parents[2]
MOUNTED = {"coordq.lua": ROOT / "lua", "coordq.workers": ROOT / "workers"}
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "coordq", "lua", "workers")

# Everything this program says comes from the wheel: the package, the Lua and the agents.
END_TO_END = """
import subprocess, sys
from pathlib import Path
import coordq

agents = Path(coordq.__file__).parent / "workers"
url = "embedded://" + sys.argv[1]
with coordq.connect(url) as client:
    handle = client.work.enqueue("echo", {"text": "from the wheel"})
    command = [Path(sys.executable).with_name("coordq"), "worker", agents / "echo.py"]
    subprocess.run([*command, "--url", url, "--burst"], check=True, timeout=120)
    print(handle.result(timeout=120))
"""


def setting(*path: str) -> Any:
    """A value of pyproject.toml."""
    value: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for key in path:
        value = value[key]
    return value


def test_every_folder_is_on_the_packing_list() -> None:
    """An unlisted room would be missing from the wheel, and only there."""
    rooms = {
        ".".join(folder.parent.relative_to(ROOT).parts)
        for folder in (ROOT / "coordq").rglob("__init__.py")
    }

    assert set(setting("tool", "setuptools", "packages")) == rooms | set(MOUNTED)


def test_the_version_is_one() -> None:
    """What the package says of itself is what pip says of it."""
    assert coordq.__version__ == setting("project", "version")


# ---------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is needed to build, so that building leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=leave_out)
        else:
            shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a source that is gone afterwards."""
    out = tmp_path_factory.mktemp("dist")
    options = ("--wheel", "--no-isolation", "--outdir")
    run(sys.executable, "-m", "build", *options, out, source)
    shutil.rmtree(source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def packed(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with ZipFile(wheel) as files:
        return set(files.namelist())


def test_the_wheel_carries_the_lua_and_the_agents(packed: set[str]) -> None:
    """All of both, under coordq/."""
    lua = {f"coordq/lua/{path.relative_to(ROOT / 'lua')}" for path in ROOT.glob("lua/**/*.lua")}
    agents = {f"coordq/workers/{path.name}" for path in ROOT.glob("workers/*.py")}

    assert len(lua) > 10
    assert len(agents) >= 4
    assert lua | agents <= packed


def test_the_wheel_carries_every_module(packed: set[str]) -> None:
    """And the marker that says that they have types."""
    modules = {str(path.relative_to(ROOT)) for path in ROOT.glob("coordq/**/*.py")}

    assert modules | {"coordq/py.typed"} <= packed


def test_the_wheel_brings_nothing_else(packed: set[str]) -> None:
    """No `workers`, `lua` or `tests` in site-packages, where they would be everybody's."""
    tops = {name.split("/")[0] for name in packed}

    assert tops == {"coordq", f"coordq-{coordq.__version__}.dist-info"}


# ---------------------------------------------------------------- the wheel at work


@pytest.fixture(scope="module")
def empty_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python with nothing installed but pip."""
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python has no ensurepip: install python3-venv")
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    probe = subprocess.run([*pip(python), "click"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"pip cannot fetch packages here: {probe.stderr.strip().splitlines()[-1]}")
    yield python
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.timeout(300)
def test_a_task_runs_from_the_wheel_alone(
    wheel: Path, empty_python: Path, tmp_path: Path, server_binary: Path
) -> None:
    """Installed where no checkout is: embedded Redis, an agent that came along, a result."""
    if not (is_there("coordq.client.client") and is_there("coordq.interfaces.cli")):
        pytest.skip("there is no client or no command line yet")
    assert server_binary
    run(*pip(empty_python), wheel)
    said = run(empty_python, "-I", "-c", END_TO_END, tmp_path / "redis", cwd=tmp_path)

    assert said.splitlines()[-1] == "from the wheel"


def is_there(module: str) -> bool:
    """Whether a module of ours exists, as a file."""
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


def pip(python: Path) -> list[str | Path]:
    """How to install something into that Python."""
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
