"""Deribit's public JSON-RPC over HTTP: one call, every attempt of it staged."""

import asyncio
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from etl.config import Settings
from etl.deribit.answer import judge_received
from etl.deribit.download import Bounds, download
from etl.deribit.gate import IN_A_ROW, Gate, Patience, asked_pause
from etl.deribit.rate_limit import CreditBucket, shared_bucket_path
from etl.deribit.request import Request
from etl.deribit.surroundings import certificates, proxy_of, way_to
from etl.errors import (
    DeribitError,
    EtlError,
    MaintenanceError,
    NoExchangeError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnknownHostError,
)
from etl.when import format_moment
from lake.raw import Attempt
from lake.store.place import Place

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

LISTS_AT_ONCE, LISTS_A_SECOND = 50, 1  # get_instruments has a limit of its own
CLOCKS_APART_MS = 5 * 60_000  # by how much answers of one run may differ
CAPACITY_USED = 0.9
RATE_USED = 0.99
FIRST_PAUSE_S, LONGEST_PAUSE_S, SPREAD_S = 0.2, 20.0, 0.3  # between two tries of one request


@dataclass(frozen=True, slots=True)
class Retry:
    """How long a request is tried."""

    attempts: int
    seconds: float


FIRST_TRY = Retry(attempts=6, seconds=20)  # whether the exchange is there at all is soon known


class DeribitClient:
    """The connection to the exchange: slots, credits, retries, and a stage for every attempt."""

    def __init__(  # noqa: PLR0913  (what it owns, passed in so that tests can)
        self,
        http: "httpx.AsyncClient",
        *,
        bucket: CreditBucket,
        listing: CreditBucket,
        cost: float,
        slots: int,
        retry: Retry,
        stage: Callable[[Attempt, Place], object],
        history_url: str = "",
        patience: Patience = Patience(),  # noqa: B008  (it is frozen)
        bounds: Bounds = Bounds(),  # noqa: B008
        is_known: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._base_url = str(http.base_url).rstrip("/")
        self._history_url = history_url or self._base_url
        self._patience = patience
        self._bounds = bounds
        self._clock = clock
        self._sleep = sleep
        hosts = (self._base_url, self._history_url)
        self._gates = {
            _netloc(url): Gate(_origin(url), patience, clock=clock, sleep=sleep) for url in hosts
        }
        self._heard_at: tuple[int, float, float] | None = (
            None  # its clock [ms], ours, the wall's [s]
        )
        self._has_heard = is_known  # whether anything of the exchange ever answered
        for gate in self._gates.values():
            gate.has_answered = is_known
        self._bucket = bucket
        self._listing = listing
        self._cost = cost
        self._slots = asyncio.Semaphore(slots)
        self._retry = retry
        self._stage = stage
        self.sent = 0

    async def call(self, request: Request, *, retry: Retry | None = None) -> Attempt:
        """Return the attempt that succeeded.

        A fault of the answer alone is tried again as `retry` says. Where the host is away or wants
        fewer requests, all requests wait at its gate, for as long as there is patience.

        Raises
        ------
        DeribitError
            If the exchange refused, and will refuse again.
        UnavailableError
            If no usable answer came after every retry.
        """
        retry, gate = retry or self._retry, self._gate(request)
        tries, since = 0, 0.0
        while True:
            attempt, error = await self._attempt(request, gate)
            if error is None:
                return attempt
            if not isinstance(error, RateLimitedError | TransientError | UnavailableError):
                raise error
            if not gate.is_open:
                tries = 0
                continue
            now = self._clock()
            since = since if tries else now
            tries += 1
            pause = _pause(tries)
            bound = self._bound(retry, error)
            is_late = now + pause - since > bound.seconds
            if self._is_waited_for(gate, error):  # its gate closes before long, or it is alone
                is_last = tries >= max(bound.attempts, IN_A_ROW + 1)
            else:
                is_last = tries >= bound.attempts or is_late
            if is_last:
                raise error
            logger.warning("%s; trying again in %.1f s", error, pause)
            await self._sleep(pause)

    def _bound(self, retry: Retry, error: EtlError) -> Retry:
        """Return how long a request is tried: not long where there may be no exchange at all."""
        is_stranger = isinstance(error, NoExchangeError) and not self._has_heard
        return min(retry, FIRST_TRY, key=lambda one: one.attempts) if is_stranger else retry

    async def _attempt(self, request: Request, gate: Gate) -> tuple[Attempt, EtlError | None]:
        async with self._slots:  # held until the answer is staged: a kill loses no more than these
            while not gate.is_open:
                async with gate.turn:
                    if not gate.is_open:
                        await gate.pause()
                        return await self._asked(request, gate, is_look=True)
            return await self._asked(request, gate)

    async def _asked(
        self, request: Request, gate: Gate, *, is_look: bool = False
    ) -> tuple[Attempt, EtlError | None]:
        """Ask once, tell the gate, and stage what came."""
        if request.method == "public/get_instruments":
            await self._listing.acquire(1)
        await self._bucket.acquire(self._cost)
        self.sent += 1
        attempt, error, asked_s = await self._ask(request)
        if isinstance(error, RateLimitedError):
            self._bucket.drain()
        if error is not None and self._is_waited_for(gate, error):
            gate.failed(error, asked_s, is_look=is_look)
        elif not isinstance(error, NoExchangeError):
            gate.answered(is_look=is_look)
            self._has_heard |= error is None or isinstance(error, DeribitError)
        await asyncio.to_thread(self._stage, attempt, request.folder)
        return attempt, error

    def _gate(self, request: Request) -> Gate:
        """Return the gate of a request's host; the exchange's and its history's may be one."""
        return self._gates[_netloc(self._host(request))]

    def _host(self, request: Request) -> str:
        return self._history_url if request.on_history else self._base_url

    def _is_waited_for(self, gate: Gate, error: EtlError) -> bool:
        """Tell whether an error is of a host that comes back, rather than of one that is none.

        What nothing of the exchange answers is waited for once the run has heard it: before that
        it is a mistyped host, and so is a name nobody has.
        """
        if not self._patience.seconds:
            return False
        if isinstance(error, UnknownHostError):
            return gate.has_answered or not gate.is_open
        if isinstance(error, NoExchangeError):
            return self._has_heard or not gate.is_open
        return isinstance(error, RateLimitedError | MaintenanceError)

    async def _ask(self, request: Request) -> tuple[Attempt, EtlError | None, float | None]:
        """Return the attempt, what it amounts to, and for how long it asks to wait [s]."""
        import httpx  # noqa: PLC0415  (0.2 s that only who asks should pay)

        now = time.time_ns() // 1000
        host = self._host(request)
        blank = Attempt(
            attempt_id=f"{now}-{secrets.token_hex(4)}",
            fetched_at=now,
            host=host,
            params=msgspec.json.encode(request.params).decode(),
            window_start=request.window.start_ms * 1000,
            window_end=request.window.end_ms * 1000,
            outcome="no answer",
        )
        try:
            url = f"{host}/api/v2/{request.method}"
            received = await download(self._http, url, request.params, self._bounds)
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            failed = msgspec.structs.replace(blank, outcome=reason)
            kind = UnknownHostError if _is_unknown_name(error) else NoExchangeError
            way = way_to(host, reason, os.environ)
            message = f"{host} did not answer {request.method}{way}: {reason}"
            return failed, kind(message), None
        attempt, fault = judge_received(request, blank, received)
        if fault is None and (words := self._against_clock(attempt.us_out)):
            fault = UnavailableError(f"{request.method}: {words}")
            attempt = msgspec.structs.replace(attempt, outcome=str(fault))
        return attempt, fault, asked_pause(received.headers, time.time())

    def take_clock(self, us_out: int) -> None:
        """Take a moment of the exchange's clock [µs] as that of now: other answers must fit it."""
        self._heard_at = us_out // 1000, self._clock(), time.time()

    def _against_clock(self, us_out: int | None) -> str:
        """Return what speaks against the clock of an answer; it may stand still, as in a replay."""
        if self._heard_at is None or us_out is None:
            return ""
        then_ms, at, wall = self._heard_at
        elapsed = max(
            self._clock() - at, time.time() - wall
        )  # one stands still in a machine's sleep
        latest_ms = then_ms + elapsed * 1000 + CLOCKS_APART_MS
        if then_ms - CLOCKS_APART_MS <= us_out / 1000 <= latest_ms:
            return ""
        says, said = format_moment(us_out // 1000), format_moment(then_ms)
        return f"an answer says it is {says}, the list of instruments said {said}: not believed"


def _pause(tries: int) -> float:
    """Return how long to wait after so many tries of one request [s], spread over many."""
    usual = min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S)
    return float(usual + random.uniform(0, SPREAD_S))  # noqa: S311  (no secret)


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _netloc(url: str) -> str:
    return _origin(url).partition("://")[2]


def _is_unknown_name(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None


@asynccontextmanager
async def open_client(
    settings: Settings,
    stage: Callable[[Attempt, Place], object],
    *,
    is_patient: bool = True,
    is_known: bool = False,
) -> AsyncIterator[DeribitClient]:
    """Open the one connection pool of a run, under the credits all processes here share.

    The headroom is kept in the size of the bucket more than in its rate: requests may arrive
    bunched, but no clock runs one percent fast. An exchange that is known to be there is waited for
    even where nothing answers the first request.

    Raises
    ------
    UsageError
        If the environment names a proxy or certificates that cannot be used.
    """
    netloc = str(settings.host).split("://", 1)[1].rstrip("/")
    bucket = CreditBucket(
        shared_bucket_path(netloc, "credits"),
        capacity=settings.credit_capacity * CAPACITY_USED,
        refill=settings.credit_refill * RATE_USED,
    )
    listing = CreditBucket(
        shared_bucket_path(netloc, "listings"),
        capacity=LISTS_AT_ONCE * CAPACITY_USED,
        refill=LISTS_A_SECOND * RATE_USED,
    )
    seconds = settings.patience_minutes * 60 if is_patient else 0.0
    async with _connections(settings) as http:
        yield DeribitClient(
            http,
            bucket=bucket,
            listing=listing,
            cost=settings.credit_cost,
            slots=settings.connections,
            retry=Retry(settings.retry_attempts, settings.retry_seconds),
            stage=stage,
            history_url=settings.history_url,
            patience=Patience(seconds, settings.probe_seconds),
            bounds=Bounds(settings.answer_seconds, round(settings.answer_megabytes * 1e6)),
            is_known=is_known,
        )


def _connections(settings: Settings) -> "httpx.AsyncClient":
    """Return the connections to the exchange, through the proxies the environment names."""
    import httpx  # noqa: PLC0415

    size = settings.connections
    limits = httpx.Limits(max_connections=size, max_keepalive_connections=size)
    trusted = certificates(os.environ)
    mounts = {
        _origin(url): httpx.AsyncHTTPTransport(verify=trusted, limits=limits, proxy=proxy.read())
        for url in (settings.base_url, settings.history_url)
        if (proxy := proxy_of(url, os.environ))
    }
    return httpx.AsyncClient(
        base_url=settings.base_url,
        limits=limits,
        timeout=httpx.Timeout(30.0, connect=10.0),
        headers={"User-Agent": "deribit-lake"},
        verify=trusted,
        mounts=mounts,
        trust_env=False,  # httpx stumbles over networks and addresses in NO_PROXY
    )
