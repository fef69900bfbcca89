"""Days of `option_tickers` as a simulated exchange would have them, and as one that is wrong would.

The Greeks are of the exchange's own second implementation (`tests.exchange.option_market`), which
shares no code with the package.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from lake.arrow import arrow
from lake.partition import Partition
from lake.write import publish_table
from tests.exchange import noise
from tests.exchange.market import Market
from tests.exchange.option_market import black76
from tests.exchange.option_market.families import families_of
from tests.exchange.option_market.quotes import quotes_of
from tests.exchange.option_market.tickers import living
from tests.exchange.option_market.underlying import DAY_MS, HOUR_MS
from tests.exchange.path import EPOCH_MS
from validators.contract import layout_of
from validators.schemas.option_tickers import OptionTickers

SEED = 7
ASKED_FOR_MS = 60_000  # a chain's tickers, one after the other
_COLUMNS = {name: one.dtype.type for name, one in OptionTickers.to_schema().columns.items()}


@dataclass(frozen=True)
class Wrong:
    """What an exchange of another convention does; nothing, by default."""

    year_days: float = 365.0
    day_cap: bool = True
    price_cap: bool = True
    on_index: bool = False
    premium_adjusted: bool = False
    later_s: float = 0.0
    to_minute: bool = True


RIGHT = Wrong()
WRONG = {
    "a year of 365.25 days": Wrong(year_days=365.25),
    "uncapped theta": Wrong(day_cap=False, price_cap=False),
    "theta capped by the price alone": Wrong(day_cap=False),
    "theta capped by the last day alone": Wrong(price_cap=False),
    "the index for the forward": Wrong(on_index=True),
    "premium-adjusted delta": Wrong(premium_adjusted=True),
    "expiry at midnight, 00:00 UTC": Wrong(later_s=-8 * 3600.0),
    "Greeks 20 s old": Wrong(later_s=20.0),
    "time to expiry to the millisecond": Wrong(to_minute=False),
}
"""By what a report calls them."""


@lru_cache(maxsize=1)
def market():
    return Market(SEED, 0)


def tickers(currency, at_ms, wrong=RIGHT):
    """The tickers of all options of a currency, asked for one after the other from a full hour."""
    parts = [_of_family(family, at_ms, wrong) for family in families_of(currency)]
    return pl.concat(part for part in parts if part is not None)


def day(currency, day_ms, *, every_hours=1, wrong=RIGHT):
    """The tickers of a day, as they are kept."""
    moments = range(day_ms, day_ms + DAY_MS, every_hours * HOUR_MS)
    return pl.concat(tickers(currency, at_ms, wrong) for at_ms in moments)


def publish(lake, currency, first_ms, *, days, every_hours=1, wrong=RIGHT):
    """Put days of tickers into a lake; return how many there are."""
    rows = 0
    for number in range(days):
        frame = day(currency, first_ms + number * DAY_MS, every_hours=every_hours, wrong=wrong)
        rows += put(lake, currency, frame)
    return rows


def put(lake, currency, frame):
    """Put the tickers of one day into a lake; return how many there are."""
    period = f"{frame['timestamp'].min():%Y-%m-%d}"
    path = lake.clean(Partition("option_tickers", currency, period))
    publish_table(arrow(frame), path, **layout_of(OptionTickers))
    return len(frame)


def _of_family(family, at_ms, wrong):
    chain = market().world.options.chain(family.name)
    rows = living(chain, at_ms)
    if not len(rows):
        return None
    seconds = noise.bits(noise.key(SEED, family.name, "asked"), (rows * 8_192 + at_ms).view("u8"))
    moments = at_ms + noise.lane(seconds, 0) * ASKED_FOR_MS // 65_536
    moments = np.repeat(moments[::2], 2) if len(moments) % 2 == 0 else moments  # pairs as one
    options = market().world.options
    underlying = options.underlying(family, (at_ms - EPOCH_MS) // DAY_MS)
    quotes = quotes_of(options.form, chain, rows, moments, underlying)
    published = _published(quotes, wrong)
    names, types = [chain.names[row] for row in rows], np.where(quotes.sign > 0, "call", "put")
    told = {
        "timestamp": np.full(len(rows), at_ms),
        "instrument": names,
        "quoted_at": moments,
        "underlying": [family.name] * len(rows),
        "expiry": chain.expiration_ms[rows],
        "strike": quotes.strike,
        "option_type": types.tolist(),
        "mark_price": np.round(quotes.value / quotes.unit, 4),
        "mark_iv": np.round(np.round(100 * quotes.about, 2) / 100, 10),
        "underlying_price": quotes.published,
        "index_price": quotes.index,
        **published,
    }
    frame = pl.DataFrame(told).with_columns(
        pl.from_epoch(name, "ms").cast(pl.Datetime("us", "UTC"))
        for name in ("timestamp", "quoted_at", "expiry")
    )
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in _COLUMNS.items()]
    return frame.with_columns(
        one for one, name in zip(empty, _COLUMNS, strict=True) if name not in told
    ).select(*_COLUMNS)


def _published(quotes, wrong):
    """The Greeks of an exchange that is wrong in some way, or not; null where no time is left."""
    years = quotes.years * black76.YEAR_MS / 1000 + wrong.later_s
    if wrong.to_minute:
        years = np.rint(years / 60) * 60
    years = years * 1000 / black76.YEAR_MS
    is_alive = years > 0
    years = np.where(is_alive, years, 1.0) * 365.0 / wrong.year_days
    forward, sigma = quotes.index if wrong.on_index else quotes.published, quotes.about
    worth = quotes.value
    found = black76.greeks(forward, quotes.strike, years, sigma, quotes.sign, worth)
    stdev = sigma * np.sqrt(years)
    d1 = np.log(forward / quotes.strike) / stdev + stdev / 2
    loss = forward * black76.density(d1) * sigma / (2 * np.sqrt(years)) / 365
    if wrong.day_cap:
        loss = loss * np.minimum(1.0, 365 * years)
    found["theta"] = -np.minimum(loss, worth) if wrong.price_cap else -loss
    if wrong.premium_adjusted:
        price = black76.price(forward, quotes.strike, stdev, quotes.sign)
        found["delta"] = found["delta"] - price / forward
    return {
        name: pl.Series(np.where(is_alive, np.round(values, 5) + 0.0, np.nan)).fill_nan(None)
        for name, values in found.items()
    }
