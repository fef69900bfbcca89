"""The instruments the exchange lists: find one by name, and know its life."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from etl.deribit.client import OK, DeribitClient, Request, Retry
from etl.errors import UsageError
from lake import raw
from lake.ledger import Span
from lake.paths import Lake

METHOD = "public/get_instruments"
NEVER_MS = 32_503_680_000_000  # the exchange writes the year 3000 for "does not expire"
EXCHANGE_DAY_MS = 8 * 3_600_000
DAY_MS = 24 * 3_600_000
LATELY = 32  # lists that are looked through for an instrument the newest one lacks
FIRST_TRY = Retry(attempts=4, seconds=20)  # whether the exchange is there at all is soon known


Check = Callable[[msgspec.Raw], object]


class Instrument(msgspec.Struct, frozen=True):
    """What the exchange says of one instrument; members not named here are kept in raw."""

    instrument_name: str
    kind: str
    creation_timestamp: int
    tick_size: float
    settlement_period: str | None = None
    settlement_currency: str | None = None
    expiration_timestamp: int | None = None
    price_index: str | None = None

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
    missing: tuple[str, ...] = ()  # listed lately, not expired, and not in the newest list

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

    def find(self, name: str) -> Instrument | None:
        """Return the instrument or index of that name, or None."""
        return self.instruments.get(name) or self._index(name)

    def index(self, name: str) -> Instrument:
        """Return an index as if it were an instrument: listed with its first perpetual.

        Raises
        ------
        UsageError
            If no perpetual follows it.
        """
        found = self._index(name)
        if found is None:
            followed = {one.price_index for one in self.instruments.values() if one.is_perpetual}
            _check_words("no perpetual follows an index", [name], followed)
            message = f"no index {name!r}"
            raise UsageError(message)
        return found

    def followers(self, index: str) -> list[Instrument]:
        """Return the perpetuals that follow an index, by name.

        Raises
        ------
        UsageError
            If there is none.
        """
        self.index(index)
        found = [
            one
            for one in self.instruments.values()
            if one.is_perpetual and one.price_index == index
        ]
        return sorted(found, key=lambda one: one.instrument_name)

    def _index(self, name: str) -> Instrument | None:
        listed = [
            one.creation_timestamp
            for one in self.instruments.values()
            if one.is_perpetual and one.price_index == name
        ]
        return Instrument(name, "index", min(listed), tick_size=0.0) if listed else None

    def check_currencies(self, currencies: Sequence[str]) -> None:
        """Raise UsageError if nothing that is listed settles in one of the currencies."""
        known = {one.settlement_currency for one in self.instruments.values()}
        _check_words("no currency", currencies, known)

    def futures(self, currencies: Sequence[str], periods: Sequence[str] = ()) -> list[Instrument]:
        """Return the dated futures that settle in some currencies, in order of expiry.

        `periods` chooses settlement periods; without any, all are meant.

        Raises
        ------
        UsageError
            If no dated future settles in a currency, or none has a settlement period.
        """
        dated = [
            one
            for one in self.instruments.values()
            if one.kind == "future" and not one.is_perpetual
        ]
        _check_words(
            "no dated future settles in", currencies, {one.settlement_currency for one in dated}
        )
        _check_words(
            "no dated future has settlement period",
            periods,
            {one.settlement_period for one in dated},
        )
        chosen = [
            one
            for one in dated
            if one.settlement_currency in currencies
            and (not periods or one.settlement_period in periods)
        ]
        return sorted(chosen, key=lambda one: (one.life.end_ms, one.instrument_name))


def settlement_currency(name: str) -> str:
    """Return what a dated future settles in: BTC for `BTC-27DEC24`, USDC for `BTC_USDC-27DEC24`."""
    return name.split("-", maxsplit=1)[0].rsplit("_", maxsplit=1)[-1]


def _check_words(what: str, words: Sequence[str], known: set[str | None]) -> None:
    unknown = [word for word in words if word not in known]
    if unknown:
        there = ", ".join(sorted(filter(None, known))) or "none"
        message = f"{what} {unknown[0]!r}; there are: {there}"
        raise UsageError(message)


async def fetch_universe(
    client: DeribitClient, lake: Lake, expired_of: Sequence[str] = ()
) -> Universe:
    """Return the listed instruments, staged as they came.

    With currencies in `expired_of`, those that expired too, as the history host lists them. What
    an earlier list had and this one lacks is kept, and named in `missing` unless it has expired:
    a list that shrinks does not undo a life.

    Raises
    ------
    DeribitError, UnavailableError
        If the exchange refuses or does not answer.
    """
    known = _lately(lake)
    attempt = await client.call(living_request(lake, "future", _check), retry=FIRST_TRY)
    living = _universe(attempt.body or b"", attempt.us_out or attempt.fetched_at)
    expired: dict[str, Instrument] = {}
    if expired_of:
        Universe(living.now_ms, known | living.instruments).check_currencies(expired_of)
        expired = _expired(lake)
    for currency in expired_of:
        request = expired_request(lake, "future", currency, _check_shape)
        answer = await client.call(request, retry=FIRST_TRY)
        expired |= _universe(answer.body or b"", 0).instruments
    missing = sorted(
        name
        for name in known.keys() - living.instruments.keys() - expired.keys()
        if known[name].life.end_ms > living.now_ms
    )
    found = known | expired | living.instruments
    return Universe(living.now_ms, found, tuple(missing))


def living_request(lake: Lake, kind: str, check: Check) -> Request:
    """Return the request for the list of what lives of a kind, in all currencies."""
    params = {"currency": "any", "kind": kind, "expired": "false"}
    folder = lake.raw("get_instruments", currency="any", kind=kind)
    return Request(METHOD, params, Span(0, 0), folder, check)


def expired_request(lake: Lake, kind: str, currency: str, check: Check) -> Request:
    """Return the request for the list of all that ever expired of a kind and currency."""
    params = {"currency": currency, "kind": kind, "expired": "true", "include_old": "true"}
    folder = lake.raw("get_instruments", kind=kind, expired="true", currency=currency)
    return Request(METHOD, params, Span(0, 0), folder, check, on_history=True)


def _lately(lake: Lake) -> dict[str, Instrument]:
    """Return what the last lists of living futures had, each as it was last listed."""
    folder = living_request(lake, "future", _check).folder
    found: dict[str, Instrument] = {}
    for name in raw.segments(folder)[-LATELY:]:
        for _, body in raw.answers(folder / name, OK):
            found |= _universe(body, 0).instruments
    return found


def _expired(lake: Lake) -> dict[str, Instrument]:
    """Return every future any list of expired ones ever had."""
    found: dict[str, Instrument] = {}
    for folder in sorted(
        lake.raw("get_instruments", kind="future", expired="true").glob("currency=*")
    ):
        for _, body in raw.bodies(folder, OK):
            found |= _universe(body, 0).instruments
    return found


class _Envelope(msgspec.Struct):
    result: list[Instrument]


def _check(result: msgspec.Raw) -> None:
    if not msgspec.json.decode(result, type=list[Instrument]):
        message = "an empty list of instruments"
        raise msgspec.ValidationError(message)


def _check_shape(result: msgspec.Raw) -> None:
    msgspec.json.decode(result, type=list[Instrument])


def staged_universe(lake: Lake) -> Universe:
    """Return the instruments as last staged, for work without the exchange; none if never."""
    found = raw.latest(living_request(lake, "future", _check).folder, OK)
    if found is None:
        return Universe(0, _expired(lake))
    us_out, body = found
    living = _universe(body, us_out or 0)
    return Universe(living.now_ms, _lately(lake) | _expired(lake) | living.instruments)


def _universe(body: bytes, now_us: int) -> Universe:
    result = msgspec.json.decode(body, type=_Envelope).result
    return Universe(now_us // 1000, {one.instrument_name: one for one in result})
