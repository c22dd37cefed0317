"""A flow file's text as plain data: YAML or JSON, with `${name}` filled in.

Only what JSON could say as well: no tags, anchors or dates, and `on`, `yes` and `no` are words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml
from yaml.nodes import MappingNode

from coordq.errors import InvalidFlow

FILE_MAX: Final = 16 * 1024 * 1024
"""Bytes."""
DEPTH_MAX: Final = 50
_PLACE: Final = re.compile(r"\$(?:\$|\{([^}]*)\}?)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def refuse(path: Path, why: str, **facts: Any) -> NoReturn:
    """Raise InvalidFlow about a file."""
    raise InvalidFlow(f"{path}: {why}.", file=str(path), **facts)


def read_text(path: Path) -> str:
    """The text of a file. Raises InvalidFlow."""
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        refuse(path, f"it cannot be read: {reason}; name a flow file in YAML or JSON")
    if len(raw) > FILE_MAX:
        refuse(path, f"it has {len(raw):,} bytes, {FILE_MAX:,} are allowed: build it in Python")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(path, f"byte {error.start} is not UTF-8: save the file as UTF-8")


def read_data(text: str, path: Path) -> dict[str, Any]:
    """The mapping that a text spells; `.json` is JSON, all else YAML. Raises InvalidFlow."""
    data = _json(text, path) if path.suffix.lower() == ".json" else _yaml(text, path)
    if not isinstance(data, dict):
        refuse(path, "it is no mapping: begin with `name:` and `tasks:`")
    return data


def _json(text: str, path: Path) -> Any:
    def no_constant(word: str) -> NoReturn:
        refuse(path, f"{word} is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                refuse(path, f"{key!r} is there twice in one object")
            found[key] = value
        return found

    try:
        return json.loads(text, parse_constant=no_constant, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        refuse(path, f"line {error.lineno}: this is not JSON: {error.msg}")
    except (ValueError, RecursionError) as error:
        refuse(path, f"this is not JSON that can be read: {error}")


class _Loader(yaml.SafeLoader):
    """YAML of which only the plain part is understood."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"line {event.start_mark.line + 1}: aliases (*name) are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as PyYAML calls it
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise yaml.YAMLError(f"line {line}: the key {key!r} is not text: put it in quotes")
            if key in seen:
                raise yaml.YAMLError(f"line {line}: {key!r} is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in found
        if tag.rpartition(":")[2] in ("null", "int", "float")
    ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)


def _yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader that reads still less
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        refuse(path, f"{line}this is not YAML: {error.problem or error.context}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        refuse(path, " ".join(str(error).split()) or "it is nested too deep")


def fill(data: Any, given: Mapping[str, str], path: Path, *, by: str = "--set {}=...") -> Any:
    """`data` with every `${name}` in its texts replaced; `$$` is a `$`.

    by: how one gives something for a name. Keys stay as they are. Raises InvalidFlow for a name
    that nobody gave, and for one that was given and stands nowhere.
    """
    filler = _Filler(given, path, by)
    filled = filler.walk(data, 0)
    for name in given:
        if name not in filler.used:
            refuse(path, f"it has no ${{{name}}}: {by.format(name)} would change nothing")
    return filled


class _Filler:
    """Puts what was given into the texts of one file."""

    def __init__(self, given: Mapping[str, str], path: Path, by: str) -> None:
        self.given = given
        self.path = path
        self.by = by
        self.used: set[str] = set()

    def walk(self, value: Any, depth: int) -> Any:
        if depth > DEPTH_MAX:
            refuse(self.path, f"it is nested more than {DEPTH_MAX} levels deep")
        if isinstance(value, str):
            return _PLACE.sub(self._put, value)
        if isinstance(value, dict):
            return {key: self.walk(one, depth + 1) for key, one in value.items()}
        return [self.walk(one, depth + 1) for one in value] if isinstance(value, list) else value

    def _put(self, match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        if not match.group(0).endswith("}") or _NAME.match(name) is None:
            refuse(self.path, f"{match.group(0)!r} names nothing: write ${{name}}, or $$ for a $")
        if name not in self.given:
            wanted = self.by.format(name)
            refuse(self.path, f"nobody gave ${{{name}}}: add {wanted}", parameter=name)
        self.used.add(name)
        return self.given[name]
