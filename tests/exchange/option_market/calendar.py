"""Which expiries the options of a family have, and from when on.

Each month, quarter and week of the futures' calendar, and their listing times. What options have
besides: weeks since 2016, two weeks ahead before 2026 (recorded names), and days since 2020-02-03,
three ahead and four since 2024 (`BTC-17JUN25` lived on 2025-06-15), which had no future of their
own before August 2026. What is listed already when a family begins is listed on its first day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from tests.exchange import noise
from tests.exchange.expiries import calendar
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import BY_NAME
from tests.exchange.option_market.families import Family
from tests.exchange.path import EPOCH_MS

DAY_MS = 86_400_000
_DAYS_FROM, _FOUR_AHEAD_FROM, _FUTURES_DAYS_FROM = (
    date(2020, 2, 3), date(2024, 1, 1), date(2026, 8, 1),
)  # fmt: skip
_FUTURES_WEEKS_FROM = date(2020, 1, 1)
_FIRST_EXPIRY = date(2016, 7, 15)
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Expiry:
    """An expiry of a family: ``BTC-27DEC24``."""

    name: str
    listed_ms: int
    expiration_ms: int
    period: str
    has_future: bool

    @property
    def first_day(self) -> int:
        """The exchange day, 08:00 to 08:00 UTC since `EPOCH_MS`, on which it is listed."""
        return (self.listed_ms - EPOCH_MS) // DAY_MS

    @property
    def end_day(self) -> int:
        """The first exchange day on which it does not live."""
        return -(-(self.expiration_ms - EPOCH_MS) // DAY_MS)


@cache
def expiries_of(family: Family) -> tuple[Expiry, ...]:
    """Return the expiries of a family, in order of listing and expiry."""
    first = _date(family.listed_from_ms)
    found = [
        _expiry(family, day, max(listed, first), period)
        for day, listed, period in _days(family)
        if day > first + timedelta(1) and _eight(day) <= family.listed_until_ms
    ]
    return tuple(sorted(found, key=lambda one: (one.listed_ms, one.expiration_ms)))


def _days(family: Family) -> Iterator[tuple[date, date, str]]:
    """Yield day of expiry, day of listing, and period."""
    if family.name == "SOL":  # the six expiries of its futures
        futures = [one for one in BY_NAME.values() if one.name.startswith("SOL-")]
        for future in futures:
            if not future.is_perpetual:
                yield _date(future.expiration_ms), _date(future.creation_ms), "month"
        return
    known = {_FIRST_EXPIRY}
    yield _FIRST_EXPIRY, date(2016, 6, 10), "month"
    for day, listed, period in calendar():
        known.add(day)
        yield day, listed, "month" if period == "quarter" else period
    last = max(known)
    day = _date(milliseconds("2016-06-13T08:00"))
    while day < last:
        if day not in known:
            yield from _of_no_future(day)
        day += timedelta(1)


def _of_no_future(day: date) -> Iterator[tuple[date, date, str]]:
    if day.weekday() == _FRIDAY and day < _FUTURES_WEEKS_FROM:
        yield day, day - timedelta(14), "week"
    elif _DAYS_FROM <= day <= _FUTURES_DAYS_FROM:
        ahead = 4 if day >= _FOUR_AHEAD_FROM else 3
        yield day, day - timedelta(ahead), "day"


def _expiry(family: Family, day: date, listed: date, period: str) -> Expiry:
    name = f"{family.name}-{day.day}{day:%b%y}".upper()
    future = BY_NAME.get(name)
    expires = future.expiration_ms if future else _eight(day)
    return Expiry(name, listing_ms(name, _eight(listed)), expires, period, future is not None)


def listing_ms(name: str, eight_ms: int) -> int:
    """Return when something that is listed after 08:00 is there, as a future of that name is."""
    return eight_ms + 5_000 + int(noise.key(0, name, "listing")) % 20_000


def _eight(day: date) -> int:
    return round(datetime.combine(day, time(8, tzinfo=UTC)).timestamp() * 1000)


def _date(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()
