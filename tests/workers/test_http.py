"""What each answer of a server means for the task, on a real server on loopback."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from coordq import Reject, Retry, Snooze
from tests.workers.conftest import worker_module

http = worker_module("http")

Answer = tuple[int, dict[str, str], bytes]


class Site(ThreadingHTTPServer):
    """A web site whose pages a test writes down: `site.pages["/a"] = (status, headers, body)`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self.under_way = 0
        self.most_under_way = 0
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        site = self.server
        with site.lock:
            site.asked.append((self.command, self.path))
            site.under_way += 1
            site.most_under_way = max(site.most_under_way, site.under_way)
        site.gate.wait(60)
        with site.lock:
            site.under_way -= 1
        status, headers, body = site.pages.get(self.path, (404, {}, b"nothing here"))
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        for name, text in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as it is called there

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
        """Say nothing: the test says what it saw."""


@pytest.fixture
def site() -> Iterator[Site]:
    """An empty site on loopback."""
    pytest.importorskip("httpx", reason="needs coordq[http]")
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.gate.set()
        site.shutdown()
        thread.join()


async def with_web(*urls: str, **options: Any) -> list[Any]:
    """Fetch all urls at once with one worker's client; errors are returned, not raised."""
    opened = http.open_web()
    web = await anext(opened)
    try:
        fetches = (http.fetch(url, web=web, **options) for url in urls)
        return await asyncio.gather(*fetches, return_exceptions=True)
    finally:
        await opened.aclose()


def fetch(url: str, **options: Any) -> Any:
    """One fetch by a new worker."""
    (outcome,) = asyncio.run(with_web(url, **options))
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def test_a_page_is_fetched(site: Site) -> None:
    """The result has what a program needs to go on: text, type, size, final address."""
    site.pages["/"] = (
        200,
        {"content-type": "text/html; charset=latin-1", "set-cookie": "secret=1"},
        "caf\u00e9".encode("latin-1"),
    )

    page = fetch(site.url("/"))

    assert (page.status, page.text, page.bytes, page.cut) == (200, "caf\u00e9", 4, False)
    assert page.url == site.url("/")
    assert page.headers["content-type"] == "text/html; charset=latin-1"
    assert "set-cookie" not in page.headers
    assert page.elapsed_ms >= 0


def test_bytes_that_are_no_text_are_only_counted(site: Site) -> None:
    """A result is JSON; an image in it would help nobody."""
    site.pages["/i"] = (200, {"content-type": "image/png"}, b"\x89PNG")

    page = fetch(site.url("/i"))

    assert (page.text, page.bytes) == (None, 4)


def test_a_long_text_is_cut_and_says_so(site: Site) -> None:
    """The result has to stay small enough for a task's record."""
    site.pages["/long"] = (200, {"content-type": "text/plain"}, b"x" * (http.TEXT_MAX + 1))

    page = fetch(site.url("/long"))

    assert (len(page.text), page.cut, page.bytes) == (http.TEXT_MAX, True, http.TEXT_MAX + 1)


def test_a_body_over_the_limit_is_rejected(site: Site) -> None:
    """It stops reading there, and a second attempt would stop at the same place."""
    site.pages["/big"] = (200, {}, b"x" * 100_000)

    with pytest.raises(Reject, match="more than the 1000 bytes"):
        fetch(site.url("/big"), max_bytes=1000)


def test_head_asks_for_no_body(site: Site) -> None:
    """Enough to see whether a page is there and how it is dated."""
    site.pages["/"] = (200, {"etag": '"1"', "content-type": "text/plain"}, b"body")

    page = fetch(site.url("/"), method="HEAD")

    assert (page.bytes, page.headers["etag"]) == (0, '"1"')
    assert site.asked == [("HEAD", "/")]


@pytest.mark.parametrize("status", [500, 502, 504, 408, 425])
def test_a_failing_server_is_tried_again_later(site: Site, status: int) -> None:
    """An ordinary error: the task's backoff decides when."""
    site.pages["/"] = (status, {}, b"")

    with pytest.raises(http.FetchFailed, match=str(status)):
        fetch(site.url("/"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_final(site: Site, status: int) -> None:
    """Asking again gives the same answer, so the task becomes a dead letter with the reason."""
    site.pages["/"] = (status, {}, b"")

    with pytest.raises(Reject, match=str(status)):
        fetch(site.url("/"))


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_is_asked_then(site: Site, status: int) -> None:
    """Retry-After is worth more than any backoff of ours."""
    site.pages["/"] = (status, {"retry-after": "17"}, b"")

    with pytest.raises(Retry) as caught:
        fetch(site.url("/"))

    assert caught.value.after == 17


@pytest.mark.parametrize("said", [{}, {"retry-after": "soon"}, {"retry-after": "nan"}])
def test_a_server_that_does_not_say_when_is_tried_by_backoff(
    site: Site, said: dict[str, str]
) -> None:
    """Also when what it says makes no sense."""
    site.pages["/"] = (503, said, b"")

    with pytest.raises(Retry) as caught:
        fetch(site.url("/"))

    assert caught.value.after is None


def test_a_host_that_wants_a_pause_gets_it_from_all_tasks(site: Site) -> None:
    """One task is told to wait; the others snooze, which costs them no attempt and no request."""
    site.pages["/busy"] = (429, {"retry-after": "300"}, b"")
    site.pages["/other"] = (200, {}, b"")

    async def scenario() -> list[Any]:
        opened = http.open_web()
        web = await anext(opened)
        first = await asyncio.gather(http.fetch(site.url("/busy"), web=web), return_exceptions=True)
        second = await asyncio.gather(
            http.fetch(site.url("/other"), web=web), return_exceptions=True
        )
        await opened.aclose()
        return [*first, *second]

    busy, other = asyncio.run(scenario())

    assert isinstance(busy, Retry)
    assert isinstance(other, Snooze)
    assert 200 < other.seconds <= 301
    assert site.asked == [("GET", "/busy")]


def test_a_used_up_rate_limit_is_respected_before_it_hurts(site: Site) -> None:
    """The answer is still good, but it says that the next one would not be."""
    site.pages["/"] = (200, {"ratelimit-remaining": "0", "ratelimit-reset": "300"}, b"")

    async def scenario() -> list[Any]:
        opened = http.open_web()
        web = await anext(opened)
        outcomes = [
            (await asyncio.gather(http.fetch(site.url("/"), web=web), return_exceptions=True))[0]
            for _ in range(2)
        ]
        await opened.aclose()
        return outcomes

    first, second = asyncio.run(scenario())

    assert first.status == 200
    assert isinstance(second, Snooze)


def test_a_host_is_not_asked_for_everything_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen tasks of a child on one host become two requests at a time."""
    monkeypatch.setenv("COORDQ_HTTP_PER_HOST", "2")
    urls = [site.url(f"/{number}") for number in range(8)]
    site.pages = {f"/{number}": (200, {}, b"") for number in range(8)}

    outcomes = asyncio.run(with_web(*urls))

    assert [one.status for one in outcomes] == [200] * 8
    assert site.most_under_way <= 2


def test_redirects_are_followed(site: Site) -> None:
    """The result says where the page really is."""
    site.pages["/old"] = (301, {"location": "/new"}, b"")
    site.pages["/new"] = (200, {"content-type": "text/plain"}, b"here")

    page = fetch(site.url("/old"))

    assert (page.text, page.url) == ("here", site.url("/new"))


def test_redirects_in_a_circle_end(site: Site) -> None:
    """Two pages that point at each other would otherwise keep a slot for ever."""
    site.pages["/a"] = (302, {"location": "/b"}, b"")
    site.pages["/b"] = (302, {"location": "/a"}, b"")

    with pytest.raises(Reject, match="redirects more than 5 times"):
        fetch(site.url("/a"))


def test_a_redirect_does_not_leave_the_list_of_hosts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a page that is allowed could send the worker to one that is not."""
    monkeypatch.setenv("COORDQ_HTTP_HOSTS", "127.0.0.1")
    site.pages["/"] = (302, {"location": site.url("/").replace("127.0.0.1", "localhost")}, b"")

    with pytest.raises(Reject, match="localhost is not in COORDQ_HTTP_HOSTS"):
        fetch(site.url("/"))


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("example.org", "example.org", True),
        ("example.org", "www.example.org", False),
        (".example.org", "www.example.org", True),
        (".example.org", "example.org", True),
        (".example.org", "badexample.org", False),
    ],
)
def test_an_entry_covers_its_host(entry: str, host: str, *, covered: bool) -> None:
    """A leading dot includes sub-domains, and nothing that only ends alike."""
    assert http._covers(entry, host) is covered


@pytest.mark.parametrize(
    "url", ["", "not a url", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://[::1"]
)
def test_what_is_no_web_address_is_rejected(url: str) -> None:
    """Each of them a dead letter with the reason, none an error inside a library."""
    pytest.importorskip("httpx", reason="needs coordq[http]")
    with pytest.raises(Reject):
        fetch(url)


def test_a_connection_that_breaks_is_tried_again(site: Site) -> None:
    """The server hangs up without an answer, as one that is restarted does."""
    site.pages["/"] = (0, {}, b"")

    with pytest.raises(http.FetchFailed):
        fetch(site.url("/"))


def test_a_server_that_does_not_answer_is_tried_again(site: Site) -> None:
    """The time limit of the request, not of the task, so that the message says what was late."""
    site.gate.clear()

    with pytest.raises(http.FetchFailed, match="Timeout"):
        fetch(site.url("/"), timeout_s=0.2)


def test_without_httpx_the_task_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other workers of the folder load and run; only this task cannot."""
    monkeypatch.setitem(sys.modules, "httpx", None)

    with pytest.raises(Reject, match=r"pip install 'coordq\[http\]'"):
        fetch("http://127.0.0.1/")


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "5"}, 5),
        (429, {"retry-after": "-5"}, 0),
        (429, {"retry-after": "1e9"}, 3600),
        (429, {"retry-after": "inf"}, None),
        (200, {"retry-after": "5"}, None),
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 9),
        (200, {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "9"}, None),
        (200, {"ratelimit-remaining": "0"}, None),
        (429, {"retry-after": "", "ratelimit-remaining": "0", "ratelimit-reset": "4"}, 4),
        (200, {}, None),
    ],
)
def test_what_a_server_wishes_is_read_from_its_headers(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    """Nothing that a server sends makes a task wait for longer than an hour."""
    assert http.wanted_pause(status, headers) == seconds


def test_a_wish_may_be_a_date() -> None:
    """Retry-After may be given as a moment, and a reset in seconds since 1970."""
    moment = datetime.now(UTC) + timedelta(seconds=1000)

    by_date = http.wanted_pause(503, {"retry-after": format_datetime(moment, usegmt=True)})
    by_epoch = http.wanted_pause(
        200, {"ratelimit-remaining": "0", "ratelimit-reset": str(moment.timestamp())}
    )

    assert 900 < by_date <= 1000
    assert 900 < by_epoch <= 1000


def test_hosts_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crawler meets more hosts than a child should remember; the latest are kept."""
    monkeypatch.setattr(http, "HOSTS_MAX", 2)
    web = http.Web(client=None)

    for name in ("a", "b", "a", "c"):
        web.host(name)

    assert list(web.hosts) == ["a", "c"]
