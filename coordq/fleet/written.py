"""Values as they are written in a fleet file: what is meant, or a sentence on what to write.

Each is a type for a pydantic field. pydantic checks the tables; what stands in them is checked
here, so that a refusal says in one sentence what would have been right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import PlainValidator, ValidationInfo

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidName
from coordq.names import check_name
from coordq.spans import parse_span

DAY_S: Final = 86_400.0
NAME_MAX: Final = 40
"""Of fleets, groups and zones: workers are named after them, and have a number besides."""
_VARIABLE: Final = re.compile(r"\$(?:\$|\{([^}]*)\}?)")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAMED_ELSEWHERE: Final = {"COORDQ_URL": "url", "COORDQ_NAMESPACE": "namespace"}


def check_short_name(kind: str, text: object) -> str:
    """`text` itself when it may name a "fleet", "group" or zone. Raises InvalidName."""
    name = check_name(kind, text)
    if ":" in name or len(name) > NAME_MAX:
        raise InvalidName(
            f"{kind} name {name!r} is not allowed: write at most {NAME_MAX} characters, no ':'.",
            kind=kind,
            name=name,
        )
    return name


def whole(low: int, high: int) -> PlainValidator:
    """A whole number in a range."""

    def read(value: Any) -> int:
        if not is_whole(value, low, high):
            raise ValueError(f"write a whole number from {low} to {high}")
        return value

    return PlainValidator(read)


def number(low: float, high: float) -> PlainValidator:
    """A number in a range."""

    def read(value: Any) -> float:
        if not is_number(value, low, high):
            raise ValueError(f"write a number from {low:g} to {high:g}")
        return float(value)

    return PlainValidator(read)


def span(low_s: float, high_s: float) -> PlainValidator:
    """A length of time, as seconds."""
    rule = f'write a length of time from {low_s:g}s to {high_s:g}s, such as 90, "90s" or "5m"'

    def read(value: Any) -> float:
        found: float | None = None
        if isinstance(value, str):
            found = parse_span(value)
        elif is_number(value):
            found = float(value)
        if found is None or not low_s <= found <= high_s:
            raise ValueError(rule)
        return found

    return PlainValidator(read)


def choice(*words: str) -> PlainValidator:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"write one of {', '.join(words)}{nearest(value, words)}")
        return str(value)

    return PlainValidator(read)


def nearest(value: Any, words: Sequence[str]) -> str:
    """`; did you mean ...?`, when something is near."""
    close = difflib.get_close_matches(str(value), words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write text in quotes")
    return value


def _name(value: Any) -> str:
    try:
        return check_short_name("name", value)
    except InvalidName as error:
        raise ValueError(str(error)) from error


def _namespace(value: Any) -> str:
    try:
        return check_name("namespace", value)
    except InvalidName as error:
        raise ValueError(str(error)) from error


def _targets(value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    wrong = not isinstance(listed, list) or not listed
    if wrong or not all(isinstance(one, str) and one.strip() for one in listed):
        raise ValueError('write a file, a folder or a module, or a list, such as ["./workers"]')
    return tuple(listed)


def _queues(value: Any) -> tuple[tuple[str, int], ...]:
    rule = 'write a list of queues, each perhaps with a weight, such as ["mail:3", "default"]'
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise ValueError(rule)
    return tuple(_queue(one.strip(), rule) for one in listed)


def _queue(text: str, rule: str) -> tuple[str, int]:
    name, colon, weight = text.rpartition(":")
    if not colon:
        name, weight = text, "1"
    if not re.fullmatch(r"[1-9][0-9]{0,2}|1000", weight, re.ASCII):
        raise ValueError(f"the weight in {text!r} is not from 1 to 1000; {rule}")
    try:
        return check_name("queue", name), int(weight)
    except InvalidName as error:
        raise ValueError(f"{error} Or {rule}") from error


def _pairs(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError('write a table, such as { gpu = "yes" }')  # noqa: TRY004 - see _flag
    return {str(name): _plain(name, one) for name, one in value.items()}


def _plain(name: str, value: Any) -> str:
    """Text, or a number as text; true and false are refused, for who knows how to spell them?"""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name}: write text in quotes")  # noqa: TRY004 - see _flag
    return str(value)


def _environment(value: Any, info: ValidationInfo) -> dict[str, str]:
    pairs = _pairs(value)
    for name in pairs:
        if _ENVIRONMENT_NAME.match(name) is None:
            raise ValueError(f"{name!r} cannot name a variable: use letters, digits and '_'")
        if name in _NAMED_ELSEWHERE:
            key = _NAMED_ELSEWHERE[name]
            raise ValueError(f"{name} cannot be set here: write {key} = ... at the top")
    return {name: _filled(one, info) for name, one in pairs.items()}


def _url(value: Any, info: ValidationInfo) -> str:
    return _filled(_text(value), info)


def _filled(text: str, info: ValidationInfo) -> str:
    """`text` with each ${NAME} replaced by what our own environment says; $$ is a $."""
    known: dict[str, str] = (info.context or {}).get("variables", {})

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        if not match.group(0).endswith("}") or _ENVIRONMENT_NAME.match(name) is None:
            raise ValueError(f"{match.group(0)!r} names no variable: write ${{NAME}}, or $$ for $")
        if name not in known:
            raise ValueError(f"${{{name}}}: there is no such variable here; set {name}")
        return known[name]

    return _VARIABLE.sub(fill, text)


Flag = Annotated[bool, PlainValidator(_flag)]
Text = Annotated[str, PlainValidator(_text)]
Name = Annotated[str, PlainValidator(_name)]
Namespace = Annotated[str, PlainValidator(_namespace)]
URL = Annotated[str, PlainValidator(_url)]
Targets = Annotated[tuple[str, ...], PlainValidator(_targets)]
Queues = Annotated[tuple[tuple[str, int], ...], PlainValidator(_queues)]
Pairs = Annotated[dict[str, str], PlainValidator(_pairs)]
Environment = Annotated[dict[str, str], PlainValidator(_environment)]
