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

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit, urlunsplit

from coordq import settings
from coordq.errors import InvalidURL
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
SCHEMES: Final = ("embedded", *sorted(_PLAIN), *_HOSTS, "fake")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL."""

    kind: str
    """embedded, plain, sentinel, cluster or fake."""
    url: str
    """The URL without coordq's own parameters; for showing, use `shown`."""
    namespace: str
    shards: int
    """How many the URL asks for; 0 when it leaves that to the namespace."""
    path: str = ""
    """Of an embedded server ("" for the default), or the name of a fake one."""
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    """The master's name, for Sentinel."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments for redis-py connections: credentials, database, TLS."""

    @property
    def shown(self) -> str:
        """The URL with its password hidden."""
        parts = urlsplit(self.url)
        if parts.password is None:
            return self.url
        user = parts.username or ""
        return urlunsplit(parts._replace(netloc=f"{user}:***@" + parts.netloc.rpartition("@")[2]))


def parse(url: str | None = None, *, namespace: str | None = None) -> Address:
    """What `url` means; by default COORDQ_URL, else the embedded server.

    The namespace is the argument, the URL's `ns`, COORDQ_NAMESPACE or "main".
    Raises InvalidURL, InvalidName.
    """
    url = url or settings.get("URL") or DEFAULT_URL
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise InvalidURL(
            f"{url!r} is not a Redis address: start it with one of "
            f"{', '.join(s + '://' for s in SCHEMES)}.",
            url=url,
        )
    try:
        return _parse(url, scheme, namespace)
    except (ValueError, TypeError) as error:
        if isinstance(error, InvalidURL) or hasattr(error, "code"):
            raise
        raise InvalidURL(f"{url!r} is not a Redis address: {error}.", url=url) from error


def _parse(url: str, scheme: str, namespace: str | None) -> Address:
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    chosen = namespace or query.pop("ns", None) or settings.get("NAMESPACE") or DEFAULT_NAMESPACE
    query.pop("ns", None)
    check_name("namespace", chosen)
    shards = _shards(query.pop("shards", "0"))
    bare = url.partition("?")[0] + (f"?{urlencode(query)}" if query else "")
    if scheme in _PLAIN:
        _check_plain(bare)
        return Address("plain", bare, chosen, shards)
    if scheme in _HOSTS:
        return _many_hosts(bare, scheme, chosen, shards, query)
    if query:
        raise InvalidURL(f"{url!r}: unknown parameter {next(iter(query))!r}.", url=url)
    path = unquote(parts.netloc + parts.path)
    return Address(scheme, bare, chosen, shards, path=path)


def _shards(text: str) -> int:
    if not text.isdigit() or int(text) > SHARDS_MAX:
        raise InvalidURL(f"shards={text!r}: use a number from 1 to {SHARDS_MAX}.", shards=text)
    return int(text)


def _check_plain(url: str) -> None:
    from redis.connection import parse_url

    parse_url(url)


def _many_hosts(
    url: str, scheme: str, namespace: str, shards: int, query: dict[str, str]
) -> Address:
    port, tls = _HOSTS[scheme]
    parts = urlsplit(url)
    credentials, _, netloc = parts.netloc.rpartition("@")
    hosts = tuple(_host(text, port) for text in netloc.split(",") if text)
    if not hosts:
        raise InvalidURL(f"{url!r} names no host.", url=url)
    options: dict[str, Any] = dict(query)
    if tls:
        options["ssl"] = True
    user, _, password = credentials.partition(":")
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    rest = [unquote(text) for text in parts.path.split("/") if text]
    if scheme.endswith("cluster"):
        return Address("cluster", url, namespace, shards, hosts=hosts, options=options)
    if not rest:
        raise InvalidURL(f"{url!r} lacks the master's name: …://host/name.", url=url)
    if len(rest) > 1:
        options["db"] = int(rest[1])
    return Address(
        "sentinel", url, namespace, shards, hosts=hosts, service=rest[0], options=options
    )


def _host(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:]) if rest.startswith(":") else port
    host, separator, number = text.partition(":")
    return host, int(number) if separator else port
