"""A fleet file says what it means, and one that does not is refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordq.errors import InvalidFleetFile
from coordq.fleet.file import FleetFile, parse_file, read_file

FILE = Path("fleet.toml")
WEB = '[groups.web]\ntargets = "x"\n'


def parse(text: str, **variables: str) -> FleetFile:
    """The fleet of a text."""
    return parse_file(text, FILE, variables)


def test_a_group_needs_its_targets_and_no_more() -> None:
    """Everything else is as `coordq worker` would have it."""
    group = parse(WEB).groups["web"]

    assert (group.targets, group.least, group.scales) == (("x",), 1, False)
    assert (group.processes, group.concurrency, group.queues) == (1, 16, ())
    assert group.limits.drain_timeout == 30


def test_a_whole_file_is_understood() -> None:
    """Each key once, with times and lists as people write them."""
    fleet = parse(
        """
        name = "shop"
        url = "redis://:${SECRET}@db"
        namespace = "prod"
        zone = "rack-1"
        environment = { LEVEL = "info", HOME = "${BASE}/x", PRICE = "5$$", PORT = 80 }

        [supervisor]
        zone = "rack-1"
        lease = "3s"
        on_minority = "read-only"
        audit_every = "1m"
        health_port = 9000

        [groups.mail]
        targets = ["./workers", "app.mail:agent"]
        queues = ["urgent:3", "mail"]
        min = 0
        max = 8
        processes = 2
        concurrency = 4
        threads = 2
        zone = "rack-2"
        beat = "500ms"
        lease = 2
        start_timeout = "1m30s"
        labels = { gpu = "yes" }
        environment = { LEVEL = "debug" }
        limits = { max_rss = 512.5, max_tasks = 1000, drain_timeout = "1m", nice = 5 }
        stall = { after = "5s", policy = "kill" }
        restart = { restarts = 3, per = "1m", first = "100ms", longest = "5s" }
        autoscale = { scale_up_age = "2s", utilisation = 0.5, cooldown = "1m" }

        [groups.rest]
        targets = "workers"
        queues = "default"
        workers = 0
        """,
        SECRET="s3cret",
        BASE="/srv",
    )
    mail, rest = fleet.groups["mail"], fleet.groups["rest"]

    assert fleet.url == "redis://:s3cret@db"
    assert fleet.environment == {"LEVEL": "info", "HOME": "/srv/x", "PRICE": "5$", "PORT": "80"}
    assert fleet.supervised
    assert fleet.supervisor is not None
    assert (fleet.supervisor.lease, fleet.supervisor.audit_every) == (3, 60)
    assert mail.queues == (("urgent", 3), ("mail", 1))
    assert (mail.scales, mail.least, mail.max) == (True, 0, 8)
    assert (mail.beat, mail.lease, mail.start_timeout) == (0.5, 2, 90)
    assert (mail.limits.max_rss, mail.limits.drain_timeout, mail.limits.nice) == (512.5, 60, 5)
    assert (mail.stall.policy, mail.restart.first) == ("kill", 0.1)
    assert (mail.autoscale.scale_up_age, mail.autoscale.utilisation) == (2, 0.5)
    assert (rest.queues, rest.least) == ((("default", 1),), 0)


def test_a_range_without_a_least_begins_at_one() -> None:
    """Somebody is always there, unless the file says that nobody need be."""
    group = parse(WEB + "max = 4").groups["web"]

    assert (group.scales, group.least, group.max) == (True, 1, 4)


def test_a_fleet_may_be_a_supervisor_alone() -> None:
    """On a machine that only watches the others."""
    assert parse("[supervisor]").supervised
    assert not parse(f"{WEB}[supervisor]\nenabled = false").supervised


MISTAKES = {
    # keys that are not known
    "[groups.web]\ntargets = 'x'\nconcurency = 3": "[groups.web] concurency is not known; "
    "did you mean concurrency?",
    "nam = 'x'": "nam is not known; did you mean name?",
    "[group.web]": "group is not known; did you mean groups?",
    WEB + "limits = { max_ras = 1 }": "[groups.web.limits] max_ras is not known; "
    "did you mean max_rss?",
    WEB + "xyzzy = 1": "[groups.web] xyzzy is not known; known here: targets, queues, workers",
    "[supervisor]\nlaese = 1": "[supervisor] laese is not known; did you mean lease?",
    WEB + "autoscale = { cooldwon = 1 }": "[groups.web.autoscale] cooldwon is not known; "
    "did you mean cooldown?",
    "[supervisor]\nrestart = { pre = 1 }": "[supervisor.restart] pre is not known; "
    "did you mean per?",
    # what is not there
    "": "there is nothing to run: write [groups.<name>] with its targets",
    "[supervisor]\nenabled = false": "there is nothing to run",
    "[groups.web]": '[groups.web] targets is missing: write targets = ["./workers"]',
    WEB + "min = 2": "[groups.web] min stands alone: write max as well",
    WEB + "min = 0\nmax = 2": "[groups.web] min = 0 needs queues",
    WEB + "environment = { A = '${NOPE}' }": "[groups.web.environment] ${NOPE}: there is no such "
    "variable here; set NOPE",
    # what contradicts itself
    WEB + "workers = 2\nmax = 3": "[groups.web] workers goes with neither min nor max",
    WEB + "workers = 2\nmin = 1": "[groups.web] workers goes with neither min nor max",
    WEB + "min = 4\nmax = 3": "[groups.web] min = 4 is above max = 3",
    WEB + "autoscale = {}": "[groups.web] autoscale needs a range: write min and max",
    WEB + "beat = '2s'\nlease = '5s'": "[groups.web] lease is shorter than three beats: "
    "write 6s or more",
    WEB + "restart = { first = '9s', longest = '1s' }": "[groups.web.restart] longest is shorter",
    WEB + "restart = { restarts = 50 }": "[groups.web.restart] 50 restarts wait 690.5s together",
    # values of a wrong kind
    "groups = 3": "groups: write a table, [groups]",
    "[groups]\nweb = 3": "[groups] web: write a table, [groups.web]",
    "supervisor = true": "supervisor: write a table, [supervisor]",
    WEB + "limits = 3": "[groups.web] limits: write a table, [groups.web.limits]",
    WEB + "labels = 3": "[groups.web] labels = 3: write a table",
    WEB + "labels = { gpu = true }": "[groups.web.labels] gpu: write text in quotes",
    WEB + "workers = '3'": "[groups.web] workers = '3': write a whole number from 0 to 256",
    WEB + "workers = true": "[groups.web] workers = true: write a whole number",
    WEB + "workers = 2.5": "[groups.web] workers = 2.5: write a whole number",
    "[groups.web]\ntargets = []": "[groups.web] targets = []: write a file, a folder or a module",
    "[groups.web]\ntargets = ['a', 3]": "[groups.web] targets = ['a', 3]: write a file",
    "name = ''": "name = '': name name '' is not allowed",
    "zone = 5": "zone = 5: name name 5 is not text but int",
    "[supervisor]\nenabled = 'yes'": "[supervisor] enabled = 'yes': write true or false",
    # values out of range
    WEB + "workers = 257": "[groups.web] workers = 257: write a whole number from 0 to 256",
    WEB + "processes = 0": "[groups.web] processes = 0: write a whole number from 1 to 256",
    WEB + "max = 0": "[groups.web] max = 0: write a whole number from 1 to 256",
    WEB + "limits = { max_rss = nan }": "[groups.web.limits] max_rss = nan: write a number from 0",
    WEB + "limits = { nice = -5 }": "[groups.web.limits] nice = -5: write a whole number from 0",
    WEB + "max = 2\nautoscale = { utilisation = 70 }": "[groups.web.autoscale] utilisation = 70: "
    "write a number from 0.05 to 1",
    # times, queues, words, names
    WEB + "beat = '5x'": "[groups.web] beat = '5x': write a length of time from 0.05s to 3600s",
    WEB + "beat = '1s1'": "[groups.web] beat = '1s1': write a length of time",
    WEB + "limits = { drain_timeout = -1 }": "[groups.web.limits] drain_timeout = -1: write a",
    WEB + "start_timeout = '2d'": "[groups.web] start_timeout = '2d': write a length of time",
    WEB + "queues = ['mail:x']": "the weight in 'mail:x' is not from 1 to 1000",
    WEB + "queues = ['no good']": "queue name 'no good' is not allowed",
    WEB + "queues = 5": "[groups.web] queues = 5: write a list of queues",
    WEB + "stall = { policy = 'kil' }": "[groups.web.stall] policy = 'kil': write one of report, "
    "kill; did you mean kill?",
    "name = 'a:b'": "name = 'a:b': name name 'a:b' is not allowed: write",
    "namespace = 'Main'": "namespace = 'Main': namespace name 'Main' is not allowed",
    "[groups.'a b']\ntargets = 'x'": "[groups.a b] group name 'a b' is not allowed",
    "[groups.'a:b']\ntargets = 'x'": "[groups.a:b] group name 'a:b' is not allowed: write",
    f"[groups.{'a' * 41}]\ntargets = 'x'": "is not allowed: write at most 40 characters, no ':'",
    "[groups.supervisor]\ntargets = 'x'": "[groups.supervisor] is no group: write [supervisor]",
    # variables
    "environment = { 'A-B' = 'x' }": "[environment] 'A-B' cannot name a variable",
    "environment = { COORDQ_URL = 'x' }": "[environment] COORDQ_URL cannot be set here: "
    "write url = ... at the top",
    "url = 'redis://${DB'": "url: '${DB' names no variable: write ${NAME}, or $$ for $",
    # not even TOML
    "[groups.web\n": "this is not TOML: ",
    "name = 'a'\nname = 'b'": "this is not TOML: ",
    f"{WEB}{WEB}": "this is not TOML: ",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_answered_with_what_to_write(text: str) -> None:
    """The file, the table, the key, and a sentence: nobody has to look it up."""
    with pytest.raises(InvalidFleetFile) as caught:
        parse(text)

    assert str(caught.value).startswith("fleet.toml:")
    assert MISTAKES[text] in str(caught.value)
    assert caught.value.file == "fleet.toml"


def test_all_mistakes_are_told_at_once() -> None:
    """Whoever corrects a file wants to run it after that, not to meet the next one."""
    with pytest.raises(InvalidFleetFile) as caught:
        parse(f"nam = 'x'\n{WEB}beat = 'x'\nprocesses = 0")

    assert len(caught.value.problems) == 3
    assert len(str(caught.value).splitlines()) == 4


def test_a_refusal_gives_no_secret_away() -> None:
    """What stands in an environment or an address may be a password, and logs are read by many."""
    with pytest.raises(InvalidFleetFile) as caught:
        parse(
            f"{WEB}url = 's3cret ${{'\nenvironment = {{ KEY = 's3cret', B = true }}"
            "\n[groups.mail]\ntargets = 'x'\nworkers = 1\nmax = 1\nenvironment = { K = 's3cret' }"
        )

    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(caught.value.facts)


@pytest.mark.parametrize("made", ["missing", "folder", "latin"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, made: str) -> None:
    """It is not there, it is a folder, it is not text."""
    file = tmp_path / "fleet.toml"
    if made == "folder":
        file.mkdir()
    elif made == "latin":
        file.write_bytes("name = 'caf\u00e9'".encode("latin-1"))

    with pytest.raises(InvalidFleetFile, match=r"fleet\.toml"):
        read_file(file, {})
