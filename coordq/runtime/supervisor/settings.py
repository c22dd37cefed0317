"""How a supervisor is set up; `start.run_supervisor` runs one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal

from coordq.errors import InvalidOption
from coordq.names import check_name
from coordq.runtime.bounds import within

_YEAR_S: Final = 365 * 86_400
_OF_THE_FLEET: Final = (
    "lease_s",
    "on_minority",
    "audit_every_s",
    "dead_retention_s",
    "event_retention_s",
    "stuck_after_s",
)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """Everything about one supervisor. Times are seconds."""

    url: str | None = None
    """Redis; None for COORDQ_URL or the embedded one."""
    namespace: str | None = None
    name: str = ""
    """Shown in lists; made unique by a suffix. Empty for the host's name."""
    zone: str = ""
    """Host, rack or site: what fails together. Empty for the host's name."""
    lease_s: float = 3.0
    """How long a leader leads without being confirmed; after that another may."""
    on_minority: Literal["auto", "read-only", "continue"] = "auto"
    """What becomes of a fleet of which most cannot be reached. auto: read-only where Redis has
    replicas, because only then the others may be at work on another Redis."""
    audit_every_s: float = 60.0
    """How often the books are gone through."""
    dead_retention_s: float = 0.0
    """Dead letters older than this are deleted; 0: only those above the cap of 10,000."""
    event_retention_s: float = 0.0
    """Events older than this are deleted; 0: only those above the cap of about 8,000 entries."""
    stuck_after_s: float = 300.0
    """A flow of which nothing has ended for so long, and nothing goes on, is told to be stuck."""
    health_port: int | None = None
    """Serve /healthz and /readyz there; 0 for any free port."""
    health_host: str = "127.0.0.1"
    log_format: Literal["text", "json"] = "text"
    log_level: str = "info"
    tether: tuple[int, ...] = ()
    """File descriptors of the spawner that started it, see `runtime.tether`; empty for nobody's."""

    def check(self) -> None:
        """Raise InvalidOption or InvalidName for settings no supervisor can run with."""
        within("lease_s", self.lease_s, 0.5, 300)
        within("audit_every_s", self.audit_every_s, 0.1, 86_400)
        within("dead_retention_s", self.dead_retention_s, 0, 10 * _YEAR_S)
        within("event_retention_s", self.event_retention_s, 0, 10 * _YEAR_S)
        within("stuck_after_s", self.stuck_after_s, 0.1, _YEAR_S)
        if self.on_minority not in {"auto", "read-only", "continue"}:
            raise InvalidOption(
                f"on_minority = {self.on_minority!r}: use auto, read-only or continue.",
                option="on_minority",
            )
        if self.zone:
            check_name("zone", self.zone)
        if self.name:
            check_name("supervisor", self.name)

    @property
    def lease_ms(self) -> int:
        """The leader's lease in milliseconds."""
        return round(self.lease_s * 1000)

    def of_the_fleet(self) -> dict[str, Any]:
        """The settings that count for the whole fleet while this one leads."""
        return {name: getattr(self, name) for name in _OF_THE_FLEET}

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: for handing over to a process."""
        return dataclasses.asdict(self)
