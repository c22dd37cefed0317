"""What lies in channels, and how groups get on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from coordq.bus.group import Group, read_group
from coordq.engine.call import Call


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel as it stands."""

    name: str
    shard: int
    used_ms: int
    """When it was last published to, in milliseconds since 1970, by Redis's clock; 0 for never."""
    critical: int
    """Messages of each priority that some group has not acknowledged."""
    normal: int
    low: int
    bytes: int
    """Of these, as its bound counts them."""
    max_entries: int
    """What may lie here, as the next message meets it."""
    max_bytes: int
    published: int
    """Since the channel was made; one that is empty for ten minutes is forgotten."""
    done: int
    """Those that every group has acknowledged."""
    groups: tuple[str, ...]
    leaving: tuple[str, ...]
    """Groups that have ended and let go of their messages still."""

    @property
    def entries(self) -> int:
        """Messages that some group has not acknowledged."""
        return self.critical + self.normal + self.low

    @property
    def full(self) -> float:
        """How full it is: 1 is where normal messages find no room."""
        return max(self.entries / max(1, self.max_entries), self.bytes / max(1, self.max_bytes))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        names = [name for name in self.__slots__ if name not in {"groups", "leaving"}]
        values = {name: getattr(self, name) for name in names}
        return {**values, "groups": list(self.groups), "leaving": list(self.leaving)}


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as it stands, over all shards."""

    group: Group
    places: int
    """Channels and priorities in which it has something to read."""
    held: int
    """Messages that its readers hold, or that were given back and wait."""
    figures: dict[str, int]
    """Since it was made: taken, again (redelivered), handled, nacked, dead, dropped."""
    readers: dict[str, int] = field(default_factory=dict)
    """Each with the moment it was last heard, in milliseconds since 1970."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.group.name

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "patterns": list(self.group.patterns),
            "visibility": self.group.visibility_s,
            "max_deliveries": self.group.deliveries,
            "ordered": self.group.ordered,
            "ephemeral": self.group.ephemeral,
            "abandon": self.group.abandon_s,
            "places": self.places,
            "held": self.held,
            "readers": self.readers,
            **self.figures,
        }


_COUNTS = (
    *("critical", "normal", "low", "bytes", "max_entries", "max_bytes"),
    *("published", "done"),
)
FIGURES = ("taken", "again", "handled", "nacked", "dead", "dropped")


def channels(
    shard: int, name: str = "", *, offset: int = 0, limit: int = 500
) -> Call[list[ChannelView]]:
    """A page of channels, those used last first; or one, if it is known."""

    def read(reply: Any) -> list[ChannelView]:
        return [_channel(shard, each) for each in reply]

    return Call("bus/channels", shard, (name, offset, limit), read)


def _channel(shard: int, words: Any) -> ChannelView:
    name, used, *numbers, groups = words
    bound = {groups[at].decode(): groups[at + 1] for at in range(0, len(groups), 2)}
    counts = dict(zip(_COUNTS, map(int, numbers), strict=True))
    return ChannelView(
        name=name.decode(),
        shard=shard,
        used_ms=round(float(used)),
        groups=tuple(sorted(group for group, how in bound.items() if how == b"+")),
        leaving=tuple(sorted(group for group, how in bound.items() if how != b"+")),
        **counts,
    )


def groups(
    shard: int, name: str = "", *, cursor: str = "0", limit: int = 500
) -> Call[tuple[str, list[GroupView]]]:
    """A page of groups and the cursor of the next, "0" at the end; or one, if it is known."""
    return Call("bus/look", shard, (name, cursor, limit), _read_groups)


def _read_groups(reply: Any) -> tuple[str, list[GroupView]]:
    views = [_group(words) for words in reply[1]]
    return reply[0].decode(), [view for view in views if view is not None]


def _group(words: Any) -> GroupView | None:
    name, text, places, held, figures, readers = words
    group = read_group(name.decode(), text)
    if group is None:
        return None
    said = dict(zip(figures[::2], figures[1::2], strict=True))
    seen = {readers[at].decode(): round(float(readers[at + 1])) for at in range(0, len(readers), 2)}
    counts = {figure: int(said.get(figure.encode(), 0)) for figure in FIGURES}
    return GroupView(group, places, held, counts, seen)


def merge(views: Iterable[GroupView]) -> list[GroupView]:
    """What shards say, put together by group, by name."""
    merged: dict[str, GroupView] = {}
    for view in views:
        known = merged.get(view.name)
        if known is None:
            merged[view.name] = view
            continue
        readers = {
            reader: max(known.readers.get(reader, 0), view.readers.get(reader, 0))
            for reader in {**known.readers, **view.readers}
        }
        merged[view.name] = GroupView(
            known.group,
            known.places + view.places,
            known.held + view.held,
            {figure: known.figures[figure] + view.figures[figure] for figure in FIGURES},
            readers,
        )
    return [merged[name] for name in sorted(merged)]
