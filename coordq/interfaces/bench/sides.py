"""Two sides of a network that can be cut apart: network namespaces that vanish with their owner.

`enter` starts the program anew inside namespaces of its own (network, mounts, processes); what it
makes there cannot be seen outside, and when it ends, however it ends, the kernel ends every process
in it and takes everything apart. Nothing of the machine's own network is touched.

    side a  198.18.0.1 ---.                  .--- 198.18.0.2  side b
                           hub, a bridge: cut takes a's port down, so packets vanish
    198.18.1.2 --- 198.18.1.1  the program  198.18.2.1 --- 198.18.2.2   never cut, to look
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import Final

from coordq import settings
from coordq.interfaces.bench.sentinel import Place
from coordq.interfaces.chaos import leash

SKIPPED: Final = 77
"""The exit code of a program that cannot run here, as automake has it."""
_INSIDE: Final = "--inside"
_NET: Final = "198.18"
"""Set apart for measurements of networks (RFC 2544)."""


def missing() -> str:
    """Why there can be no namespaces here, as a sentence; "" when there can."""
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"{program!r} is not on PATH: install {package}."
    said = subprocess.run([*_unshare(), *_SHELL, _TRY], capture_output=True, text=True, check=False)
    if said.returncode == 0:
        return ""
    why = (said.stderr.strip().splitlines() or ["no reason given"])[-1]
    return (
        f"network namespaces are not allowed here ({why}). Run it as root on Linux, in a container "
        "with --privileged, or where unprivileged user namespaces are on."
    )


def enter(argv: list[str]) -> int | None:
    """Run this program anew inside; its exit code, or None when this is the one inside."""
    if _INSIDE in argv:
        argv.remove(_INSIDE)
        return None
    if why := missing():
        print(f"skipped: {why}", file=sys.stderr)  # noqa: T201 - a program's last words
        return SKIPPED
    again = [sys.executable, *argv, _INSIDE]
    command = [*_unshare(), *_SHELL, f'{_PRIVATE} && exec "$@"', "sh", *again]
    process = subprocess.Popen(command, env=settings.environment())

    def pass_on(number: int, _: object) -> None:
        leash.signal_all(leash.tree(process.pid)[1:2], signal.Signals(number))

    signal.signal(signal.SIGTERM, pass_on)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the one inside has got it as well, and tidies up
            continue


class Sides:
    """The network. Made inside, once."""

    def __init__(self) -> None:
        _ip("link set dev lo up")
        _ip("link add name hub type bridge")
        _ip("link set dev hub up")
        self.a, self.b = (self._side(number, name) for number, name in ((1, "a"), (2, "b")))

    @staticmethod
    def _side(number: int, name: str) -> Place:
        inside, seen = f"{_NET}.0.{number}", f"{_NET}.{number}"
        _ip(f"netns add {name}")
        _ip(f"link add name at-{name} type veth peer name eth0 netns {name}")
        _ip(f"link set dev at-{name} master hub up")
        _ip(f"link add name look-{name} type veth peer name eth1 netns {name}")
        _ip(f"link set dev look-{name} up")
        _ip(f"addr add {seen}.1/24 dev look-{name}")
        for device, address in (("eth0", inside), ("eth1", f"{seen}.2")):
            _ip(f"-n {name} addr add {address}/24 dev {device}")
            _ip(f"-n {name} link set dev {device} up")
        _ip(f"-n {name} link set dev lo up")
        return Place(inside, f"{seen}.2", ("ip", "netns", "exec", name))

    @staticmethod
    def cut() -> None:
        """From now on packets between the sides vanish."""
        _ip("link set dev at-a down")

    @staticmethod
    def heal() -> None:
        """They pass again."""
        _ip("link set dev at-a up")


_SHELL: Final = ("sh", "-c")
_PRIVATE: Final = "mount -t tmpfs tmpfs /run"  # where ip keeps the names of namespaces
_TRY: Final = f"{_PRIVATE} && ip netns add a && ip link add name hub type bridge"


def _unshare() -> list[str]:
    own = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), *own]


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)  # noqa: S607 - looked for on PATH by `missing`
