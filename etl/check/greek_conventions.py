"""Greeks of quotes by the exchange's convention as measured, and by those it might be taken for.

Deribit counts the time to expiry in whole minutes, the nearest, and caps theta by the printed
mark price: so 2,075 recorded quotes agree to their last digit (docs/greeks.md).
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from quant.conventions import OPTION_TYPES
from quant.kernels.rows import Bools, Floats
from validators.greeks.quotes import QUANTITIES, seconds_left

DAY_S, MINUTE_S = 86_400.0, 60.0
YEAR_DAYS = 365.0
HOUR_S = 3_600.0


@dataclass(frozen=True)
class Quotes:
    """What the Greeks of quotes are made of; all arrays have shape (n,).

    Attributes
    ----------
    forward, forward_half : the printed forward, and half of its last digit [USD].
    index : the index [USD].
    strike : [USD].
    seconds : to expiry, from the quote's own stamp [s].
    iv : volatility of the mark, as printed [1/sqrt(yr)].
    mark, mark_half : the printed mark price and half of its last digit [coin or USDC].
    is_call, is_coin : whether a call; whether premiums are in coin.
    """

    forward: Floats
    forward_half: Floats
    index: Floats
    strike: Floats
    seconds: Floats
    iv: Floats
    mark: Floats
    mark_half: Floats
    is_call: Bools
    is_coin: Bools

    def take(self, rows: Bools) -> "Quotes":
        """Return some of the quotes."""
        return Quotes(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def unit(self) -> Floats:
        """What a premium of 1 is worth [USD], shape (n,)."""
        return np.where(self.is_coin, self.forward, 1.0)


@dataclass(frozen=True)
class Convention:
    """A way to compute Greeks from a quote.

    Attributes
    ----------
    words : what it is called in a report.
    year_days : days of a year.
    day_cap, price_cap : whether theta is no more than what is left of the last day; than the price.
    caps_by_mark : whether that price is the printed mark, or the model's own.
    on_index : whether the index stands for the forward.
    premium_adjusted : whether delta is less by the price over the forward.
    to_minute : whether time is counted in whole minutes, or to the millisecond.
    later_s : how much more time there is to expiry: it comes later, or the Greeks are older [s].
    """

    words: str
    year_days: float = YEAR_DAYS
    day_cap: bool = True
    price_cap: bool = True
    caps_by_mark: bool = True
    on_index: bool = False
    premium_adjusted: bool = False
    to_minute: bool = True
    later_s: float = 0.0

    def older(self, seconds: float) -> "Convention":
        """Return the same for Greeks of some time before their quote."""
        return replace(self, later_s=self.later_s + seconds)


EXCHANGE = Convention("the exchange's convention")
OTHERS = (
    Convention("a year of 365.25 days", year_days=365.25),
    Convention("uncapped theta", day_cap=False, price_cap=False),
    Convention("theta capped by the price alone", day_cap=False),
    Convention("theta capped by the last day alone", price_cap=False),
    Convention("theta capped by the model's price, not the mark", caps_by_mark=False),
    Convention("the index for the forward", on_index=True),
    Convention("premium-adjusted delta", premium_adjusted=True),
    Convention("expiry at midnight, 00:00 UTC", later_s=-8 * HOUR_S),
    Convention("expiry at midnight, 24:00 UTC", later_s=16 * HOUR_S),
    Convention("time to expiry to the millisecond", to_minute=False),
)
"""What a wrong side may have done, each alone."""


def quotes_of(rows: pl.DataFrame) -> Quotes:
    """Return the numbers of quotes that are not left out, with the halves of their last digits."""

    def floats(name: str) -> Floats:
        return np.ascontiguousarray(rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy())

    told = rows.select(
        seconds_left().alias("seconds"),
        (pl.col("option_type") == OPTION_TYPES[0]).alias("is_call"),
        pl.col("underlying").str.contains("_", literal=True).not_().alias("is_coin"),
    )
    return Quotes(
        forward=floats("underlying_price"),
        forward_half=floats("underlying_price_half"),
        index=floats("index_price"),
        strike=floats("strike"),
        seconds=told["seconds"].to_numpy(),
        iv=floats("mark_iv"),
        mark=floats("mark_price"),
        mark_half=floats("mark_price_half"),
        is_call=told["is_call"].to_numpy(),
        is_coin=told["is_coin"].to_numpy(),
    )


def tenor(quotes: Quotes, convention: Convention = EXCHANGE) -> Floats:
    """Return the time to expiry as a convention counts it [yr], shape (n,)."""
    seconds = quotes.seconds + convention.later_s
    if convention.to_minute:
        seconds = np.rint(seconds / MINUTE_S) * MINUTE_S
    return np.asarray(seconds / (convention.year_days * DAY_S))


def evaluated(quotes: Quotes, convention: Convention = EXCHANGE) -> Floats:
    """Return price and Greeks of quotes by a convention.

    Returns
    -------
    float64 array, shape (6, n)
        In the order of `QUANTITIES`: the price [coin or USDC], delta [1], gamma [1/USD], vega
        [USD per point], theta [USD/day], rho [USD per 1 %]; NaN where no time is left.
    """
    from quant.kernels.black76 import price_and_greeks  # noqa: PLC0415  (numba: half a second)

    forward = quotes.index if convention.on_index else quotes.forward
    years = tenor(quotes, convention)
    out = np.empty((len(QUANTITIES), forward.shape[0]))
    price_and_greeks(forward, quotes.strike, years, quotes.iv, quotes.is_call, out=out)
    price, delta, _, vega, theta, _ = out
    theta[:] = -_loss_of_a_day(quotes, convention, price, vega, years)
    if convention.premium_adjusted:
        delta -= price / forward
    price /= np.where(quotes.is_coin, forward, 1.0)
    return out


def _loss_of_a_day(
    quotes: Quotes, convention: Convention, price: Floats, vega: Floats, years: Floats
) -> Floats:
    """Return what a day takes from the value [USD/day]; vega is iv-theta times 2 T / iv."""
    loss = 50.0 * vega * quotes.iv / (years * YEAR_DAYS)
    if convention.day_cap:
        loss *= np.minimum(1.0, YEAR_DAYS * years)
    if convention.price_cap and convention.caps_by_mark:
        # The mark has more digits than it prints: the model's price, as far as it rounds to it.
        low, high = (quotes.mark + side * quotes.mark_half for side in (-1, 1))
        loss = np.minimum(loss, np.clip(price, low * quotes.unit, high * quotes.unit))
    elif convention.price_cap:
        loss = np.minimum(loss, price)
    return np.asarray(loss)
