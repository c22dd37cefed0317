"""What a worker or supervisor says on stderr: one line for people, or one JSON object for machines.

`12:00:01 worker web-3.4711-07af child 0 (pid 4712) serves: echo (1 task) from default`
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final, Literal

Format = Literal["text", "json"]
_LEVELS: Final = {"WARNING": "warning: ", "ERROR": "error: ", "CRITICAL": "error: "}


class _Lines(logging.Formatter):
    def __init__(self, who: str, role: str) -> None:
        super().__init__()
        self._who, self._role = who, role

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        source = "" if record.name.startswith("coordq") else f"[{record.name}] "
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        level = _LEVELS.get(record.levelname, "")
        return f"{moment} {self._role} {self._who} {source}{level}{text}"


class _Json(logging.Formatter):
    def __init__(self, who: str, role: str) -> None:
        super().__init__()
        self._who, self._role = who, role

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}"
            f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            self._role: self._who,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(
    who: str, *, form: Format, level: str, everything: bool, role: str = "worker"
) -> None:
    """Log to stderr as `who` from now on.

    everything: also what libraries and handlers log; else only coordq's own lines.
    role: what kind of process it is.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(who, role) if form == "json" else _Lines(who, role))
    logger = logging.getLogger() if everything else logging.getLogger("coordq")
    logger.handlers[:] = [handler]
    logger.propagate = everything
    logger.setLevel(level.upper())
