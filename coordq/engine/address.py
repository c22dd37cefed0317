"""What a Redis URL means.

| URL | means |
| --- | --- |
| `embedded://[path]` | a private redis-server on this machine, shared by path |
| `redis://` `rediss://` `unix://` | a server |
| `redis+sentinel://[user:pass@]h1[:port],h2,h3/name[/db]` | Sentinel (`rediss+…` with TLS) |
| `redis+cluster://[user:pass@]h1[:port],h2` | Cluster (`rediss+…` with TLS) |
| `fake://[name]` | fakeredis, for unit tests only |

Query parameters of coordq's own: `ns` (namespace) and `shards`. The others go to redis-py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from coordq import settings
from coordq.errors import CoordqError, InvalidURL
from coordq.ids import SHARDS_MAX
from coordq.names import check_name

DEFAULT_URL: Final = "embedded://"
DEFAULT_NAMESPACE: Final = "main"
_PLAIN: Final = {"redis", "rediss", "unix"}
_HOSTS: Final = {
    "redis+sentinel": (26379, False),
    "rediss+sentinel": (26379, True),
    "redis+cluster": (6379, False),
    "rediss+cluster": (6379, True),
}
_SECRET: Final = re.compile(r"(?<=://)([^:@/]*):.*@", re.DOTALL)
_QUERY_SECRET: Final = re.compile(r"(password=)[^&#]*")
_OURS: Final = ("protocol", "decode_responses", "encoding", "encoding_errors")
"""Options of a redis-py connection that our reading of replies rests on."""
SCHEMES: Final = ("embedded", *sorted(_PLAIN), *_HOSTS, "fake")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL."""

    kind: str
    """embedded, plain, sentinel, cluster or fake."""
    url: str = field(repr=False)
    """The URL without coordq's own parameters; for showing, use `shown`."""
    namespace: str
    shards: int
    """How many the URL asks for; 0 when it leaves that to the namespace."""
    path: str = ""
    """Of an embedded server ("" for the default), or the name of a fake one."""
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    """The master's name, for Sentinel."""
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    """Keyword arguments for redis-py connections: credentials, database, TLS."""

    @property
    def shown(self) -> str:
        """The URL with its password hidden."""
        return masked(self.url)


def masked(url: str) -> str:
    """`url` with whatever may be a password hidden, also when it is no URL at all."""
    return _QUERY_SECRET.sub(r"\1***", _SECRET.sub(r"\1:***@", url))


def parse(url: str | None = None, *, namespace: str | None = None) -> Address:
    """What `url` means; by default COORDQ_URL, else the embedded server.

    The namespace is the argument, the URL's `ns`, COORDQ_NAMESPACE or "main".
    Raises InvalidURL, InvalidName.
    """
    url = url or settings.get("URL") or DEFAULT_URL
    if not isinstance(url, str):
        raise InvalidURL(f"{url!r} is not a Redis address: give text.", url=repr(url))
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise _invalid(url, f"start it with one of {', '.join(s + '://' for s in SCHEMES)}")
    try:
        return _parse(url, scheme, namespace)
    except CoordqError:
        raise
    except (ValueError, TypeError) as error:
        # the error may quote a part of what is a password with a stray : or / in it
        why = "percent-encode what is special in its password" if "@" in url else str(error)
        raise _invalid(url, why) from None


def _invalid(url: str, why: str) -> InvalidURL:
    shown = masked(url)
    return InvalidURL(f"{shown!r} is not a Redis address: {why}.", url=shown)


def _parse(url: str, scheme: str, namespace: str | None) -> Address:
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    chosen = namespace or query.pop("ns", None) or settings.get("NAMESPACE") or DEFAULT_NAMESPACE
    query.pop("ns", None)
    check_name("namespace", chosen)
    shards = _shards(query.pop("shards", "0"))
    bare = url.partition("?")[0] + (f"?{urlencode(query)}" if query else "")
    if scheme in _PLAIN:
        _check_plain(url, bare, parts.path if scheme != "unix" else "")
        return Address("plain", bare, chosen, shards)
    if scheme in _HOSTS:
        return _many_hosts(bare, scheme, chosen, shards, query)
    if query:
        raise _invalid(url, f"there is no parameter {next(iter(query))!r}")
    path = unquote(parts.netloc + parts.path)
    return Address(scheme, bare, chosen, shards, path=path)


def _shards(text: str) -> int:
    if not text.isdigit() or int(text) > SHARDS_MAX:
        raise InvalidURL(f"shards={text!r}: use a number from 1 to {SHARDS_MAX}.", shards=text)
    return int(text)


def _check_plain(url: str, bare: str, path: str) -> None:
    from redis.connection import Connection, parse_url

    if path.strip("/") and not path.strip("/").isdigit():
        raise _invalid(url, f"{path!r} is not the number of a database")
    options: dict[str, Any] = dict(parse_url(bare))
    _check_options(url, options.pop("connection_class", Connection), options)


def _check_options(url: str, connection: Callable[..., object], options: dict[str, Any]) -> None:
    """Options a connection cannot be made with, or must not, are refused now and not later."""
    for name in _OURS:
        if name in options:
            raise _invalid(url, f"{name} is not yours to choose")
    try:
        connection(**options)
    except TypeError as error:
        name = str(error).rpartition(" ")[2]
        raise _invalid(url, f"a connection takes no parameter {name}") from None


def _many_hosts(
    url: str, scheme: str, namespace: str, shards: int, query: dict[str, str]
) -> Address:
    port, tls = _HOSTS[scheme]
    parts = urlsplit(url)
    credentials, _, netloc = parts.netloc.rpartition("@")
    hosts = tuple(_host(text, port) for text in netloc.split(",") if text)
    if not hosts:
        raise _invalid(url, "it names no host")
    options = _options(url, query, credentials, tls=tls)
    rest = [unquote(text) for text in parts.path.split("/") if text]
    if scheme.endswith("cluster"):
        if rest:
            raise _invalid(url, "a cluster has one database, and no name")
        return Address("cluster", url, namespace, shards, hosts=hosts, options=options)
    if not rest:
        raise _invalid(url, "it lacks the master's name: …://host/name")
    if len(rest) > 1:
        options["db"] = int(rest[1])
    return Address(
        "sentinel", url, namespace, shards, hosts=hosts, service=rest[0], options=options
    )


def _options(url: str, query: dict[str, str], credentials: str, *, tls: bool) -> dict[str, Any]:
    from redis.connection import URL_QUERY_ARGUMENT_PARSERS, Connection, SSLConnection

    parsers: Mapping[str, Any] = URL_QUERY_ARGUMENT_PARSERS
    options: dict[str, Any] = {name: parsers.get(name, str)(text) for name, text in query.items()}
    user, _, password = credentials.partition(":")
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    _check_options(url, SSLConnection if tls else Connection, options)
    return {**options, "ssl": True} if tls else options


def _host(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        separator, number = rest[:1], rest[1:]
    else:
        host, separator, number = text.partition(":")
    if not host:
        raise ValueError(f"{text!r} names no host")
    if separator:
        port = int(number)
    if not 0 < port < 65536:  # noqa: PLR2004 - 16 bits
        raise ValueError(f"there is no port {port}")
    return host, port
