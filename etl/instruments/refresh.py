"""Fetch the lists of instruments: living ones, and all that expired."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etl.config import Settings
from etl.deribit.client import open_client
from etl.errors import DeribitError
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
from lake.paths import Lake
from lake.raw import Attempt

EXPIRING = ("future", "option")


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

    def stage(attempt: Attempt, folder: Path) -> None:
        raw.stage([attempt], folder)

    done = Refreshed()
    async with open_client(settings, stage) as client:
        found: set[str] = set()
        for kind in KINDS:
            attempt = await client.call(living_request(lake, kind))
            records = (one for _, one in read_answer(attempt.body or b""))
            found |= settled(one for one in records if isinstance(one, Instrument))
        for currency in currencies:
            check_currency(currency, found)
        for currency in [one for one in currencies if one != ANY] or ever_settled(lake, found):
            for kind in EXPIRING:
                answer = await fetch_expired(client, lake, kind, currency)
                if isinstance(answer, DeribitError) and currency in currencies:
                    raise unknown(currency, found, answer)
                if isinstance(answer, DeribitError):
                    done.notes.append(f"no expired {kind}s of {currency}: {answer}")
        done.requests = client.sent
    return done
