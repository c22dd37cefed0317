"""Agents send to those whom the topology lets them talk to, and to no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordq.errors import NotConnected
from coordq.fleet.topology.view import View


def concerns(channel: object, envelope: dict[str, Any]) -> bool:
    """Whether the topology has to be asked: an agent sends to a mailbox, or to all."""
    return bool(envelope.get("sender")) and isinstance(channel, str) and channel[:1] in {"@", "*"}


def any_concerns(items: Sequence[Any], envelope: dict[str, Any]) -> bool:
    """Whether it has to be asked for one of `(channel, body)` or `(channel, body, envelope)`."""
    if not envelope.get("sender") and not any(map(_has_own, items)):
        return False
    return any(_whole(item) and concerns(item[0], _own(item, envelope)) for item in items)


def allowed(view: View, channel: str, envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope, with the version that lets it pass. Raises NotConnected.

    What is said to all is heard by those whom the sender may talk to: who takes it asks again.
    """
    if not concerns(channel, envelope):
        return envelope
    sender, receiver = envelope["sender"], channel[1:]
    verdict = view.may_talk(sender, receiver)
    if not verdict:
        raise NotConnected(
            verdict.reason, sender=sender, receiver=receiver, version=verdict.version
        )
    return envelope | {"arranged": view.version} if view.version else envelope


def all_allowed(view: View, items: Sequence[Any], envelope: dict[str, Any]) -> list[Any]:
    """As `allowed`, for many; none is sent when one may not be."""
    return [
        (item[0], item[1], allowed(view, item[0], _own(item, envelope))) if _whole(item) else item
        for item in items
    ]


def _whole(item: Any) -> bool:
    return isinstance(item, tuple | list) and len(item) in {2, 3}


def _has_own(item: Any) -> bool:
    return _whole(item) and len(item) > 2  # noqa: PLR2004 - it has an envelope of its own


def _own(item: Any, envelope: dict[str, Any]) -> dict[str, Any]:
    return envelope | item[2] if _has_own(item) else envelope
