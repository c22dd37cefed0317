"""What may be said of routes: names, the texts that describe them, and how near is near."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from coordq.amounts import is_number
from coordq.errors import InvalidArguments, InvalidName, InvalidRoutes, PayloadTooLarge
from coordq.names import check_name

ROUTES_MAX: Final = 10_000
PHRASES_MAX: Final = 200
"""Of one route."""
PHRASE_MAX: Final = 1_000
"""Characters of one phrase."""
TEXT_MAX: Final = 16_384
"""Characters of a text to be routed."""
_KEYS: Final = ("texts", "threshold")


@dataclass(frozen=True, slots=True)
class Route:
    """Somebody or something that texts can be meant for: an agent, a topic, a task."""

    name: str
    texts: tuple[str, ...]
    """What it says of itself; the more like real requests, the better it is found."""
    threshold: float | None = None
    """How near a text must be, -1 to 1; None: what the router says."""


Routes: TypeAlias = Mapping[str, "Route | Iterable[str] | Mapping[str, Any]"]
"""What callers give: texts by name, or `{"texts": [...], "threshold": 0.4}`, or a `Route`."""


def checked(routes: Routes) -> dict[str, Route]:
    """The routes by name, sorted. Raises InvalidRoutes that names the route and what to write."""
    if not isinstance(routes, Mapping):
        raise _invalid("", f"write texts by name, not a {type(routes).__name__}")
    if len(routes) > ROUTES_MAX:
        raise _invalid("", f"{len(routes):,} routes are too many: write at most {ROUTES_MAX:,}")
    made = [checked_route(name, given) for name, given in routes.items()]
    return {route.name: route for route in sorted(made, key=lambda route: route.name)}


def checked_route(name: Any, given: Any) -> Route:
    """One of them. Raises InvalidRoutes."""
    try:
        check_name("route", name)
    except InvalidName as error:
        raise InvalidRoutes(str(error), route=name) from error
    if isinstance(given, Route):
        given = {"texts": given.texts, "threshold": given.threshold}
    elif not isinstance(given, Mapping):
        given = {"texts": given}
    for key in given:
        if key not in _KEYS:
            raise _invalid(name, f"{key!r} is not known; known here: {', '.join(_KEYS)}")
    return Route(name, _texts(name, given.get("texts")), _threshold(name, given.get("threshold")))


def check_threshold(value: Any) -> float:
    """`value` itself when a text can be as near as that. Raises InvalidRoutes."""
    return _number("", value)


def check_text(text: Any) -> str:
    """`text` itself when it can be routed. Raises InvalidArguments, PayloadTooLarge."""
    if not isinstance(text, str):
        raise InvalidArguments(
            f"A text to be routed is a str, not a {type(text).__name__}. Pass what a person would "
            "read of the message.",
            kind=type(text).__name__,
        )
    if not text.strip():
        raise InvalidArguments("The text to be routed is empty. Pass what it is about.", kind="str")
    if len(text) > TEXT_MAX:
        raise PayloadTooLarge(
            f"A text of {len(text):,} characters is too long to be routed: at most {TEXT_MAX:,}. "
            "Pass its beginning, or a summary.",
            size=len(text),
            limit=TEXT_MAX,
        )
    return text


def _texts(name: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise _invalid(name, f'write a list of texts, ["..."], not {_shown(given)}')
    texts = tuple(given)
    if not texts:
        raise _invalid(name, "write at least one text that says what it is for")
    if len(texts) > PHRASES_MAX:
        raise _invalid(name, f"{len(texts)} texts are too many: write at most {PHRASES_MAX}")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise _invalid(name, f"{_shown(text)} is no text: write words that describe it")
        if len(text) > PHRASE_MAX:
            raise _invalid(
                name, f"a text of {len(text):,} characters is too long: at most {PHRASE_MAX:,}"
            )
    return tuple(dict.fromkeys(texts))


def _threshold(name: str, value: Any) -> float | None:
    return None if value is None else _number(name, value)


def _number(name: str, value: Any) -> float:
    if not is_number(value, -1, 1):
        raise _invalid(name, f"threshold = {_shown(value)}: write a number from -1 to 1")
    return float(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a line's worth


def _invalid(name: str, what: str) -> InvalidRoutes:
    place = f"route {name}: " if name else "routes: "
    return InvalidRoutes(f"{place}{what}.", route=name)
