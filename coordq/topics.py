"""What topics are called, and which of them a pattern asks for.

A topic is words with dots between them, such as `orders.created`. lua/lib/topic.lua matches as this
file does; they are tested against each other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from coordq.errors import InvalidTopic

LENGTH_MAX: Final = 200
WORDS_MAX: Final = 16
OWN: Final = ("task", "flow", "worker", "fleet", "agent", "bus", "session")
"""First words of topics that tell what happened; only coordq publishes these."""

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")
_PATTERN: Final = re.compile(r"(([A-Za-z0-9_-]+|\*)\.)*([A-Za-z0-9_-]+|\*\*?)\Z")
_RULE: Final = (
    f"use words of letters, digits, '_' and '-' with dots between them, up to {WORDS_MAX} words "
    f"and {LENGTH_MAX} characters"
)


@lru_cache(maxsize=4096)
def _fits(shape: re.Pattern[str], text: str) -> bool:
    return len(text) <= LENGTH_MAX and text.count(".") < WORDS_MAX and shape.match(text) is not None


def check_topic(topic: object) -> str:
    """`topic` itself when messages may be published to it. Raises InvalidTopic."""
    if not isinstance(topic, str) or not _fits(_TOPIC, topic):
        wild = isinstance(topic, str) and "*" in topic
        hint = " Wildcards are for those who subscribe." if wild else ""
        raise InvalidTopic(f"Topic {_shown(topic)} is not allowed: {_RULE}.{hint}", topic=topic)
    if topic.partition(".")[0] in OWN:
        raise InvalidTopic(
            f"Topic {topic!r} is coordq's own: {', '.join(OWN)} tell what happened. Begin with "
            "another word.",
            topic=topic,
        )
    return topic


def check_pattern(pattern: object) -> str:
    """`pattern` itself when topics may be asked for by it. Raises InvalidTopic.

    `*` stands for one word, `**` at the end for any number of words, also for none.
    """
    if not isinstance(pattern, str) or not _fits(_PATTERN, pattern):
        raise InvalidTopic(
            f"Pattern {_shown(pattern)} is not allowed: {_RULE}; '*' stands for one word, '**' at "
            "the end for any number.",
            topic=pattern,
        )
    return pattern


def _shown(text: object) -> str:
    return repr(text)[:80]


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` is one of those that `pattern` asks for."""
    wanted, words = pattern.split("."), topic.split(".")
    if wanted[-1] == "**":
        wanted.pop()
        words = words[: len(wanted)] if len(words) >= len(wanted) else words
    return len(wanted) == len(words) and all(
        want in {"*", word} for want, word in zip(wanted, words, strict=True)
    )


def tells(pattern: str) -> bool:
    """Whether a pattern asks for what happened, which the events of a shard tell."""
    return pattern.partition(".")[0] in OWN
