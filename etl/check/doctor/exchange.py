"""The exchange and its history host: do they answer, and how far is our clock off theirs."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation
from etl.config import Settings
from etl.deribit.client import Retry, open_client
from etl.deribit.rate_limit import shared_bucket_path
from etl.deribit.request import Request
from etl.deribit.surroundings import proxy_of
from etl.errors import (
    EtlError,
    MaintenanceError,
    NoExchangeError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnknownHostError,
    UsageError,
)
from lake.raw import Attempt
from lake.span import Span
from lake.store.place import Place

PATIENCE_S = 3.5
"""Seconds a host is given for its answer: both have to fit into the time of the check."""
PAUSE_S, SOON_S = 0.3, 1.0
ONCE = Retry(attempts=1, seconds=0)
CLOCKS = 1_000
"""Milliseconds our clock may be off before it is told."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host, the question that only tells whether it is there, and the setting it stands in."""

    name: str
    setting: str
    url: str
    method: str
    params: dict[str, Any]
    on_history: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking a host: an answer with the skew of our clock [ms], or an error."""

    error: Exception | None
    skew_ms: int | None = None
    took_ms: float = 0.0


def look(situation: Situation) -> Iterator[Finding]:
    """Ask both hosts, and hold our clock against theirs."""
    settings = situation.settings
    exchange, history = hosts(settings)
    try:
        shared_bucket_path(_netloc(exchange), "credits")
    except OSError as error:
        yield unseen("exchange", f"without credits nothing is asked: {error}")
        return
    first = _heard(settings, exchange)
    yield _of_host(exchange, first)
    if first.error is not None and _netloc(history) == _netloc(exchange):
        yield unseen(history.name, f"it is on the same server, {_netloc(history)}")
    else:
        yield _of_host(history, _heard(settings, history))
    yield _of_clock(first, settings.collect.clock_limit)


def hosts(settings: Settings) -> tuple[Host, Host]:
    """Return the exchange and the history host."""
    perpetual = {"instrument_name": "BTC-PERPETUAL"}
    method = "public/get_instrument"
    return (
        Host("host", "host", settings.base_url, "public/test", {}),
        Host("history host", "history_host", settings.history_url, method, perpetual, True),  # noqa: FBT003
    )


def _heard(settings: Settings, host: Host) -> Heard:
    """Ask a host, and once more where it soon gave no answer: most faults are of a moment."""
    started = time.monotonic()
    if not _is_looked_up(host):
        told = f"{host.url}: its name is not looked up within {PATIENCE_S:g} s"
        return Heard(UnknownHostError(told))
    heard = asyncio.run(_asked(settings, host))
    is_soon = time.monotonic() - started < SOON_S
    if is_soon and isinstance(heard.error, TransientError | RateLimitedError | UnavailableError):
        time.sleep(PAUSE_S)
        return asyncio.run(_asked(settings, host))
    return heard


def _is_looked_up(host: Host) -> bool:
    """Whether names can be looked up in time: a lookup that hangs, asyncio would wait for."""
    if proxy_of(host.url, os.environ) is not None:
        return True  # that is up to the proxy
    name = urlsplit(host.url).hostname
    thread = threading.Thread(target=_look_up, args=(name,), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return not thread.is_alive()


def _look_up(name: str | None) -> None:
    with suppress(OSError):  # that there is no such name, the client says
        socket.getaddrinfo(name, None)


async def _asked(settings: Settings, host: Host) -> Heard:
    try:
        async with asyncio.timeout(PATIENCE_S), _client(settings) as client:
            request = Request(
                host.method, host.params, Span(0, 0), Path(), _any, on_history=host.on_history
            )
            before, started = time.time(), time.perf_counter()
            attempt = await client.call(request, retry=ONCE)
            took = time.perf_counter() - started
    except (EtlError, TimeoutError) as error:
        return Heard(error)
    if attempt.us_out is None:
        return Heard(None, None, took * 1_000)
    ours_ms = (before + took / 2) * 1_000
    return Heard(None, round(ours_ms - attempt.us_out / 1_000), took * 1_000)


def _client(settings: Settings) -> Any:
    return open_client(settings, stage=_discard, is_patient=False)


def _any(result: msgspec.Raw) -> None:
    """Accept any result: that there is one is enough."""
    del result


def _discard(attempt: Attempt, folder: Place) -> None:
    """Stage nothing: to be looked at leaves no trace."""
    del attempt, folder


def _of_host(host: Host, heard: Heard) -> Finding:
    error = heard.error
    if error is None:
        return well(host.name, f"{host.url} answers in {heard.took_ms:.0f} ms")
    told = str(error) or f"no answer in {PATIENCE_S:g} s"
    what = told if host.url in told else f"{host.url}: {told}"
    name = urlsplit(host.url).hostname
    if isinstance(error, UsageError):
        return found("host.way", str(error))
    if isinstance(error, UnknownHostError):
        return found("host.unknown", what, setting=host.setting, name=name)
    if isinstance(error, MaintenanceError):
        return found("host.maintenance", what)
    if isinstance(error, NoExchangeError | TimeoutError):
        return found("host.unreachable", what, setting=host.setting, url=host.url)
    return found("host.refuses", what)


def _of_clock(heard: Heard, limit_s: float) -> Finding:
    if heard.skew_ms is None:
        return unseen("clock", "the exchange told no time")
    seconds = abs(heard.skew_ms) / 1_000
    told = f"our clock is {seconds:,.1f} s {'ahead of' if heard.skew_ms > 0 else 'behind'}"
    if seconds > limit_s:
        return found("clock.skew", f"{told} the exchange's; {limit_s:g} s are the limit")
    if abs(heard.skew_ms) < CLOCKS:
        return well("clock", f"{heard.skew_ms:+} ms from the exchange's")
    return well("clock", f"{told} the exchange's")


def _netloc(host: Host) -> str:
    return urlsplit(host.url).netloc
