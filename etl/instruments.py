"""The instruments the exchange lists: find one by name, and know its life."""

import difflib
from dataclasses import dataclass

import msgspec

from etl.deribit import OK, DeribitClient, Request, Retry
from etl.errors import UsageError
from lake import raw
from lake.ledger import Span
from lake.paths import Lake

METHOD = "public/get_instruments"
PARAMS = {"currency": "any", "kind": "future", "expired": "false"}
NEVER_MS = 32_503_680_000_000  # the exchange writes the year 3000 for "does not expire"
EXCHANGE_DAY_MS = 8 * 3_600_000
DAY_MS = 24 * 3_600_000
FIRST_TRY = Retry(attempts=4, seconds=20)  # whether the exchange is there at all is soon known


class Instrument(msgspec.Struct, frozen=True):
    """What the exchange says of one instrument; members not named here are kept in raw."""

    instrument_name: str
    kind: str
    creation_timestamp: int
    tick_size: float
    settlement_period: str | None = None
    expiration_timestamp: int | None = None

    @property
    def is_perpetual(self) -> bool:
        """Whether it never expires."""
        return self.settlement_period == "perpetual"

    @property
    def life(self) -> Span:
        """From listing to expiry, in Unix milliseconds."""
        end = self.expiration_timestamp
        return Span(self.creation_timestamp, NEVER_MS if self.is_perpetual or end is None else end)

    @property
    def first_asked_ms(self) -> int:
        """The start of the day it was listed on, at 00:00 or 08:00, whichever is earlier.

        Candles of some resolutions start their day at the one, some at the other: the first that
        describes any of its life starts no earlier.
        """
        midnight = self.creation_timestamp // DAY_MS * DAY_MS
        exchange_day = (self.creation_timestamp - EXCHANGE_DAY_MS) // DAY_MS * DAY_MS
        return min(midnight, exchange_day + EXCHANGE_DAY_MS)


@dataclass(frozen=True, slots=True)
class Universe:
    """All listed instruments, and the exchange's clock when it listed them."""

    now_ms: int
    instruments: dict[str, Instrument]

    def perpetual(self, name: str) -> Instrument:
        """Return the perpetual of that name.

        Raises
        ------
        UsageError
            If there is none; the message names the nearest.
        """
        found = self.instruments.get(name)
        if found is not None and found.is_perpetual:
            return found
        names = [one.instrument_name for one in self.instruments.values() if one.is_perpetual]
        near = difflib.get_close_matches(name.upper(), names, n=3, cutoff=0.5) or sorted(names)[:5]
        what = "no instrument" if found is None else f"{name} is a {found.kind}: no perpetual"
        message = f"{what} {name!r}; nearest: {', '.join(near) or 'none listed'}"
        raise UsageError(message)


async def fetch_universe(client: DeribitClient, lake: Lake) -> Universe:
    """Return the listed instruments, staged as they came.

    Raises
    ------
    DeribitError, UnavailableError
        If the exchange refuses or does not answer.
    """
    folder = lake.raw("get_instruments", currency="any", kind="future")
    request = Request(METHOD, dict(PARAMS), Span(0, 0), folder, _check)
    attempt = await client.call(request, retry=FIRST_TRY)
    return _universe(attempt.body or b"", attempt.us_out or attempt.fetched_at)


class _Envelope(msgspec.Struct):
    result: list[Instrument]


def _check(result: msgspec.Raw) -> None:
    if not msgspec.json.decode(result, type=list[Instrument]):
        message = "an empty list of instruments"
        raise msgspec.ValidationError(message)


def staged_universe(lake: Lake) -> Universe:
    """Return the instruments as last staged, for work without the exchange; none if never."""
    folder = lake.raw("get_instruments", currency="any", kind="future")
    found = raw.latest(folder, OK)
    if found is None:
        return Universe(0, {})
    us_out, body = found
    return _universe(body, us_out or 0)


def _universe(body: bytes, now_us: int) -> Universe:
    result = msgspec.json.decode(body, type=_Envelope).result
    return Universe(now_us // 1000, {one.instrument_name: one for one in result})
