"""What nobody can have meant is refused before anything is sent, with a code and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from coordq.bus import body as bodies
from coordq.bus.envelope import Message, read_message
from coordq.bus.reply import reply
from coordq.client.bus import Bus
from coordq.client.client import Client
from coordq.engine.connection import Engine
from coordq.errors import CoordqError

pytestmark = pytest.mark.live
Wrong = Callable[[Bus], Any]
LOOP: list[Any] = []
LOOP.append(LOOP)

REFUSED: list[tuple[str, Wrong]] = [
    ("invalid-topic", lambda bus: bus.publish("", 1)),
    ("invalid-topic", lambda bus: bus.publish("a..b", 1)),
    ("invalid-topic", lambda bus: bus.publish(".a", 1)),
    ("invalid-topic", lambda bus: bus.publish("a b", 1)),
    ("invalid-topic", lambda bus: bus.publish("a.*", 1)),
    ("invalid-topic", lambda bus: bus.publish("ä.b", 1)),
    ("invalid-topic", lambda bus: bus.publish("a\nb", 1)),
    ("invalid-topic", lambda bus: bus.publish("x" * 201, 1)),
    ("invalid-topic", lambda bus: bus.publish(".".join("a" * 17), 1)),
    ("invalid-topic", lambda bus: bus.publish(None, 1)),  # type: ignore[arg-type]
    ("invalid-topic", lambda bus: bus.publish("task.succeeded", 1)),
    ("invalid-topic", lambda bus: bus.publish("bus.gap", 1)),
    ("invalid-topic", lambda bus: bus.subscribe("a.**.b")),
    ("invalid-topic", lambda bus: bus.subscribe("a*.b")),
    ("invalid-topic", lambda bus: bus.subscribe(7)),  # type: ignore[arg-type]
    ("invalid-topic", lambda bus: bus.bound("a b", entries=1, max_bytes=1)),
    ("invalid-name", lambda bus: bus.send("", 1)),
    ("invalid-name", lambda bus: bus.send("ada lovelace", 1)),
    ("invalid-name", lambda bus: bus.subscribe("a", group="g g")),
    ("invalid-name", lambda bus: bus.subscribe("@")),
    ("invalid-name", lambda bus: bus.unsubscribe("")),
    ("agent-not-found", lambda bus: bus.send("nobody", 1)),
    ("agent-not-found", lambda bus: bus.ask("nobody", 1, timeout=60)),
    ("group-not-found", lambda bus: bus.ask("no.topic", 1, timeout=60)),
    ("group-not-found", lambda bus: bus.unsubscribe("nobody")),
    ("group-not-found", lambda bus: bus.group("nobody")),
    ("channel-not-found", lambda bus: bus.channel("a.b")),
    ("invalid-message", lambda bus: bus.publish("a", object())),
    ("invalid-message", lambda bus: bus.publish("a", {"n": float("nan")})),
    ("invalid-message", lambda bus: bus.publish("a", float("inf"))),
    ("invalid-message", lambda bus: bus.publish("a", {1: 2})),
    ("invalid-message", lambda bus: bus.publish("a", "\ud800")),
    ("invalid-message", lambda bus: bus.publish("a", LOOP)),
    ("invalid-message", lambda bus: bus.publish("a", 1, priority="urgent")),
    ("invalid-message", lambda bus: bus.publish("a", 1, priority=["low"])),
    ("invalid-message", lambda bus: bus.publish("a", 1, trace="00-xyz")),
    ("invalid-message", lambda bus: bus.publish("a", 1, schema=0)),
    ("invalid-message", lambda bus: bus.publish("a", 1, schema=True)),
    ("invalid-message", lambda bus: bus.publish("a", 1, kind="k" * 201)),
    ("invalid-message", lambda bus: bus.publish("a", 1, sender=7)),
    ("invalid-message", lambda bus: bus.publish("a", 1, sender="\ud800")),
    ("invalid-message", lambda bus: bus.publish("a", 1, id="mine")),
    ("invalid-message", lambda bus: bus.publish("a", 1, urgency=1)),
    ("invalid-message", lambda bus: bus.publish_many([("a",)])),  # type: ignore[list-item]
    ("payload-too-large", lambda bus: bus.publish("a", "x" * (1024 * 1024))),
    ("payload-too-large", lambda bus: bus.publish("a", "x" * (1024 * 1024), compress=True)),
    ("invalid-time", lambda bus: bus.publish("a", 1, expires=0)),
    ("invalid-time", lambda bus: bus.publish("a", 1, expires=timedelta(days=366))),
    ("invalid-time", lambda bus: bus.publish("a", 1, expires="soon")),
    ("invalid-time", lambda bus: bus.publish("a", 1, timeout=-1)),
    ("invalid-time", lambda bus: bus.subscribe("a", visibility=0)),
    ("invalid-time", lambda bus: bus.subscribe("a", visibility=True)),
    ("invalid-time", lambda bus: bus.subscribe("a", abandon=-1)),
    ("invalid-time", lambda bus: bus.ask("a.b", 1, timeout=None)),  # type: ignore[arg-type]
    ("invalid-option", lambda bus: bus.publish("a", 1, when_full="drop")),
    ("invalid-option", lambda bus: bus.subscribe("a", max_deliveries=0)),
    ("invalid-option", lambda bus: bus.subscribe("a", max_deliveries=1.5)),  # type: ignore[arg-type]
    ("invalid-option", lambda bus: bus.subscribe("a", prefetch=0)),
    ("invalid-option", lambda bus: bus.subscribe(*[f"t{n}" for n in range(65)])),
    ("invalid-option", lambda bus: bus.subscribe()),
    ("invalid-option", lambda bus: bus.subscribe("@ada", "@bob")),
    ("invalid-option", lambda bus: bus.subscribe("@ada", group="other")),
    ("invalid-option", lambda bus: bus.bound("a", entries=-1, max_bytes=1)),
    ("invalid-option", lambda bus: bus.bound("a", entries=1, max_bytes=2**50)),
    ("invalid-option", lambda bus: bus.revive("17")),
    ("invalid-option", lambda bus: bus.purge_dead("9/1-0")),
    ("invalid-message", lambda _: reply(Message("x", "a", 1), 1, sender="s", nonce="n")),
]


@pytest.mark.parametrize(
    ("code", "wrong"), REFUSED, ids=[f"{n}-{code}" for n, (code, _) in enumerate(REFUSED)]
)
def test_bad_input_is_refused_by_name(engine: Engine, code: str, wrong: Wrong) -> None:
    """One sentence, one code, and nothing was changed."""
    bus = Client(engine).bus

    with pytest.raises(CoordqError) as refused:
        wrong(bus)

    assert refused.value.code == code
    assert len(str(refused.value)) > 20
    assert bus.channels() == []


ENVELOPES = (
    b"",
    b"[]",
    b"{",
    b'{"i":7}',
    b'{"f":"x"}',
    b'{"i":"x","s":"2"}',
    b"\xff",
)


@pytest.mark.parametrize("header", ENVELOPES)
def test_a_strangers_envelope_is_not_read(header: bytes) -> None:
    """It becomes a dead letter of who is given it."""
    with pytest.raises(ValueError):  # noqa: PT011 - any will do
        read_message("a", "normal", header, b"1")


@pytest.mark.parametrize("text", [b"", b"Z:", b"Z:junk", b"{", b"Z:" + b"\x78\x9c" + b"0" * 20])
def test_a_strangers_body_is_not_read(text: bytes) -> None:
    """Neither."""
    with pytest.raises(ValueError):  # noqa: PT011 - any will do
        bodies.load(text)


def test_a_body_survives_compression() -> None:
    """And is not made larger by it."""
    large = {"words": ["again"] * 5_000}
    packed = bodies.dump(large, compress=True)

    assert packed.startswith(b"Z:")
    assert len(packed) < len(json.dumps(large)) / 10
    assert bodies.load(packed) == large
    assert bodies.dump("short", compress=True) == b'"short"'


def test_a_bomb_is_not_unpacked() -> None:
    """What was packed is never larger than a body may be."""
    import zlib

    bomb = b"Z:" + zlib.compress(b'"' + b"0" * (50 * 1024 * 1024) + b'"')

    with pytest.raises(ValueError, match="longer than allowed"):
        bodies.load(bomb)
