"""What a leader does: the one list of its parts."""

from __future__ import annotations

from coordq.runtime.supervisor.aggregator import Aggregator
from coordq.runtime.supervisor.arranger import Arranger
from coordq.runtime.supervisor.auditor import Auditor
from coordq.runtime.supervisor.cron import Cron
from coordq.runtime.supervisor.forwarder import Forwarder
from coordq.runtime.supervisor.janitor import Janitor
from coordq.runtime.supervisor.knots import Knots
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.recoverer import Recoverer
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.sweeper import Sweeper
from coordq.runtime.supervisor.tender import Tender
from coordq.runtime.supervisor.watcher import Watcher


def parts(settings: SupervisorSettings) -> list[Part]:
    """The parts of one supervisor, in the order in which they are started."""
    return [
        Watcher(settings),
        Recoverer(),
        Forwarder(),
        Cron(),
        Janitor(settings),
        Auditor(every_s=settings.audit_every_s),
        Aggregator(),
        Knots(settings),
        Sweeper(),
        Tender(),
        Arranger(),
    ]
