"""Fetch the lists of instruments: living ones, and all that expired."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from etl.config import Settings
from etl.deribit.client import FIRST_TRY, DeribitClient, Request, open_client
from etl.instruments.lists import expired_request, living_request
from lake import raw
from lake.paths import Lake
from lake.raw import Attempt

KINDS = ("future", "option", "spot", "future_combo", "option_combo")
EXPIRING = ("future", "option")


class _Settled(msgspec.Struct):
    settlement_currency: str | None = None


class _Envelope(msgspec.Struct):
    result: list[_Settled]


async def fetch_lists(settings: Settings, lake: Lake, currencies: Sequence[str] = ()) -> int:
    """Stage every list of instruments as it came, and return how many requests that took.

    Without currencies, the expired of each are asked for that anything living settles in.

    Raises
    ------
    DeribitError, UnavailableError
        If the exchange refuses or does not answer: nothing is then taken for an empty list.
    """

    def stage(attempt: Attempt, folder: Path) -> None:
        raw.stage([attempt], folder)

    async with open_client(settings, stage) as client:
        found: set[str] = set()
        for kind in KINDS:
            body = await _fetch(client, living_request(lake, kind, _check))
            settled = msgspec.json.decode(body, type=_Envelope).result
            found |= {one.settlement_currency for one in settled if one.settlement_currency}
        for currency in currencies or sorted(found):
            for kind in EXPIRING:
                await _fetch(client, expired_request(lake, kind, currency, _check))
        return client.sent


async def _fetch(client: DeribitClient, request: Request) -> bytes:
    return (await client.call(request, retry=FIRST_TRY)).body or b""


def _check(result: msgspec.Raw) -> None:
    msgspec.json.decode(result, type=list[_Settled])
