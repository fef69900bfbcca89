"""Plain GET of a page from the Treasury or FRED: every attempt staged, transient failures retried.

No credentials, no credits, no envelope: a page is what it is. Another host is never followed to.
"""

import asyncio
import logging
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

import msgspec

from etl.config import Settings
from etl.deribit.answer import CLIENT_ERRORS, OK, REDIRECTS, SERVER_ERRORS
from etl.deribit.client import Retry
from etl.deribit.download import Bounds, Received, download
from etl.deribit.gate import asked_pause
from etl.deribit.surroundings import certificates, proxy_of, way_to
from etl.errors import NoExchangeError, RatePageError, UnavailableError
from etl.rates.cells import shown
from etl.rates.pages import FRED, TREASURY, Page
from lake.raw import Attempt
from lake.span import Span
from lake.store.place import Place

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

AT_ONCE = 4  # requests under way: both are public services without a stated limit
MOST_REDIRECTS = 3
RETRY = Retry(attempts=5, seconds=120)
FIRST_PAUSE_S, LONGEST_PAUSE_S, SPREAD_S = 0.5, 20.0, 0.3
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class RateClient:
    """The connections to both sources: slots, retries, and a stage for every attempt."""

    def __init__(  # noqa: PLR0913  (what it owns, passed in so that tests can)
        self,
        http: "httpx.AsyncClient",
        *,
        urls: Mapping[str, str],
        stage: Callable[[Attempt, Place], object],
        retry: Retry = RETRY,
        bounds: Bounds = Bounds(),  # noqa: B008  (it is frozen)
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._urls = urls
        self._stage = stage
        self._retry = retry
        self._bounds = bounds
        self._sleep = sleep
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.sent = 0

    async def get(self, page: Page, *, wanted: Span, folder: Place) -> None:
        """Ask for a page until it comes, staging whatever does.

        Raises
        ------
        UnavailableError
            If it did not come after every retry, or something else did.
        """
        async with self._slots:
            started, tries = self._clock(), 0
            while True:
                one = await self._ask(page, wanted)
                await asyncio.to_thread(self._stage, one.staged, folder)
                if one.fault is None:
                    return
                tries += 1
                pause = max(_pause(tries), one.asked_s or 0.0)
                is_late = self._clock() + pause - started > self._retry.seconds
                if not one.may_pass or tries >= self._retry.attempts or is_late:
                    raise one.fault
                logger.warning("%s; trying again in %.1f s", one.fault, pause)
                await self._sleep(pause)

    async def _ask(self, page: Page, wanted: Span) -> "_Asked":
        """Ask once."""
        import httpx  # noqa: PLC0415  (0.2 s that only who asks should pay)

        url, now = self._urls[page.source], round(self._clock() * 1_000_000)
        attempt = Attempt(
            attempt_id=f"{now}-{secrets.token_hex(4)}",
            fetched_at=now,
            host=url,
            params=page.key,
            window_start=wanted.start_ms * 1000,
            window_end=wanted.end_ms * 1000,
            outcome="no answer",
        )
        try:
            received = await self._follow(f"{url}/{page.path}", page)
        except RatePageError as error:  # a redirect that is not followed
            return _Asked(attempt, error, may_pass=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            way = way_to(url, reason, os.environ)
            return _Asked(attempt, NoExchangeError(f"{url} did not answer{way}: {reason}"))
        return _judged(page, attempt, received, self._clock())

    async def _follow(self, url: str, page: Page) -> Received:
        """Return the answer, where a few redirects within the same host lead to.

        Raises
        ------
        RatePageError
            If one leads to another host, away from https, or on and on.
        """
        params: Mapping[str, str] = page.params
        for _ in range(MOST_REDIRECTS + 1):
            self.sent += 1
            received = await download(self._http, url, params, self._bounds)
            where = received.headers.get("location")
            if not REDIRECTS <= received.status < CLIENT_ERRORS or not where:
                return received
            there, old, new = _leads(url, where)
            if new.hostname != old.hostname or new.scheme not in {"https", old.scheme}:
                message = f"{url} redirects to {there}: set {page.source}_url if that is meant"
                raise RatePageError(message)
            params = dict(parse_qsl(new.query, keep_blank_values=True)) or page.params
            url = there.partition("?")[0]
        message = f"{url} redirects more than {MOST_REDIRECTS} times"
        raise RatePageError(message)


def _leads(url: str, where: str) -> tuple[str, SplitResult, SplitResult]:
    """Return where a redirect leads to, and the parts of both addresses."""
    try:
        there = urljoin(url, where)
        return there, urlsplit(url), urlsplit(there)
    except ValueError as error:
        message = f"{url} redirects to {where[:80]!r}, which is no address"
        raise RatePageError(message) from error


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of a request: the fault if any, the pause asked for [s], whether it may pass."""

    attempt: Attempt
    fault: UnavailableError | None
    asked_s: float | None = None
    may_pass: bool = True

    @property
    def staged(self) -> Attempt:
        """The attempt with its outcome."""
        outcome = OK if self.fault is None else str(self.fault)
        return msgspec.structs.replace(self.attempt, outcome=outcome)


def _judged(page: Page, attempt: Attempt, received: Received, now: float) -> _Asked:
    """Return what an answer amounts to; what a source refuses for good does not pass."""
    told = msgspec.structs.replace(
        attempt,
        http_status=received.status,
        us_out=_moment_us(received.headers.get("date")),
        body=received.body or None,
    )
    is_refusal = CLIENT_ERRORS <= received.status < SERVER_ERRORS
    may_pass = received.status in PASSING or not is_refusal
    return _Asked(told, _fault(page, received), asked_pause(received.headers, now), may_pass)


def _fault(page: Page, received: Received) -> UnavailableError | None:
    """Return what is wrong with an answer; None where it is the page."""
    told = f"{page.source}, {page.name}: HTTP {received.status}"
    if received.fault:
        return UnavailableError(f"{told}, {received.fault}")
    if received.status != HTTPStatus.OK:
        return UnavailableError(f"{told} with {shown(received.body)}")
    try:
        page.read(received.body)
    except RatePageError as error:
        return RatePageError(f"{page.source}, {page.name}: {error}")
    return None


def _moment_us(text: str | None) -> int | None:
    """Return the moment of a header [µs]; None where it says none."""
    try:
        moment = parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return round(moment * 1_000_000)


def _pause(tries: int) -> float:
    usual = min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S)
    return float(usual + random.uniform(0, SPREAD_S))  # noqa: S311  (no secret)


@asynccontextmanager
async def open_rates(
    settings: Settings,
    stage: Callable[[Attempt, Place], object],
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[RateClient]:
    """Open the connections of a run.

    Raises
    ------
    UsageError
        If the environment names a proxy or certificates that cannot be used.
    """
    import httpx  # noqa: PLC0415

    urls = {TREASURY: str(settings.treasury_url), FRED: str(settings.fred_url)}
    urls = {source: url.rstrip("/") for source, url in urls.items()}
    trusted = certificates(os.environ)
    mounts = {
        "://".join(urlsplit(url)[:2]): httpx.AsyncHTTPTransport(verify=trusted, proxy=proxy.read())
        for url in urls.values()
        if (proxy := proxy_of(url, os.environ))
    }
    retry = Retry(
        min(settings.retry_attempts, RETRY.attempts), min(settings.retry_seconds, RETRY.seconds)
    )
    async with httpx.AsyncClient(
        timeout=httpx.Timeout(30.0, connect=10.0),
        headers={"User-Agent": "deribit-lake"},
        verify=trusted,
        mounts=mounts,
        trust_env=False,
    ) as http:
        bounds = Bounds(settings.answer_seconds, round(settings.answer_megabytes * 1e6))
        yield RateClient(http, urls=urls, stage=stage, retry=retry, bounds=bounds, clock=clock)
