"""Turns targets (a file, a folder, a module, `place:object`) into agents.

Files and folders are loaded *by path, into a private package* named after the folder's place on
disk, never through `sys.path`. So a user's `redis.py` is not what `import redis` finds, two
folders may both have an `echo.py`, `from ._shared import x` works inside a folder, and a process
that was spawned, not forked, gives every module the same name as its parent did. Module targets
are ordinary imports, with the current directory importable, as for `python -m`.

What cannot be loaded is an InvalidAgent that names file, line and cause, and leaves nothing
behind: no module, no agent, no entry on `sys.path`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import coordq
from coordq.errors import InvalidAgent, ScriptMissing
from coordq.work.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from coordq.work.handler import Handler

APP: Final = "_coordq_app_"
"""How the names of private packages start; the rest is a digest of the folder's path."""

WATCHED_MAX: Final = 5000
FOLDERS_MAX: Final = 2000
"""Files that `watched` returns and folders it looks into: a target of `/` must not stall it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the targets gave: their agents, in order and each once, and the files to watch."""

    agents: list[Agent]
    files: list[Path]


@dataclass(frozen=True, slots=True)
class _Target:
    """One target, understood: either a path or a module, and perhaps an object in it."""

    text: str
    path: Path | None
    module: str
    attribute: str

    @property
    def folder(self) -> Path | None:
        """The folder whose private package this target is loaded into. None for a module."""
        if self.path is None:
            return None
        return self.path if self.path.is_dir() else self.path.parent


def load(targets: Sequence[str]) -> Loaded:
    """Import every target and collect its agents.

    A target is a file (`app/crawl.py`), a folder (`./app`: each `.py` in it, except tests and
    names that start with `_`), a module (`app.crawl`), or any of the first and third with an
    object (`app/crawl.py:agent`). Like an import, loading the same place twice in one process
    gives the same objects.

    Raises InvalidAgent for a target that does not exist, does not import or holds no agent, and
    for two agents with a task of the same name. Facts: target, file, line, cause.
    """
    if not targets:
        raise InvalidAgent("nothing to load: name a file, a folder or a module.", target="")
    modules, path = set(sys.modules), list(sys.path)
    try:
        parsed = [_parse(text) for text in targets]
        agents = _distinct([agent for target in parsed for agent in _agents_of(target)])
    except BaseException:
        _forget(modules)
        sys.path[:] = path
        raise
    return Loaded(agents, watched(targets))


def watched(targets: Sequence[str]) -> list[Path]:
    """The Python files a change of which is a reason to load the targets again.

    Found on disk without importing anything, so it works for targets that do not load (yet), and
    in a worker's parent, which never runs the user's code. Targets that do not exist add nothing.
    """
    files: dict[Path, None] = {}
    for text in targets:
        try:
            target = _parse(text)
        except InvalidAgent:
            continue
        for file in _sources(target):
            files.setdefault(file)
            if len(files) >= WATCHED_MAX:
                return list(files)
    return list(files)


def builtin_workers() -> Path:
    """The folder of the agents that come with coordq: in the wheel, or beside a checkout.

    Raises ScriptMissing when it is in neither place: the installation is broken.
    """
    package = Path(coordq.__path__[0]).resolve()
    for folder in (package / "workers", package.parent / "workers"):
        if (folder / "echo.py").is_file():
            return folder
    raise ScriptMissing(f"workers/ is not in {package}: install coordq again.", place=str(package))


# Targets


def _parse(text: str) -> _Target:
    """What `text` means. What exists as a path is a path; the rest must read as a module."""
    whole = Path(text)
    if whole.exists():
        return _parse_place(text, text, "")
    place, colon, attribute = text.rpartition(":")
    if not colon:
        place, attribute = text, ""
    elif not all(part.isidentifier() for part in attribute.split(".")):
        raise _refusal(text, f"{attribute!r} cannot be the name of an object")
    return _parse_place(text, place, attribute)


def _parse_place(text: str, place: str, attribute: str) -> _Target:
    path = Path(place)
    dotted = bool(place) and all(part.isidentifier() for part in place.split("."))
    if dotted and (path / "__init__.py").is_file():
        return _Target(text, None, place, attribute)  # a real package: its imports say `place.x`
    if place and path.exists():
        return _Target(text, _loadable(text, path, attribute), "", attribute)
    if dotted and not place.endswith(".py"):
        return _Target(text, None, place, attribute)
    raise _refusal(text, "there is no such file or folder, and it cannot be the name of a module")


def _loadable(text: str, path: Path, attribute: str) -> Path:
    if path.is_dir():
        if attribute:
            raise _refusal(text, "a folder has no objects; name the file that defines it")
        return path.resolve()
    if path.suffix != ".py":
        raise _refusal(text, "it is not a Python file (.py)")
    return path.resolve()


def _refusal(text: str, cause: str) -> InvalidAgent:
    return InvalidAgent(f"cannot load {text!r}: {cause}.", target=text, cause=cause)


# Importing


def _agents_of(target: _Target) -> list[Agent]:
    importlib.invalidate_caches()  # a file written a moment ago is not in the finder's listing
    modules = list(_modules(target))
    agents = [one for module in modules for one in _agents_in(module)]
    if target.attribute:
        agents = [_named(target, modules[0])]
    if not agents:
        raise _refusal(target.text, "it defines no agent (agent = Agent('name'))")
    doings = [one for agent in agents for one in agent.doings]
    if not doings:
        raise _refusal(target.text, "its agents have no tasks (@agent.task) and hear nothing")
    for handler in doings:
        handler.source = _source_of(handler, target)
        with _located(handler):
            handler.prepare()
    return agents


def _agents_in(module: ModuleType) -> list[Agent]:
    return [value for value in vars(module).values() if isinstance(value, Agent)]


def _source_of(handler: Handler, target: _Target) -> str:
    """The smallest target that gives this handler to a fresh process."""
    module = sys.modules.get(handler.fn.__module__)
    if module is None or not any(one is handler.agent for one in _agents_in(module)):
        return str(target.path) if target.path else target.text
    if module.__name__.startswith(APP):
        return str(module.__file__)
    return module.__name__


def _named(target: _Target, module: ModuleType) -> Agent:
    found: object = module
    for part in target.attribute.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Agent):
        return found
    what = "does not exist" if found is None else f"is {type(found).__name__}, not an Agent"
    raise _refusal(target.text, f"{target.attribute!r} {what}")


def _modules(target: _Target) -> Iterator[ModuleType]:
    if target.path is None:
        yield _import_module(target)
        return
    folder = target.folder
    assert folder is not None
    package = _package(target.text, folder)
    if target.path.is_dir() or target.path.name == "__init__.py":
        yield package
    if target.path.is_dir():
        files = sorted(file for file in folder.glob("*.py") if _stands_alone(file))
    else:
        files = [target.path] if target.path.name != "__init__.py" else []
    for file in files:
        yield _import_file(target.text, package, file)


def _stands_alone(file: Path) -> bool:
    """Whether a file in a folder is loaded on its own: not private, not a test, not a set-up."""
    stem = file.stem
    if stem.startswith(("_", ".", "test_")) or stem.endswith("_test"):
        return False
    return stem not in {"conftest", "setup"} and file.is_file()


def _package(text: str, folder: Path) -> ModuleType:
    """The private package of a folder, with the folder as its only search path."""
    name = APP + hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    init = folder / "__init__.py"
    spec: ModuleSpec | None = ModuleSpec(name, None, is_package=True)
    if init.is_file():
        spec = spec_from_file_location(name, init, submodule_search_locations=[])
    assert spec is not None
    spec.submodule_search_locations = [str(folder)]
    module = sys.modules[name] = module_from_spec(spec)
    if spec.loader is not None and init.is_file():
        with _explained(text, folder):
            spec.loader.exec_module(module)
    return module


def _import_file(text: str, package: ModuleType, file: Path) -> ModuleType:
    if "." in file.stem:
        raise _refusal(text, f"the name {file.name!r} has a dot in it; call the file otherwise")
    with _explained(text, file.parent):
        return importlib.import_module(f"{package.__name__}.{file.stem}")


def _import_module(target: _Target) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    place = _module_place(target.module)
    if place is None and target.module.partition(".")[0] not in sys.modules:
        raise _refusal(target.text, f"there is no file, folder or module of this name in {here}")
    with _explained(target.text, place):
        return importlib.import_module(target.module)


def _forget(before: set[str]) -> None:
    """Drop the private modules that were imported since `before`, so that a retry starts anew."""
    for name in [name for name in sys.modules if name not in before and name.startswith(APP)]:
        del sys.modules[name]


# Explaining what failed


@contextmanager
def _explained(text: str, folder: Path | None) -> Iterator[None]:
    """Turns whatever an import raises into an InvalidAgent that says where and why."""
    try:
        yield
    except (Exception, SystemExit) as error:
        file, line = _place_of(error, folder)
        cause = str(error) if isinstance(error, InvalidAgent) else _one_line(error)
        cause += _relative_hint(error, folder)
        where = f"{_short(file)}:{line}: " if file else ""
        message = f"cannot load {text!r}: {where}{cause}"
        raise InvalidAgent(message, target=text, file=file, line=line, cause=cause) from error


@contextmanager
def _located(handler: Handler) -> Iterator[None]:
    """Puts the place of a handler in front of what is wrong with it."""
    try:
        yield
    except InvalidAgent as error:
        file, line = _defined_at(handler)
        message = f"{_short(file)}:{line}: {error}"
        raise InvalidAgent(message, file=file, line=line, cause=str(error)) from error


def _one_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return traceback.format_exception_only(error)[-1].strip()


def _place_of(error: BaseException, folder: Path | None) -> tuple[str, int]:
    """The deepest line of the user's own code; for a syntax error the line that is wrong."""
    if isinstance(error, SyntaxError) and error.filename and os.path.isfile(error.filename):  # noqa: PTH113
        return error.filename, error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if folder and Path(one.filename).is_relative_to(folder)]
    return (own[-1].filename, own[-1].lineno or 0) if own else ("", 0)


def _relative_hint(error: BaseException, folder: Path | None) -> str:
    """The commonest slip: `import shared` for a neighbour, which is on no search path."""
    if not isinstance(error, ModuleNotFoundError) or folder is None or not error.name:
        return ""
    neighbour = folder / error.name.partition(".")[0]
    if not (neighbour.is_dir() or neighbour.with_suffix(".py").is_file()):
        return ""
    return f" (for a file beside this one write: from . import {neighbour.name})"


def _short(file: str) -> str:
    return os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else file


# Agents


def _distinct(agents: list[Agent]) -> list[Agent]:
    """Each agent once, however many files import it. Raises when two share a task's name."""
    unique = list({id(agent): agent for agent in agents}.values())
    owners: dict[str, Handler] = {}
    for agent in unique:
        for handler in agent.doings:
            other = owners.setdefault(handler.name, handler)
            if other is not handler:
                raise _clash(other, handler)
    return unique


def _clash(first: Handler, second: Handler) -> InvalidAgent:
    file, line = _defined_at(second)
    there = ":".join(map(str, _defined_at(first)))
    cause = f"{second.name!r} is already defined by agent {first.agent.name!r} at {there}"
    return InvalidAgent(
        f"{_short(file)}:{line}: {cause}; give one of them another name.",
        file=file,
        line=line,
        cause=cause,
        task=second.name,
    )


def _defined_at(handler: Handler) -> tuple[str, int]:
    code = handler.fn.__code__
    return code.co_filename, code.co_firstlineno


# Files


def _module_place(module: str) -> Path | None:
    """The file or folder of a module's top-level package, found without importing it."""
    top = module.partition(".")[0]
    spec = PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None


def _sources(target: _Target) -> Iterator[Path]:
    """A file target's neighbours count, since it may import them; its sub-folders do not."""
    place = target.path if target.path is not None else _module_place(target.module)
    if place is None:
        return
    if place.is_file():
        yield from sorted(place.parent.glob("*.py")) if target.path else [place]
        return
    for folder, inner, names in islice(os.walk(place), FOLDERS_MAX):
        inner[:] = sorted(name for name in inner if _is_source(folder, name))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _is_source(folder: str, name: str) -> bool:
    if name in {"__pycache__", "node_modules"} or name.startswith("."):
        return False
    return not Path(folder, name, "pyvenv.cfg").exists()
