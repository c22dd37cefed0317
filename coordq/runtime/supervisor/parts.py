"""What a leader does: the one list of its parts."""

from __future__ import annotations

from coordq.runtime.supervisor.cron import Cron
from coordq.runtime.supervisor.forwarder import Forwarder
from coordq.runtime.supervisor.janitor import Janitor
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.recoverer import Recoverer
from coordq.runtime.supervisor.settings import SupervisorSettings


def parts(settings: SupervisorSettings) -> list[Part]:
    """The parts of one supervisor, in the order in which they are started."""
    return [Recoverer(), Forwarder(), Cron(), Janitor(settings)]
