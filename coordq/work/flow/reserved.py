"""Names of tasks that are coordq's own. No task of a user's flow has a name that begins so."""

from __future__ import annotations

from typing import Final

RESERVED: Final = "coordq."
APPROVAL: Final = "coordq.approval"
SIGNAL: Final = "coordq.signal"
TIMER: Final = "coordq.timer"
EXPAND: Final = "coordq.expand"
"""The task that every worker can do by itself: it makes the tasks of a map over a result."""
SYNTHESIZE: Final = "coordq.synthesize"
"""Another one: it puts the answers of several tasks side by side."""
BUILTIN: Final = (EXPAND, SYNTHESIZE)
"""What every worker can do, whatever it has loaded."""
