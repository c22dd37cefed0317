"""A producer takes no for an answer only when it is wrong itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from coordq.errors import CoordqError, InvalidInput

T = TypeVar("T")
RETRY_S: Final = 0.2


def insist(attempt: Callable[[], T]) -> T:
    """Repeat until Redis has taken it: nothing here is wrong but the world. Raises InvalidInput."""
    while True:
        try:
            return attempt()
        except InvalidInput:
            raise
        except CoordqError as error:
            sys.stderr.write(f"{error.code}: {error}\n")
            time.sleep(RETRY_S)
