"""What a Redis URL means, what is refused, and that a password is never shown."""

from __future__ import annotations

import traceback

import pytest

from coordq.engine.address import Address, masked, parse
from coordq.errors import InvalidName, InvalidURL

SECRET = "s3cr3t"


def test_nothing_means_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare checkout works without a setting."""
    monkeypatch.delenv("COORDQ_URL", raising=False)

    assert parse() == Address("embedded", "embedded://", "main", 0)
    assert parse("").kind == "embedded"


def test_the_environment_names_url_and_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """For deployments."""
    monkeypatch.setenv("COORDQ_URL", "redis://example:7000/3")
    monkeypatch.setenv("COORDQ_NAMESPACE", "env")

    assert (parse().url, parse().namespace) == ("redis://example:7000/3", "env")


def test_the_argument_beats_the_url_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearer to the code, the stronger."""
    monkeypatch.setenv("COORDQ_NAMESPACE", "env")

    assert parse("redis://h?ns=url", namespace="arg").namespace == "arg"
    assert parse("redis://h?ns=url").namespace == "url"
    assert parse("redis://h").namespace == "env"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6380/3",
        "redis://user:pw@localhost/0?socket_timeout=5",
        "rediss://localhost?ssl_cert_reqs=none",
        "unix:///tmp/redis.sock?db=2",
        "unix://user:pw@/tmp/redis.sock",
        "redis://[::1]:6379/0",
    ],
)
def test_plain_addresses_are_redis_pys(url: str) -> None:
    """They go there as they are."""
    assert (parse(url).kind, parse(url).url) == ("plain", url)


def test_our_own_parameters_do_not_go_to_redis_py() -> None:
    """It would refuse them."""
    address = parse("redis://h:1/2?ns=team&shards=4&socket_timeout=5")

    assert (address.namespace, address.shards) == ("team", 4)
    assert address.url == "redis://h:1/2?socket_timeout=5"


def test_an_embedded_address_may_have_a_path() -> None:
    """Absolute, relative, or with a home."""
    assert parse("embedded://").path == ""
    assert parse("embedded:///tmp/a b").path == "/tmp/a b"
    assert parse("embedded://~/queue").path == "~/queue"
    assert parse("embedded:///tmp/q?ns=x").path == "/tmp/q"
    assert parse("fake://one").path == "one"


def test_a_sentinel_address_names_hosts_and_service() -> None:
    """With credentials and database of the master."""
    address = parse("redis+sentinel://u:p%40w@h1,h2:7000,[::1]:7001/mymaster/2?socket_timeout=5")

    assert address.hosts == (("h1", 26379), ("h2", 7000), ("::1", 7001))
    assert address.service == "mymaster"
    assert address.options == {
        "username": "u",
        "password": "p@w",
        "db": 2,
        "socket_timeout": 5.0,
    }


def test_a_cluster_address_names_hosts() -> None:
    """Any node will do; one is enough."""
    assert parse("redis+cluster://h1,h2:7000").hosts == (("h1", 6379), ("h2", 7000))
    assert parse("redis+cluster://:pw@h1?shards=4").options == {"password": "pw"}
    assert parse("rediss+cluster://h1").options == {"ssl": True}
    assert parse("rediss+sentinel://h1/m").options == {"ssl": True}


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis:/localhost",
        "   ",
        "redis://localhost:port",
        "redis://localhost:99999",
        "redis://localhost/not-a-number",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?no_such_parameter=1",
        "redis://localhost?max_connections=5",
        "redis://localhost?decode_responses=true",
        "redis://localhost?protocol=3",
        "redis://[::1",
        "redis://h?shards=-1",
        "redis://h?shards=many",
        "redis://h?shards=1025",
        "redis+cluster://",
        "redis+cluster://h:port",
        "redis+cluster://h:0",
        "redis+cluster://h:65536",
        "redis+cluster://:7000",
        "redis+cluster://h/name",
        "redis+cluster://h?no_such_parameter=1",
        "redis+cluster://h?decode_responses=1",
        "redis+sentinel://h",
        "redis+sentinel://h/",
        "redis+sentinel:///name",
        "redis+sentinel://h/name/db",
        "redis+sentinel://h/name?no_such_parameter=1",
        "rediss+sentinel://h/name?no_such_parameter=1",
        "embedded:///tmp?x=1",
        "fake://a?x=1",
    ],
)
def test_what_cannot_be_meant_is_refused(url: str) -> None:
    """When it is read, and not as a TypeError when the first connection is made."""
    with pytest.raises(InvalidURL) as caught:
        parse(url)

    assert caught.value.code == "invalid-url"


@pytest.mark.parametrize("namespace", ["", "Team", "a b", "a{b", "-a", "x" * 33, "ü"])
def test_a_bad_namespace_is_refused(namespace: str) -> None:
    """It ends up in keys, inside the braces of a hash tag."""
    with pytest.raises(InvalidName):
        parse(f"redis://h?ns={namespace or '-'}")


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@host:1/0",
        f"redis://:{SECRET}@host",
        f"redis://user:{SECRET}@host?ns=x&socket_timeout=5",
        f"redis://host?password={SECRET}",
        f"rediss://host?ssl_password={SECRET}&db=1",
        f"redis+sentinel://user:{SECRET}@h1,h2/name",
        f"redis+cluster://user:{SECRET}@h1,h2",
        f"unix://user:{SECRET}@/tmp/socket",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    """Not in messages, not in a repr that ends up in a log."""
    address = parse(url)

    assert SECRET not in address.shown
    assert "***" in address.shown
    assert SECRET not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@host:port/0",
        f"redis://user:{SECRET}/x@host",
        f"redis://user:{SECRET}#x@host",
        f"redis://user:{SECRET}?x@host",
        f"redis://user:a@{SECRET}@host:port",
        f"redis://user:{SECRET}@[host",
        f"redis://user:{SECRET}@host?nonsense=1",
        f"http://user:{SECRET}@host",
        f"redis+cluster://user:{SECRET}@",
        f"redis+sentinel://user:{SECRET}@host",
        f"redis+cluster://user:{SECRET}@host:x",
        f"redis://host?password={SECRET}&nonsense=1",
    ],
)
def test_a_refusal_does_not_show_the_password(url: str) -> None:
    """A typing error must not put it into a log: not the message, not the facts, not the cause."""
    with pytest.raises(InvalidURL) as caught:
        parse(url)

    assert SECRET not in "".join(traceback.format_exception(caught.value)).split("Error", 1)[-1]
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.facts)


def test_masking_leaves_the_rest_readable() -> None:
    """One must see which server is meant."""
    assert masked("redis://user:pw@host:1/2?ns=a") == "redis://user:***@host:1/2?ns=a"
    assert masked("redis://host:1/2") == "redis://host:1/2"
