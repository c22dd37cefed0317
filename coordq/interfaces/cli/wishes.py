"""Options of a task as they are written in a shell, or on a line of a file."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from coordq.interfaces.cli.params import MOMENT, SPAN, WAITS


def to_options(chosen: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments for `work.enqueue` out of what the command line gave."""
    options = {key: value for key, value in chosen.items() if value not in {None, ()}}
    renamed = {
        "capability": "capabilities",
        "limit": "limits",
        "wait_for_room": "wait",
        "header": "headers",
        "after": "depends_on",
    }
    for here, there in renamed.items():
        if here in options:
            options[there] = options.pop(here)
    if "headers" in options:
        options["headers"] = dict(options["headers"])
    if "backoff" in options:
        from coordq.work.backoff import Backoff

        options["backoff"] = Backoff.steps(options["backoff"], jitter="none")
    return options


TIMES: Final = (
    "delay",
    "unique_for",
    "timeout",
    "expires",
    "total_timeout",
    "result_ttl",
    "wait",
)


def from_file(given: dict[str, Any]) -> dict[str, Any]:
    """Options of one line of a file: as `work.enqueue` takes them, and with "5m" for 300.

    Raises click.BadParameter for text that is no time; the rest is checked by the client.
    """
    options = dict(given)
    for key in TIMES:
        if isinstance(options.get(key), str):
            options[key] = SPAN.convert(options[key], None, None)
    if isinstance(options.get("at"), str):
        at: datetime | float = MOMENT.convert(options["at"], None, None)
        options["at"] = at
    if isinstance(options.get("backoff"), str):
        options |= to_options({"backoff": WAITS.convert(options["backoff"], None, None)})
    if isinstance(options.get("capabilities"), list):
        options["capabilities"] = tuple(options["capabilities"])
    return options
