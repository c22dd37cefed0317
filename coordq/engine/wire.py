"""Requests as bytes, and where connections come from.

redis-py's command layer costs a third of the whole round trip to a local Redis. coordq sends one
command, EVALSHA, so it packs that itself (hiredis, in C) and uses redis-py for what is hard:
sockets, TLS, authentication, timeouts, and the reply parser.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from hiredis import pack_command

from coordq.engine import keys, scripts
from coordq.engine.call import Argument, Call
from coordq.errors import InvalidArguments

CONNECT_TIMEOUT_S: Final = 3.0
REPLY_TIMEOUT_S: Final = 10.0
"""Longer than any script takes; a connection silent for so long is taken for dead."""
KEEPALIVE_IDLE_S: Final = 5
KEEPALIVE_EVERY_S: Final = 2
KEEPALIVE_TRIES: Final = 3
"""A host that vanished closes no connection. Whoever blocks on one learns of it in 11 seconds."""
UNHEARD_MS: Final = 8000
"""So long may what we sent go without a sign that it arrived (TCP's, not Redis's)."""


class Packer:
    """Packs calls for one namespace."""

    __slots__ = ("_heads", "namespace")

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._heads: dict[tuple[str, int], tuple[Any, ...]] = {}

    def _head(self, script: str, shard: int) -> tuple[Any, ...]:
        head = self._heads.get((script, shard))
        if head is None:
            loaded = scripts.load(script)
            root = keys.root(self.namespace, shard)
            head = self._heads[script, shard] = ("EVALSHA", loaded.sha, 1, root)
        return head

    def pack(self, call: Call[Any]) -> bytes:
        """`call` as an EVALSHA. Raises InvalidArguments for text that is not Unicode."""
        return pack(self._head(call.script, call.shard) + call.args)

    def pack_whole(self, call: Call[Any]) -> bytes:
        """`call` as an EVAL, for a server that does not know the script."""
        loaded = scripts.load(call.script)
        loaded.check(len(call.args))
        head = ("EVAL", loaded.source, 1, keys.root(self.namespace, call.shard))
        return pack((*head, *call.args))


def pack(command: tuple[Argument, ...]) -> bytes:
    """A command as bytes. Raises InvalidArguments for text that is not Unicode."""
    try:
        return pack_command(command)  # type: ignore[arg-type, no-any-return, unused-ignore]
    except UnicodeEncodeError as error:
        raise InvalidArguments(
            f"Text holds half a surrogate pair, which is not Unicode: {error}."
        ) from error


def _keepalive() -> dict[int, int]:
    """Socket options, as far as this system has them."""
    wanted = {
        "TCP_KEEPIDLE": KEEPALIVE_IDLE_S,
        "TCP_KEEPINTVL": KEEPALIVE_EVERY_S,
        "TCP_KEEPCNT": KEEPALIVE_TRIES,
        "TCP_USER_TIMEOUT": UNHEARD_MS,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def connection_options(
    kind: str, options: dict[str, Any], *, name: str, reply_timeout_s: float
) -> dict[str, Any]:
    """Keyword arguments for a redis-py connection: ours, overruled by the URL's.

    kind: tcp, ssl or unix.
    """
    alive: dict[str, Any] = {}
    if kind != "unix":
        alive = {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    return {
        **alive,
        "protocol": 2,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": reply_timeout_s,
        "client_name": name,
        **options,
    }
