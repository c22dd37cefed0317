"""How a command fails: one sentence on stderr, a stable code, an exit code, never a traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from coordq import settings
from coordq.errors import CoordqError
from coordq.interfaces.table import say
from coordq.interfaces.words import jsonable, printable, to_json

INTERRUPTED = 130


class Trouble(Exception):
    """Some of the things asked for failed: they were reported, this is the exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def wants_json(words: Sequence[str]) -> bool:
    """Whether errors shall be JSON; asked before, or after, the words could be parsed."""
    before = words[: words.index("--")] if "--" in words else words
    chosen = (settings.get("JSON") or "").lower()
    return "--json" in before or chosen in {"1", "true", "yes", "on", "t", "y"}


def report(error: Exception, *, as_json: bool) -> int:
    """Say on stderr what went wrong, and return the exit code for it."""
    if settings.get("DEBUG") and not isinstance(
        error, click.ClickException | click.Abort | Trouble
    ):
        traceback.print_exception(error)
    match error:
        case Trouble():
            return error.exit_code
        case click.Abort():
            return 1 if isinstance(error.__cause__, EOFError) else INTERRUPTED
        case click.UsageError():
            return _usage(error, as_json=as_json)
        case click.ClickException():
            return _say("failed", error.format_message(), error.exit_code, as_json=as_json)
        case CoordqError():
            return _say(error.code, str(error), error.exit_code, as_json=as_json, facts=error.facts)
        case _:
            return _unexpected(error, as_json=as_json)


def _usage(error: click.UsageError, *, as_json: bool) -> int:
    hint = "" if error.ctx is None else f" Try: {error.ctx.command_path} -h"
    return _say("usage", error.format_message() + hint, error.exit_code, as_json=as_json)


def _unexpected(error: Exception, *, as_json: bool) -> int:
    words = f"{type(error).__name__}: {error}"
    if not settings.get("DEBUG"):
        words += ". Set COORDQ_DEBUG=1 to see where"
    code = "os-error" if isinstance(error, OSError) else "bug"
    return _say(code, words, 1, as_json=as_json)


def _say(
    code: str, message: str, exit_code: int, *, as_json: bool, facts: dict[str, Any] | None = None
) -> int:
    sys.stdout.flush()
    if as_json:
        known = {
            name: value for name, value in (facts or {}).items() if name not in {"code", "message"}
        }
        body = {"error": {"code": code, "message": message, **jsonable(known)}}
        say(to_json(body), err=True)
    else:
        words = printable(message, keep="\n")
        say(f"coordq: {words} (code: {code})", err=True)
    return exit_code
