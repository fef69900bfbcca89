"""Fetch the lists of instruments: living ones, and all that expired."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from etl.config import Settings
from etl.deribit.client import DeribitClient, open_client
from etl.errors import DeribitError
from etl.instruments import table
from etl.instruments.answers import read_answer
from etl.instruments.lists import (
    check_currency,
    ever_settled,
    fetch_expired,
    living_request,
    settled,
    unknown,
)
from etl.instruments.record import ANY, KINDS, Instrument
from lake import raw
from lake.lock import Wait
from lake.paths import Lake
from lake.raw import Attempt
from lake.store.place import Place

EXPIRING = ("future", "option")
LIVING_AGE_MS = 3_600_000  # how old a list may be; an option lives for a day at least
EXPIRED_AGE_MS = 26 * 3_600_000


@dataclass(slots=True)
class Refreshed:
    """What fetching the lists took, and what the user should know of it."""

    requests: int = 0
    notes: list[str] = field(default_factory=list)


async def fetch_lists(settings: Settings, lake: Lake, currencies: Sequence[str] = ()) -> Refreshed:
    """Stage every list of instruments as it came, and return what that took.

    Without currencies, the expired of each are asked for that anything ever settled in.

    Raises
    ------
    UsageError
        If the exchange knows no such currency.
    DeribitError, UnavailableError
        If the exchange refuses or does not answer: nothing is then taken for an empty list.
    """

    def stage(attempt: Attempt, folder: Place) -> None:
        raw.stage([attempt], folder)

    async with open_client(settings, stage) as client:
        done = await fetch_all(client, lake, currencies)
        done.requests = client.sent
    return done


async def fetch_all(client: DeribitClient, lake: Lake, currencies: Sequence[str] = ()) -> Refreshed:
    """Stage every list of instruments as it came.

    Raises
    ------
    UsageError, DeribitError, UnavailableError
        As `fetch_lists`.
    """
    done = Refreshed()
    found: set[str] = set()
    for kind in KINDS:
        attempt = await client.call(living_request(lake, kind))
        records = (one for _, one in read_answer(attempt.body or b""))
        found |= settled(one for one in records if isinstance(one, Instrument))
    for currency in currencies:
        check_currency(currency, found)
    for currency in [one for one in currencies if one != ANY] or ever_settled(lake, found):
        for kind in EXPIRING:
            refusal = await _stage_expired(client, lake, kind, currency)
            if refusal and currency in currencies:
                raise unknown(currency, found, refusal)
            if refusal:
                done.notes.append(f"no expired {kind}s of {currency}: {refusal}")
    return done


async def keep_up(
    client: DeribitClient,
    lake: Lake,
    currencies: Sequence[str],
    until_ms: int,
    *,
    wait: Wait = False,
) -> None:
    """Fetch and fold the lists of options that were last heard too long before a moment.

    Raises
    ------
    UsageError
        If the exchange knows no such currency.
    DeribitError, UnavailableError
        If the exchange refuses or does not answer.
    PartitionBusyError
        If another process folds them, and is not waited for.
    """
    heard, requested = table.heard(lake), 0
    if heard.get("option any living", 0) < (until_ms - LIVING_AGE_MS) * 1000:
        await client.call(living_request(lake, "option"))
        requested += 1
    for currency in ever_settled(lake) if ANY in currencies else currencies:
        if heard.get(f"option {currency} expired", 0) < (until_ms - EXPIRED_AGE_MS) * 1000:
            if refusal := await _stage_expired(client, lake, "option", currency):
                raise unknown(currency, ever_settled(lake), refusal)
            requested += 1
    if requested:
        await asyncio.to_thread(table.refold, lake, wait=wait)


async def _stage_expired(
    client: DeribitClient, lake: Lake, kind: str, currency: str
) -> DeribitError | None:
    """Stage a list and return why there is none; of lists of 100 MB one is held at a time."""
    answer = await fetch_expired(client, lake, kind, currency)
    return answer if isinstance(answer, DeribitError) else None
