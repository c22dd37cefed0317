"""Finds, joins and checks the Lua scripts.

`lua/<room>/<verb>.lua` is a script, `lua/lib/<word>.lua` a piece that scripts share by
`--- @include lib/<word>`. Each opens with a comment that names its KEYS, ARGV and what it returns;
the comment is read here, and a wrong call is refused with the names of what is missing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from coordq import settings
from coordq.errors import ScriptMissing, ScriptMisuse

_INCLUDE: Final = re.compile(r"^--- @include (\S+)\s*$", re.MULTILINE)
_HEADER: Final = re.compile(r"\A--\[\[\n(.*?)\]\]\n", re.DOTALL)
_ARGUMENT: Final = re.compile(r"^ARGV\[(\d+)(\.\.\.)?\]\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script, ready to send."""

    name: str
    source: str
    sha: str
    header: str
    args: tuple[str, ...]
    """What each fixed ARGV is, in the header's words."""
    open_ended: bool
    """Whether more arguments may follow the fixed ones."""

    def check(self, amount: int) -> None:
        """Raise ScriptMisuse when `amount` arguments cannot be right."""
        missing = self.args[amount:]
        if missing:
            raise ScriptMisuse(f"{self.name} was called without: {'; '.join(missing)}.")
        if amount > len(self.args) and not self.open_ended:
            raise ScriptMisuse(
                f"{self.name} takes {len(self.args)} arguments and was called with {amount}."
            )


@cache
def lua_root() -> Traversable:
    """Where the Lua lives: in COORDQ_LUA, in the wheel, or beside the package in a checkout."""
    chosen = settings.get("LUA")
    if chosen is not None:
        if not (Path(chosen) / "work").is_dir():
            raise ScriptMissing(f"COORDQ_LUA={chosen!r} is no folder of coordq's Lua: unset it.")
        return Path(chosen)
    installed = files("coordq") / "lua"
    if installed.is_dir():
        return installed
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "lua"
    raise ScriptMissing("coordq's Lua scripts are not installed: reinstall the coordq package.")


def _text(name: str) -> str:
    file = lua_root().joinpath(*f"{name}.lua".split("/"))
    if not file.is_file():
        raise ScriptMissing(f"lua/{name}.lua is not there: reinstall the coordq package.")
    return file.read_text(encoding="utf-8")


def _body(text: str) -> str:
    return _HEADER.sub("", text, count=1)


def _joined(text: str, included: set[str]) -> str:
    """`text` with each include replaced by its file's body, once, where it is first named."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in included:
            return ""
        included.add(name)
        return _joined(_body(_text(name)), included)

    return _INCLUDE.sub(replace, text)


def _arguments(header: str) -> tuple[tuple[str, ...], bool]:
    fixed: list[str] = []
    open_ended = False
    for number, more, words in _ARGUMENT.findall(header):
        if more:
            open_ended = True
        else:
            fixed.append(f"ARGV[{number}] {re.sub(' +', ' ', words.strip())}")
    return tuple(fixed), open_ended


@cache
def load(name: str) -> Script:
    """The script called `name`, such as "work/claim". Raises ScriptMissing."""
    text = _text(name)
    header = _HEADER.match(text)
    if header is None:
        raise ScriptMissing(f"lua/{name}.lua does not open with its header comment.")
    source = _joined(_body(text), set())
    args, open_ended = _arguments(header.group(1))
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, header.group(1), args, open_ended)


def names() -> list[str]:
    """The names of all scripts."""
    rooms = (entry for entry in lua_root().iterdir() if entry.is_dir() and entry.name != "lib")
    return sorted(
        f"{room.name}/{file.name.removesuffix('.lua')}"
        for room in rooms
        for file in room.iterdir()
        if file.name.endswith(".lua")
    )
