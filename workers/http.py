"""Fetch web pages, with retries that fit the answer and respect for the other side's limits.

    pip install 'coordq[http]'
    coordq worker workers/http.py
    coordq enqueue fetch url=https://example.org --wait

What a status means for the task:

    2xx, 304         done
    429, 503         tried again when the server says (Retry-After), else by the task's backoff
    408, 425, 5xx    tried again by the task's backoff; so are lost connections and time-outs
    other 4xx        dead letter at once: asking again gives the same answer
    other 3xx        followed, at most five times

Rate awareness is per host and per worker child. A host that answered 429 or 503 with Retry-After,
or that says its rate limit is used up (`RateLimit-Remaining: 0` and `RateLimit-Reset`, with or
without `X-`), is left alone until then: its other tasks snooze, which costs them no attempt. At
most COORDQ_HTTP_PER_HOST requests (4) are under way to one host at a time.

The worker fetches whatever address it is told, also on your own network. If producers are not
trusted, list the hosts they may ask for in COORDQ_HTTP_HOSTS (`example.org,.example.net`; a leading
dot includes sub-domains); redirects are held to the same list.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from coordq import Agent, Backoff, Depends, Reject, Retry, Snooze

if TYPE_CHECKING:
    import httpx

agent = Agent("http", role="fetcher", capabilities={"http"})

TEXT_MAX: Final = 100_000
"""Characters of text that a result keeps. What is fetched is bounded by `max_bytes`."""

WAIT_MAX_S: Final = 3600.0
"""The longest that a server's wish to be left alone is followed, in seconds."""

REDIRECTS_MAX: Final = 5

HOSTS_MAX: Final = 1000
"""Hosts that a child remembers; the one not asked for longest is forgotten first."""

KEPT_HEADERS: Final = (
    "content-type",
    "content-language",
    "last-modified",
    "etag",
    "cache-control",
    "location",
    "server",
)


class FetchFailed(Exception):
    """The server failed, or did not answer. Trying again may help."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back. `bytes` is the size of the whole body; `text` is None when it is not text.

    `text` holds at most 100,000 characters and `cut` says whether that was not all of it.
    `url` is the address after redirects.
    """

    url: str
    status: int
    headers: dict[str, str]
    bytes: int
    text: str | None
    cut: bool
    elapsed_ms: int


# Manners


@dataclass(slots=True)
class Host:
    """What one child knows about one host: how many may ask at once, and when not to ask."""

    slots: asyncio.Semaphore
    closed_until: float = 0.0

    def close(self, seconds: float) -> None:
        """Leave the host alone for so long, or for longer if it was already told so."""
        self.closed_until = max(self.closed_until, time.monotonic() + min(seconds, WAIT_MAX_S))

    def wait_s(self) -> float:
        """Seconds until the host may be asked again; 0 when it may be asked now."""
        return max(0.0, self.closed_until - time.monotonic())


@dataclass(slots=True)
class Web:
    """A child's one HTTP client and what it has learnt about the hosts it talked to."""

    client: Any
    per_host: int = 4
    only: tuple[str, ...] = ()
    hosts: OrderedDict[str, Host] = field(default_factory=OrderedDict)

    def host(self, name: str) -> Host:
        """The host of this name, new or known."""
        known = self.hosts.setdefault(name, Host(asyncio.Semaphore(self.per_host)))
        self.hosts.move_to_end(name)
        if len(self.hosts) > HOSTS_MAX:
            self.hosts.popitem(last=False)
        return known

    def check(self, url: httpx.URL) -> None:
        """Raise Reject for an address that is not http(s) or not on the list of hosts."""
        if url.scheme not in {"http", "https"} or not url.host:
            raise Reject(f"{str(url)[:200]!r} is not an http:// or https:// address")
        if self.only and not any(_covers(entry, url.host) for entry in self.only):
            raise Reject(f"{url.host} is not in COORDQ_HTTP_HOSTS")


def _covers(entry: str, host: str) -> bool:
    return host == entry.lstrip(".") or (entry.startswith(".") and host.endswith(entry))


def wanted_pause(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to be left alone, from its headers; None when it does not.

    Retry-After counts with 429 and 503 (seconds or a date), a used-up rate limit always.
    """
    if status in {429, 503} and (after := _seconds(headers.get("retry-after", ""))) is not None:
        return after
    for prefix in ("ratelimit-", "x-ratelimit-"):
        if headers.get(prefix + "remaining", "").strip() == "0":
            return _reset(headers.get(prefix + "reset", ""))
    return None


def _seconds(text: str) -> float | None:
    """A Retry-After value as seconds from now. None when it is missing or makes no sense."""
    try:
        return _bounded(float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _bounded((moment - datetime.now(UTC)).total_seconds())


def _reset(text: str) -> float | None:
    """A rate limit's reset: seconds from now or, as some servers have it, seconds since 1970."""
    try:
        value = float(text)
    except ValueError:
        return None
    return _bounded(value - time.time() if value > 1e9 else value)


def _bounded(seconds: float) -> float | None:
    return min(max(0.0, seconds), WAIT_MAX_S) if math.isfinite(seconds) else None


# The task


async def open_web() -> AsyncIterator[Web | None]:
    """The worker's HTTP client, opened once per child. None when httpx is not installed."""
    try:
        import httpx
    except ImportError:  # the other agents of this folder work without it
        yield None
        return
    only = os.environ.get("COORDQ_HTTP_HOSTS", "").replace(" ", "").lower()
    per_host = int(os.environ.get("COORDQ_HTTP_PER_HOST") or 4)
    headers = {"user-agent": "coordq-http/1"}
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request is too much
    async with httpx.AsyncClient(headers=headers, follow_redirects=False) as client:
        yield Web(client, max(1, per_host), tuple(filter(None, only.split(","))))


@agent.task(timeout=120, max_attempts=5, backoff=Backoff(base=2.0, max=300.0))
async def fetch(
    url: str,
    *,
    method: Literal["GET", "HEAD"] = "GET",
    headers: dict[str, str] | None = None,
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0,
    max_bytes: Annotated[int, Field(gt=0, le=64 * 1024 * 1024)] = 5 * 1024 * 1024,
    web: Annotated[Web | None, Depends(open_web, scope="worker")],
) -> Fetched:
    """Fetch `url`. `timeout_s` bounds each wait for the server, `max_bytes` the body.

    See the top of this file for what each status leads to.
    """
    if web is None:
        raise Reject("this worker has no httpx: install it with pip install 'coordq[http]'")
    from httpx import HTTPError, InvalidURL

    began = time.monotonic()
    try:
        answer, body = await _follow(
            web, _Question(method, headers or {}, timeout_s, max_bytes), url
        )
    except (InvalidURL, UnicodeError) as error:
        raise Reject(f"{url[:200]!r} is not an address: {error}") from error
    except HTTPError as error:
        raise FetchFailed(f"{url[:200]}: {type(error).__name__} {error}".strip()) from error
    return _fetched(answer, body, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    headers: dict[str, str]
    timeout_s: float
    max_bytes: int


async def _follow(web: Web, question: _Question, url: str) -> tuple[httpx.Response, bytes]:
    """Ask for `url` and for where it redirects to. Returns the final answer with its body."""
    from httpx import URL

    target = URL(url)
    for _ in range(REDIRECTS_MAX + 1):
        web.check(target)
        answer, body = await _ask(web, question, target)
        if answer.next_request is None:
            return answer, body
        if answer.next_request.url.host != target.host:
            question = replace(question, headers={})  # they may hold a secret for the first host
        target = answer.next_request.url
    raise Reject(f"{url[:200]} redirects more than {REDIRECTS_MAX} times")


async def _ask(web: Web, question: _Question, url: httpx.URL) -> tuple[httpx.Response, bytes]:
    """One request, in its turn and when its host wants to be asked."""
    host = web.host(url.host)
    async with host.slots:
        if wait := host.wait_s():
            # A little apart, so that those who waited together do not come back together.
            raise Snooze(wait + random.uniform(0.0, 1.0))
        async with web.client.stream(
            question.method, url, headers=question.headers, timeout=question.timeout_s
        ) as answer:
            _judge(host, answer)
            return answer, await _body(answer, question.max_bytes)


def _judge(host: Host, answer: httpx.Response) -> None:
    """Note what the host wishes for, and end the attempt if the status says so."""
    status = answer.status_code
    pause = wanted_pause(status, answer.headers)
    if pause is not None:
        host.close(pause)
    said = f"{answer.url.host} answered {status} {answer.reason_phrase}".strip()
    if status in {429, 503}:
        raise Retry(after=pause, reason=said)
    if status in {408, 425} or status >= 500:
        raise FetchFailed(said)
    if status >= 400:
        raise Reject(said)


async def _body(answer: httpx.Response, max_bytes: int) -> bytes:
    """The whole body, decompressed. Rejected as soon as it is larger than `max_bytes`."""
    parts, size = list[bytes](), 0
    async for part in answer.aiter_bytes():
        size += len(part)
        if size > max_bytes:
            raise Reject(f"{answer.url.host} sent more than the {max_bytes} bytes allowed")
        parts.append(part)
    return b"".join(parts)


def _fetched(answer: httpx.Response, body: bytes, elapsed_s: float) -> Fetched:
    text = _text(answer, body)
    return Fetched(
        url=str(answer.url),
        status=answer.status_code,
        headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
        bytes=len(body),
        text=None if text is None else text[:TEXT_MAX],
        cut=text is not None and len(text) > TEXT_MAX,
        elapsed_ms=round(elapsed_s * 1000),
    )


def _text(answer: httpx.Response, body: bytes) -> str | None:
    """The body as text when its type says that it is text; bytes that do not decode are marked."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("text/") or kind.endswith(_TEXTUAL)):
        return None
    try:
        return body.decode(answer.charset_encoding or "utf-8", errors="replace")
    except LookupError:
        return body.decode(errors="replace")


_TEXTUAL: Final = ("json", "xml", "javascript", "yaml", "x-www-form-urlencoded")
