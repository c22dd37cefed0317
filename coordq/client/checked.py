"""What a caller says besides options and arguments, checked before anything is sent."""

from __future__ import annotations

import re
from typing import Final

from coordq.errors import InvalidName, InvalidOption, InvalidTime
from coordq.names import check_name
from coordq.work.options import seconds
from coordq.work.task import State

_POSITION: Final = re.compile(r"\$\Z|[0-9]{1,19}(-[0-9]{1,19})?\Z")
_CLAIMANT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}\Z")


def timeout(option: str, value: object) -> float | None:
    """How long to wait, in seconds; None for ever. Raises InvalidTime."""
    if value is None:
        return None
    try:
        return seconds(option, value)
    except OverflowError as error:
        raise InvalidTime(f"{option} is more than ten years.", option=option) from error


def state(value: object) -> State | None:
    """The state called `value`; None for any. Raises InvalidOption."""
    if value is None:
        return None
    try:
        return State(value)  # type: ignore[arg-type]  # it says so itself
    except ValueError as error:
        names = ", ".join(State)
        raise InvalidOption(
            f"state={value!r} does not exist: use one of {names}.", option="state"
        ) from error


def wanted(kind: str, name: object) -> str:
    """A name to look for; "" for all. Raises InvalidName."""
    return "" if name == "" else check_name(kind, name)


def position(after: object) -> str:
    """A place in the event stream. Raises InvalidOption."""
    text = str(after)
    if _POSITION.match(text) is None:
        raise InvalidOption(
            f'after={after!r} is no place in the event stream: use an event\'s `at`, "0" for all '
            'that is kept, or "$" for what happens from now on.',
            option="after",
        )
    return text


def reason(text: object) -> str:
    """Why a task is cancelled. Raises InvalidOption."""
    if not isinstance(text, str):
        raise InvalidOption(f"reason={text!r} is not text.", option="reason")
    return text


def claimant(name: object) -> str:
    """Who claims a task. Raises InvalidName."""
    if not isinstance(name, str) or _CLAIMANT.match(name) is None:
        raise InvalidName(
            f"claimant name {name!r:.60} is not allowed: use 1 to 200 of letters, digits, '_', "
            "'.', ':', '/' and '-', starting with a letter, digit or '_'.",
            kind="claimant",
            name=name,
        )
    return name


def chosen(ids: tuple[str, ...], *, any_filter: bool, everything: bool) -> None:
    """An empty list of ids must not mean all dead letters. Raises InvalidOption."""
    if not (ids or any_filter or everything):
        raise InvalidOption(
            "Which dead letters? Give ids, a filter, or everything=True.", option="ids"
        )
