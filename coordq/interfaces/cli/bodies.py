"""What is said in a message, as a shell says it: KEY=VALUE, JSON, or text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from coordq.errors import InvalidMessage
from coordq.interfaces.cli.group import options
from coordq.interfaces.cli.pairs import read_arguments

body_options = options(
    click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]..."),
    click.option("--body", metavar="JSON", help="The whole body; @file reads it."),
    click.option("--text", metavar="TEXT", help="The body is this text."),
)
"""The three ways to give a body: pairs, body and text, for `read_body`."""


def read_body(pairs: tuple[str, ...], body: str | None, text: str | None) -> Any:
    """The body, given in one way at most. Raises UsageError, InvalidArguments, InvalidMessage."""
    if sum((bool(pairs), body is not None, text is not None)) > 1:
        raise click.UsageError("Give the body once: KEY=VALUE, --body or --text.")
    if text is not None:
        return text
    if body is None:
        return read_arguments(pairs, None, option="--body")
    where = "--body"
    if body.startswith("@"):
        where, body = body[1:], read_text(body[1:])
    return read_json(body, where)


def read_text(file: str) -> str:
    """What a file says; - is stdin. Raises InvalidMessage."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidMessage(f"{file} cannot be read: {error}.") from error


def read_json(text: str, where: str) -> Any:
    """JSON; where: what to call it. Raises InvalidMessage."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidMessage(f"{where} is no JSON: {error}. For plain text say --text.") from error
