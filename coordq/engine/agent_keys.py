"""The keys of the registry of agents, one function each, with its type; shard 0 only.

Like those of `keys.py`, with the root of shard 0 in front.
"""

from __future__ import annotations


def agents(root: str) -> str:
    """The registry of agents: HASH, name to record, see lua/lib/agents.lua; shard 0 only."""
    return f"{root}agents"


def agents_revision(root: str) -> str:
    """The last change of the registry: STRING, in microseconds; shard 0 only."""
    return f"{root}agents:revision"


def agents_moved(root: str) -> str:
    """With which revision each agent changed last, or was forgotten: ZSET; shard 0 only."""
    return f"{root}agents:moved"


def hosts(root: str) -> str:
    """Which workers have an agent: ZSET of `<agent> <worker>`, all of score 0; shard 0 only."""
    return f"{root}hosts"


def hosted(root: str) -> str:
    """Which agents a worker has: ZSET of `<worker> <agent>`, all of score 0; shard 0 only."""
    return f"{root}hosted"


def outside(root: str) -> str:
    """Until when agents outside workers count as there, and their load: HASH; shard 0 only."""
    return f"{root}outside"


def away(root: str) -> str:
    """Since when agents have been away: HASH; shard 0 only."""
    return f"{root}away"


def stand_ins(root: str) -> str:
    """Who stands in for an agent: HASH, name to `<by> <who> <since_ms>`; shard 0 only."""
    return f"{root}stand-ins"
