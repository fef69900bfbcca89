"""The calendar of dated futures: which are listed when, and when they expire.

Seen in recorded instrument lists, and assumed between and before them:

- everything expires at 08:00 UTC but BTC-15JUL16, which did at 15:00; weeks, months and quarters
  on Fridays, months and quarters on the last of the month; quarters report the settlement period
  `month` (2021, 2026);
- quarters are listed nine months ahead until those of 2021 (`BTC-24SEP21`: 2020-12-25) and a year
  ahead since (`BTC-25SEP26`: 2025-09-26);
- months are listed two months ahead in 2021 (`BTC-30JUL21`: 2021-05-28) and three in 2026
  (`BTC-30OCT26`: 2026-07-30); the change is put at 2023;
- weeks live two weeks in 2021 and 2025 (`BTC-23JUL21`: 2021-07-09) and three in 2026; the first
  are put at 2020;
- days live four days in 2026 (`BTC-21SEP26`: 2026-09-17), and begin on 2026-08-01;
- since April 2026 bitcoin, ether and solana have futures on USDC with the same calendar (45 of them
  lived on 2026-09-23; the month is that of the first delivery into such a future);
- coin-settled futures on solana are known from a list of June 2022, and only the history host has
  them: when the last expired is put at the end of that year;
- prices of BTC move by 2.5 dollars in 2026 and by 0.5 in 2021; the change is put at 2023.

The exchange opened in June 2016; futures on ether come with its perpetual, in 2019.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from tests.exchange import noise
from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import PERPETUALS, Instrument
from tests.exchange.path import EPOCH_MS

COINS = ("BTC", "ETH")
OPENED_MS = milliseconds("2016-06-10")
_FIRST_ID = 300_000
_FRIDAY = 4
_QUARTER_ENDS = (3, 6, 9, 12)
_WEEKS_FROM, _THREE_WEEKS_FROM = date(2020, 1, 1), date(2026, 1, 1)
_DAYS_FROM = date(2026, 8, 1)
_LINEAR_FROM = date(2026, 4, 1)
_LINEAR_COINS, _LINEAR_ID, _FORMER_ID = ("BTC", "ETH", "SOL"), 400_000, 218_000
_FIRST_EXPIRY, _FIRST_ENDED_MS = date(2016, 7, 15), milliseconds("2016-07-15T15:00")
# recorded but for the last two: expiry, listing, period
_FORMER = (
    (date(2022, 6, 3), date(2022, 5, 20), "week"),
    (date(2022, 6, 10), date(2022, 5, 27), "week"),
    (date(2022, 6, 24), date(2022, 4, 29), "month"),
    (date(2022, 7, 29), date(2022, 5, 27), "month"),
    (date(2022, 9, 30), date(2022, 6, 24), "quarter"),
    (date(2022, 12, 30), date(2022, 9, 30), "quarter"),
)
_YEAR_AHEAD_FROM, _THREE_MONTHS_FROM = date(2022, 1, 1), date(2023, 1, 1)
_WIDE_GRID_FROM = date(2023, 1, 1)
_LAST = date(2028, 1, 1)  # nothing expires later
# settlement period: (share of minutes without a trade, typical lots); half of the recorded minutes
# of dated futures had none
_ACTIVITY = {
    "quarter": (0.3, 120.0),
    "month": (0.5, 60.0),
    "week": (0.55, 40.0),
    "day": (0.5, 40.0),
}


def dated_futures() -> tuple[Instrument, ...]:
    """Return the dated futures that settle in bitcoin or ether, in order of listing."""
    lives = [(date(2016, 6, 10), "BTC", _FIRST_EXPIRY, "month")]
    lives += [
        (listed, coin, expiry, period)
        for coin in COINS
        for expiry, listed, period in calendar()
        if _eight(listed) >= (OPENED_MS if coin == "BTC" else _of(coin).creation_ms)
    ]
    early = sum(_eight(listed) < EPOCH_MS for listed, *_ in lives)
    return tuple(
        _future(_FIRST_ID - early + number, _of(coin), listed=listed, expiry=expiry, period=period)
        for number, (listed, coin, expiry, period) in enumerate(sorted(lives))
    )


def linear_futures(perpetuals: Iterable[Instrument]) -> tuple[Instrument, ...]:
    """Return the dated futures on USDC, in order of listing."""
    named = {each.name: each for each in perpetuals}
    lives = sorted(
        (max(listed, _LINEAR_FROM), coin, expiry, period)
        for coin in _LINEAR_COINS
        for expiry, listed, period in calendar()
        if expiry > _LINEAR_FROM + timedelta(7)
    )
    return tuple(
        _future(
            _LINEAR_ID + number, named[f"{coin}_USDC-PERPETUAL"],
            listed=listed, expiry=expiry, period=period,
        )
        for number, (listed, coin, expiry, period) in enumerate(lives)
    )  # fmt: skip


def former_futures(perpetuals: Iterable[Instrument]) -> tuple[Instrument, ...]:
    """Return the futures that settled in solana, which only the history host has."""
    (perpetual,) = (each for each in perpetuals if each.name == "SOL-PERPETUAL")
    return tuple(
        _future(_FORMER_ID + number, perpetual, listed=listed, expiry=expiry, period=period)
        for number, (expiry, listed, period) in enumerate(_FORMER)
    )


def calendar() -> Iterator[tuple[date, date, str]]:
    """Yield day of expiry, day of listing, and period."""
    first = datetime.fromtimestamp(OPENED_MS / 1000, UTC).date()
    for day in (first + timedelta(days) for days in range((_LAST - first).days)):
        if day.weekday() == _FRIDAY and (day + timedelta(7)).month != day.month:
            is_quarter = day.month in _QUARTER_ENDS
            ahead = _quarter_ahead(day) if is_quarter else 3 if day >= _THREE_MONTHS_FROM else 2
            yield day, _last_friday(day, back=ahead), "quarter" if is_quarter else "month"
        elif day.weekday() == _FRIDAY and day >= _WEEKS_FROM:
            weeks = 3 if day >= _THREE_WEEKS_FROM else 2
            yield day, day - timedelta(7 * weeks), "week"
        elif day > _DAYS_FROM:
            yield day, max(day - timedelta(4), _DAYS_FROM), "day"


def _quarter_ahead(expiry: date) -> int:
    return 12 if expiry >= _YEAR_AHEAD_FROM else 9


def _last_friday(day: date, *, back: int) -> date:
    """Return the last Friday of the month so many months before."""
    month = day.year * 12 + day.month - 1 - back + 1
    following = date(month // 12, month % 12 + 1, 1)
    return following - timedelta((following.weekday() - _FRIDAY - 1) % 7 + 1)


def _eight(day: date) -> int:
    return round(datetime.combine(day, time(8, tzinfo=UTC)).timestamp() * 1000)


def _of(coin: str) -> Instrument:
    return next(each for each in PERPETUALS if each.name == f"{coin}-PERPETUAL")


def _future(
    number: int, perpetual: Instrument, *, listed: date, expiry: date, period: str
) -> Instrument:
    coin = perpetual.base
    name = f"{perpetual.name.partition('-')[0]}-{expiry.day}{expiry:%b%y}".upper()
    draw = int(noise.key(0, name, "listing"))
    created = _eight(listed) + 5_000 + draw % 20_000
    filler_share, lots = _ACTIVITY[period]
    # Weeks and days trade at once; the far ones take up to six hours to find a first buyer.
    wait_ms = draw // 20_000 % (6 * 3_600_000) if period in ("quarter", "month") else 0
    is_wide = perpetual.name == "BTC-PERPETUAL" and listed >= _WIDE_GRID_FROM
    return Instrument(
        name=name,
        instrument_id=number,
        base=coin,
        is_inverse=perpetual.is_inverse,
        creation_ms=created,
        first_trade_ms=created + wait_ms,
        price_denominator=perpetual.price_denominator,
        tick_units=10 if is_wide else perpetual.tick_units,
        contract_size=perpetual.contract_size,
        volume_decimals=perpetual.volume_decimals,
        filler_share=filler_share,
        typical_lots=lots,
        smallest_lots=perpetual.smallest_lots,
        expiration_ms=_FIRST_ENDED_MS if expiry == _FIRST_EXPIRY else _eight(expiry),
        is_on_history_only=perpetual.is_on_history_only,
        settlement_period="month" if period == "quarter" else period,
        details=perpetual.details,
    )
