"""A producer takes no for an answer only when it is wrong itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from coordq.errors import CoordqError, InvalidInput, SessionNotFound

T = TypeVar("T")
RETRY_S: Final = 0.2


def insist(attempt: Callable[[], T]) -> T:
    """Repeat until Redis has taken it: nothing here is wrong but the world.

    Raises InvalidInput, and SessionNotFound: a session that a failover took back does not return.
    """
    while True:
        try:
            return attempt()
        except (InvalidInput, SessionNotFound):
            raise
        except CoordqError as error:
            sys.stderr.write(f"{error.code}: {error}\n")
            time.sleep(RETRY_S)
