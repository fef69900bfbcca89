"""Ask the exchange whether it is there."""

import time
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from etl.config import Settings
from etl.deribit.client import FIRST_TRY, DeribitClient, open_client
from etl.deribit.numbers import decoder
from etl.deribit.request import Request
from lake.raw import Attempt
from lake.span import Span
from lake.store.place import Place

T = TypeVar("T")


class _Version(msgspec.Struct):
    version: str


class _Test(msgspec.Struct):
    result: _Version


class _Time(msgspec.Struct):
    result: int


async def ping(settings: Settings) -> dict[str, Any]:
    """Return the exchange's version and time [ms], the round trip and our clock's lead [ms].

    Raises
    ------
    DeribitError, UnavailableError
        If it refuses or does not answer.
    """
    async with open_client(settings, stage=_discard, is_patient=False) as client:
        version = await _call(client, "public/test", _Test)
        before, started = time.time(), time.perf_counter()
        told = await _call(client, "public/get_time", _Time)
        latency = time.perf_counter() - started
    return {
        "status": "ok",
        "api_version": version.result.version,
        "timestamp": told.result,
        "latency_ms": round(latency * 1000, 1),
        "clock_skew_ms": round((before + latency / 2) * 1000 - told.result),
    }


async def _call(client: DeribitClient, method: str, shape: type[T]) -> T:
    decode = decoder(shape)

    def check(result: msgspec.Raw) -> None:
        decode(b'{"result":' + bytes(result) + b"}")

    attempt = await client.call(Request(method, {}, Span(0, 0), Path(), check), retry=FIRST_TRY)
    return decode(attempt.body or b"")


def _discard(attempt: Attempt, folder: Place) -> None:
    """Stage nothing: a ping leaves no trace."""
    del attempt, folder
