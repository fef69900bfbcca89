"""Deribit's public JSON-RPC over HTTP: one call, every attempt of it staged."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import stamina
import stamina.instrumentation

from etl.config import Settings
from etl.deribit.rate_limit import CreditBucket, shared_bucket_path
from etl.errors import DeribitError, EtlError, RateLimitedError, TransientError, UnavailableError
from lake.raw import Attempt
from lake.span import Span

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

TOO_MANY_REQUESTS = 10028
TRANSIENT = {
    10001, 10019, 10040, 10041, 10047, 10066, 11051, 11056, 11094,
    13025, 13028, 13503, 13888,
}  # fmt: skip
OK = "ok"
LISTS_AT_ONCE, LISTS_A_SECOND = 50, 1  # get_instruments has a limit of its own
CAPACITY_USED = 0.9
RATE_USED = 0.99


class RpcError(msgspec.Struct):
    """The ``error`` member of an envelope."""

    code: int
    message: str = ""


class Envelope(msgspec.Struct, rename={"us_in": "usIn", "us_out": "usOut"}):
    """What every answer is wrapped in; the result stays bytes until its shape is known."""

    result: msgspec.Raw = msgspec.Raw()
    error: RpcError | None = None
    us_in: int | None = None
    us_out: int | None = None


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    logger.warning("%s; trying again in %.1f s", details.caused_by, details.wait_for)


stamina.instrumentation.set_on_retry_hooks([_log_retry])  # its own line does not say the cause
_decode_envelope = msgspec.json.Decoder(Envelope).decode


@dataclass(frozen=True, slots=True)
class Request:
    """One call: what to ask, the interval it covers, where to stage it, how to judge it."""

    method: str
    params: dict[str, Any]
    window: Span
    folder: Path
    check: Callable[[msgspec.Raw], object]  # raises msgspec.ValidationError on a wrong shape
    on_history: bool = False  # asked of the history host


@dataclass(frozen=True, slots=True)
class Retry:
    """How long a request is tried."""

    attempts: int
    seconds: float


FIRST_TRY = Retry(attempts=4, seconds=20)  # whether the exchange is there at all is soon known


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
        stage: Callable[[Attempt, Path], object],
        history_url: str = "",
    ) -> None:
        self._http = http
        self._history_url = history_url
        self._bucket = bucket
        self._listing = listing
        self._cost = cost
        self._slots = asyncio.Semaphore(slots)
        self._retry = retry
        self._stage = stage
        self.sent = 0

    async def call(self, request: Request, *, retry: Retry | None = None) -> Attempt:
        """Return the attempt that succeeded.

        Raises
        ------
        DeribitError
            If the exchange refused, and will refuse again.
        UnavailableError
            If no usable answer came after every retry.
        """
        retry = retry or self._retry
        trials = stamina.retry_context(
            on=_is_transient,
            attempts=retry.attempts,
            timeout=retry.seconds,
            wait_initial=0.2,
            wait_max=20.0,
            wait_jitter=0.3,
        )
        async for trial in trials:
            with trial:
                return await self._attempt(request)
        message = f"{request.method} was not tried: retry_attempts is 0"
        raise UnavailableError(message)

    async def _attempt(self, request: Request) -> Attempt:
        async with self._slots:  # held until the answer is staged: a kill loses no more than these
            if request.method == "public/get_instruments":
                await self._listing.acquire(1)
            await self._bucket.acquire(self._cost)
            self.sent += 1
            attempt, error = await self._ask(request)
            await asyncio.to_thread(self._stage, attempt, request.folder)
        if isinstance(error, RateLimitedError):
            self._bucket.drain()
        if error is not None:
            raise error
        return attempt

    async def _ask(self, request: Request) -> tuple[Attempt, EtlError | None]:
        import httpx  # noqa: PLC0415  (0.2 s that only who asks should pay)

        now = time.time_ns() // 1000
        host = self._history_url if request.on_history else str(self._http.base_url).rstrip("/")
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
            response = await self._http.get(url, params=request.params)
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            failed = msgspec.structs.replace(blank, outcome=reason)
            return failed, UnavailableError(f"{host} did not answer {request.method}: {reason}")
        return judge(request, blank, response.status_code, response.content)


def judge(
    request: Request, blank: Attempt, status: int, body: bytes
) -> tuple[Attempt, EtlError | None]:
    """Return the attempt with its outcome, and the error it amounts to, if any."""
    envelope, error = _read(request, status, body)
    attempt = msgspec.structs.replace(
        blank,
        outcome=OK if error is None else str(error),
        http_status=status,
        us_in=envelope.us_in,
        us_out=envelope.us_out,
        body=body,
    )
    return attempt, error


def _read(request: Request, status: int, body: bytes) -> tuple[Envelope, EtlError | None]:
    try:
        envelope = _decode_envelope(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        start = body[:60].decode(errors="replace").strip()
        message = f"{request.method}: HTTP {status} with no JSON-RPC envelope: {start!r}"
        return Envelope(), UnavailableError(message)
    if envelope.error is not None:
        return envelope, _refusal(request.method, envelope.error)
    try:
        request.check(envelope.result)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = f"{request.method}: HTTP {status} with an unexpected result: {error}"
        return envelope, UnavailableError(message)
    return envelope, None


def _refusal(method: str, error: RpcError) -> DeribitError:
    if error.code == TOO_MANY_REQUESTS:
        return RateLimitedError(method, error.code, error.message)
    kind = TransientError if error.code in TRANSIENT else DeribitError
    return kind(method, error.code, error.message)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RateLimitedError | TransientError | UnavailableError)


@asynccontextmanager
async def open_client(
    settings: Settings, stage: Callable[[Attempt, Path], object]
) -> AsyncIterator[DeribitClient]:
    """Open the one connection pool of a run, under the credits all processes here share.

    The headroom is kept in the size of the bucket more than in its rate: requests may arrive
    bunched, but no clock runs one percent fast.
    """
    import httpx  # noqa: PLC0415

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
    limits = httpx.Limits(
        max_connections=settings.connections, max_keepalive_connections=settings.connections
    )
    async with httpx.AsyncClient(
        base_url=settings.base_url,
        limits=limits,
        timeout=httpx.Timeout(30.0, connect=10.0),
        headers={"User-Agent": "deribit-lake"},
    ) as http:
        yield DeribitClient(
            http,
            bucket=bucket,
            listing=listing,
            cost=settings.credit_cost,
            slots=settings.connections,
            retry=Retry(settings.retry_attempts, settings.retry_seconds),
            stage=stage,
            history_url=settings.history_url,
        )
