"""`coordq demo debate`: five agents argue in a session; one of them dies, and is stood in for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import coordq
from coordq import clock
from coordq.client.sessions import Session
from coordq.errors import CoordqError, InvalidOption, WaitTimeout
from coordq.interfaces.demo import debaters
from coordq.interfaces.demo.debaters import NAMES, UNDERSTUDY, arguments
from coordq.interfaces.demo.fleet import POLL_S, end
from coordq.interfaces.demo.screen import Screen
from coordq.interfaces.table import say, show_json
from coordq.work.synthesis import Answer, Synthesis, synthesize

QUESTION: Final = "How should threads and coroutines wait for each other?"
MODERATOR: Final = "moderator"
VICTIM: Final = "archivist"
START_S: Final = 60.0
TURN_S: Final = 120.0
"""A turn that takes longer than this is missing: somebody has died, and nobody stood in."""
BEAT_S: Final = 0.5


def run_debate(
    question: str = QUESTION,
    *,
    corpus: Path | None = None,
    rounds: int = 3,
    kill: bool = True,
    json: bool = False,
    url: str | None = None,
) -> int:
    """Let five agents debate a question, and show what came of it. Returns the exit code.

    corpus: a text, a Python file, or a folder of them; the standard library unless said. kill:
    whether the process of one agent is killed in the second round. 0 when all turns were spoken,
    in order, each once; 1 otherwise.
    """
    place = (corpus or Path(sysconfig.get_path("stdlib"))).resolve()
    if not place.exists():
        raise InvalidOption(f"there is no corpus {str(place)!r}.", option="corpus")
    screen = Screen(quiet=json)
    try:
        with ExitStack() as stack:
            debate = _Debate(stack, screen, url)
            report = debate.run(question, place, rounds, kill=kill)
    except KeyboardInterrupt:
        screen.say("interrupted; every process of the demo has been ended")
        return 130
    (show_json if json else _show)(report)
    return 0 if report["ok"] else 1


class _Debate:
    """The processes of one debate; `stack` ends them."""

    def __init__(self, stack: ExitStack, screen: Screen, url: str | None) -> None:
        self.screen = screen
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordq-demo-")))
        self._url = url or f"embedded://{self._folder / 'redis'}"
        self._namespace = f"debate-{os.getpid()}"
        self.client = stack.enter_context(coordq.connect(self._url, namespace=self._namespace))

    def run(self, question: str, corpus: Path, rounds: int, *, kill: bool) -> dict[str, Any]:
        """From the first process to the report."""
        file = str(Path(debaters.__file__).resolve())
        others = [name for name in NAMES if name != VICTIM]
        self.screen.say("starting a supervisor and three workers")
        self._start("supervisor")
        beat = ("--beat", f"{BEAT_S}s")
        self._start("worker", *(f"{file}:{name}" for name in others), *beat)
        victim = self._start("worker", f"{file}:{VICTIM}", *beat)
        self._start("worker", f"{file}:{UNDERSTUDY}", *beat)
        self._await_agents([*NAMES, UNDERSTUDY])
        about = {"question": question, "corpus": str(corpus), "pause": 0.3}
        session = self.client.sessions.open(
            about, participants=NAMES, me=MODERATOR, order="round", idle=3600
        )
        began = clock.monotonic()
        self.screen.say(f"\n{question}\n")
        for number in range(1, rounds + 1):
            session.say(f"round {number}")
            if kill and number == min(2, rounds):
                self._kill(victim)
            self._await_round(session, number)
        votes = self._votes(session)
        session.close("the debate is over")
        return self._report(session, rounds, votes, clock.monotonic() - began)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        """A process of coordq, ended with the demo."""
        command = [sys.executable, "-m", "coordq", *words]
        command += ["--url", self._url, "--namespace", self._namespace]
        log = (self._folder / f"{words[0]}-{len(words)}.log").open("ab")
        with log:
            process = subprocess.Popen(
                command,
                cwd=Path(coordq.__path__[0]).resolve().parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends them
            )
        self._stack.callback(end, process)
        return process

    def _await_agents(self, names: Sequence[str]) -> None:
        """Return when all agents read their mailboxes."""
        deadline = clock.monotonic() + START_S
        wanted = {f"@{name}" for name in names}
        while not wanted <= {view.name for view in self.client.bus.groups()}:
            if clock.monotonic() > deadline:
                raise CoordqError("the agents did not come up: see whether `coordq worker` starts.")
            time.sleep(POLL_S)

    def _await_round(self, session: Session, number: int) -> None:
        """Show turns as they come, until it is the moderator's again."""
        shown = 1 + (number - 1) * (len(NAMES) + 1)
        deadline = clock.monotonic() + TURN_S
        view = session.get()
        while view.next != MODERATOR or view.turn < number * (len(NAMES) + 1):
            if clock.monotonic() > deadline:
                raise WaitTimeout(f"{view.next!r} did not speak within {TURN_S:g} s.")
            for turn in session.transcript(after=shown):
                shown, deadline = turn.number, clock.monotonic() + TURN_S
                self._show_turn(turn)
            time.sleep(POLL_S)
            view = session.get()
        for turn in session.transcript(after=shown):
            self._show_turn(turn)

    def _show_turn(self, turn: Any) -> None:
        said = turn.body
        if not isinstance(said, dict) or "stance" not in said:
            return
        acting = turn.message.causation.removeprefix("stand-in:")
        who = f"{turn.speaker} (by {acting})" if acting else turn.speaker
        self.screen.say(f"{turn.number:>3}  {who}: {said['stance']} {said['position']}")
        self.screen.say(f"     {said['claim'][:160]}  [{said['where']}]")

    def _kill(self, victim: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(victim.pid, signal.SIGKILL)
        self.screen.say(f"     ... the worker of the {VICTIM} was killed with SIGKILL")

    def _votes(self, session: Session) -> Synthesis:
        """Ask each what it is convinced of."""
        answers = []
        for name in NAMES:
            vote = session.ask(name, "What are you convinced of?", timeout=TURN_S)
            answers.append(Answer(name, vote["position"], tuple(vote["evidence"])))
        return synthesize(answers)

    def _report(
        self, session: Session, rounds: int, votes: Synthesis, seconds: float
    ) -> dict[str, Any]:
        turns = session.transcript()
        spoken = [one["by"] for one in arguments(turns)]
        stood_in = [turn.number for turn in turns if turn.message.causation.startswith("stand-in:")]
        return {
            "ok": spoken == list(NAMES) * rounds and _in_order([turn.number for turn in turns]),
            "session": session.id,
            "about": session.get().about,
            "turns": len(turns),
            "stood_in": stood_in,
            "votes": votes.to_json(),
            "seconds": round(seconds, 2),
        }


def _in_order(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(1, len(numbers) + 1))


def _show(report: dict[str, Any]) -> None:
    say("")
    for opinion in report["votes"]["opinions"]:
        say(
            f"{len(opinion['agents'])} of {len(NAMES)} hold {opinion['value']}: "
            f"{', '.join(opinion['agents'])}"
        )
        for answer in opinion["answers"][:1]:
            for piece in answer["evidence"]:
                say(f"    {piece}")
    ends = "all spoken once and in order" if report["ok"] else "NOT all spoken once and in order"
    say(
        f"\n{report['turns']} turns in {report['seconds']:g} s, {ends}; turns by a stand-in: "
        f"{', '.join(map(str, report['stood_in'])) or 'none'}"
    )
