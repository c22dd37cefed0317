"""What the options that every command takes say: which Redis, which namespace, which form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from coordq.client.client import Client

Function = TypeVar("Function", bound=Callable[..., Any])
PATIENCE_S: Final = 3.0
"""A person at a prompt would rather know soon; --patience says otherwise."""


@dataclass(slots=True)
class Session:
    """One run of the command line."""

    url: str | None = None
    namespace: str | None = None
    json: bool = False
    patience: float = PATIENCE_S

    def connect(self, *, patience: float | None = None) -> Client:
        """A client for what the options say. Raises what coordq.connect raises."""
        from coordq.client.client import connect

        return connect(
            self.url,
            namespace=self.namespace,
            patience=self.patience if patience is None else patience,
        )


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Put a value where every command finds it; the innermost one that was given wins."""
    session = ctx.ensure_object(Session)
    if value is not None and value is not False:
        setattr(session, param.name or "", value)


def common(function: Function) -> Function:
    """Give a command the options of a Session, and the session as its first argument.

    They may stand before the command or after it. --url and --namespace do not read their variables
    here: the engine does, because a namespace in the URL is stronger than COORDQ_NAMESPACE.
    """
    passing: Any = click.make_pass_decorator(Session, ensure=True)(function)
    for option in reversed(_OPTIONS):
        passing = option(passing)
    decorated: Function = passing
    return decorated


def _option(*names: str, **attributes: Any) -> Callable[[Function], Function]:
    return click.option(
        *names, callback=_keep, expose_value=False, allow_from_autoenv=False, **attributes
    )


_OPTIONS: Final = (
    _option(
        "--url",
        metavar="URL",
        help="The Redis. Also COORDQ_URL; by default one of this machine's own.",
    ),
    _option("--namespace", metavar="NAME", help="Which part of the Redis. Also COORDQ_NAMESPACE."),
    _option(
        "--patience",
        type=click.FloatRange(0, 86400),
        metavar="SECONDS",
        envvar="COORDQ_PATIENCE",
        help=f"Wait so long for a Redis that is away. Also COORDQ_PATIENCE; {PATIENCE_S:g}.",
    ),
    _option(
        "--json",
        is_flag=True,
        envvar="COORDQ_JSON",
        help="Print JSON, for programs. Also COORDQ_JSON.",
    ),
)
