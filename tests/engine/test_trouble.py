"""What Redis's errors mean: try again, look elsewhere, or say no in words that help."""

from __future__ import annotations

import pytest
import redis
from redis import exceptions

from coordq.engine.reconnect import persist
from coordq.engine.trouble import LostError, NoScriptError, translate
from coordq.errors import (
    AccessDenied,
    CoordqError,
    ForeignData,
    ReadOnly,
    RedisFull,
    ScriptMisuse,
    Unreachable,
)

SCRIPT = "work/claim"


@pytest.mark.parametrize(
    ("error", "moved"),
    [
        (redis.ConnectionError("gone"), True),
        (redis.TimeoutError("slow"), True),
        (ConnectionResetError(), True),
        (exceptions.InvalidResponse("HTTP/1.1"), True),
        (exceptions.BusyLoadingError("LOADING Redis is loading"), False),
        (redis.ResponseError("LOADING Redis is loading"), False),
        (redis.ResponseError("BUSY Redis is busy running a script"), False),
        (exceptions.TryAgainError("Multiple keys request"), False),
        (exceptions.MovedError("3999 127.0.0.1:6381"), True),
        (exceptions.ClusterDownError("The cluster is down"), True),
        (exceptions.MasterDownError("Link with MASTER is down"), True),
        (redis.ResponseError("UNBLOCKED force unblock from blocking operation"), True),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), True),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (
            redis.ResponseError(
                "Error running script (call to f_1): @user_script:6: -READONLY You can't write"
            ),
            True,
        ),
    ],
)
def test_what_passes_is_tried_again(error: Exception, *, moved: bool) -> None:
    """And the server is looked for anew when it may be another by now."""
    meaning = translate(error, SCRIPT)

    assert isinstance(meaning, LostError)
    assert meaning.moved is moved


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.AuthenticationError("invalid username-password pair"), AccessDenied),
        (exceptions.AuthorizationError("no"), AccessDenied),
        (exceptions.NoPermissionError("this user has no permissions"), AccessDenied),
        (redis.ResponseError("NOPERM this user has no permissions"), AccessDenied),
        (exceptions.OutOfMemoryError("command not allowed when used memory"), RedisFull),
        (
            redis.ResponseError(
                "Error running script: @user_script:9: -OOM command not allowed when used memory"
            ),
            RedisFull,
        ),
        (redis.ResponseError("WRONGTYPE Operation against a key"), ForeignData),
        (redis.ResponseError("user_script:401: attempt to index a nil value"), ScriptMisuse),
    ],
)
def test_what_stays_is_said_at_once(error: Exception, kind: type[CoordqError]) -> None:
    """Trying again would not help; the message names the script."""
    meaning = translate(error, SCRIPT)

    assert isinstance(meaning, kind)
    assert str(meaning).endswith((".", "value"))


def test_a_forgotten_script_is_sent_again() -> None:
    """A restart, a failover or SCRIPT FLUSH."""
    assert isinstance(translate(exceptions.NoScriptError("No matching"), SCRIPT), NoScriptError)
    assert isinstance(translate(redis.ResponseError("NOSCRIPT No"), SCRIPT), NoScriptError)


def test_patience_ends_in_unreachable() -> None:
    """With the address, and what to check."""
    tries = []

    def attempt() -> None:
        tries.append(1)
        raise LostError("refused")

    with pytest.raises(Unreachable, match=r"redis://h did not answer within 0\.7 s: refused"):
        persist(attempt, where="redis://h", patience_s=0.7)

    assert len(tries) > 1


def test_patience_ends_in_the_refusal_when_there_is_one() -> None:
    """A replica answers, but takes no writes: that is another thing than silence."""

    def attempt() -> None:
        raise LostError("READONLY", refusal=ReadOnly("takes no writes"))

    with pytest.raises(ReadOnly):
        persist(attempt, where="redis://h", patience_s=0.0)


def test_what_is_no_loss_is_not_repeated() -> None:
    """A refusal is an answer."""
    tries = []

    def attempt() -> None:
        tries.append(1)
        raise RedisFull("full")

    with pytest.raises(RedisFull):
        persist(attempt, where="redis://h", patience_s=5)

    assert len(tries) == 1
