"""What options are worth at given moments: index, forward, fair value."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.exchange import noise
from tests.exchange.listing import BY_NAME
from tests.exchange.noise import Floats
from tests.exchange.option_market import black76, surface
from tests.exchange.option_market.chain import Chain
from tests.exchange.option_market.families import Family
from tests.exchange.option_market.sessions import Session
from tests.exchange.option_market.underlying import UnderlyingDay
from tests.exchange.trades import Ints

DayOf = Callable[[Family], tuple[UnderlyingDay, surface.Parameters]]


@dataclass(frozen=True, slots=True)
class Quotes:
    """What options are worth, and of what; all arrays have shape (n,).

    Attributes
    ----------
    index : as published [quote currency].
    forward : of the option's expiry, not rounded [quote currency].
    published : the same as published [quote currency].
    strike, sign, years : of the option [quote currency, 1, yr].
    value : what it is worth [quote currency].
    about : its volatility, or near it [1].
    unit : what a price of 1 is [quote currency]: the forward, or 1 for linear ones.
    """

    index: Floats
    forward: Floats
    published: Floats
    strike: Floats
    sign: Floats
    years: Floats
    value: Floats
    about: Floats
    unit: Floats

    def implied(self, price: Floats) -> Floats:
        """Return the volatility [1] of prices [settlement currency] at the published forward."""
        worth = price * np.where(self.unit == 1.0, 1.0, self.published)
        return black76.implied(
            worth, self.published, self.strike,
            years=self.years, sign=self.sign, guess=self.about,
        )  # fmt: skip


def quotes_of(
    form: str, chain: Chain, options: Ints, ms: Ints, day: tuple[UnderlyingDay, surface.Parameters]
) -> Quotes:
    """Return what options of a chain are worth at moments of an exchange day."""
    family, expiration = chain.family, chain.expiration_ms[options]
    underlying, hours = day
    forward = noise.exponential(underlying.log_forward_at(ms, expiration, chain.on_index[options]))
    decimals = BY_NAME[family.perpetual].index_decimals
    strike, sign = chain.strike[options], chain.sign[options]
    years = (expiration - ms) / black76.YEAR_MS
    now = surface.at(hours, underlying.start_ms, ms)
    value, about = surface.fair(form, now, forward=forward, strike=strike, years=years, sign=sign)
    index = np.round(noise.exponential(underlying.log_index_at(ms)), decimals)
    unit = forward if family.is_inverse else np.ones_like(forward)
    published = np.round(forward, decimals)
    return Quotes(index, forward, published, strike, sign, years, value, about, unit)


def quotes_in(form: str, session: Session, at: Ints, day_of: DayOf) -> Quotes:
    """Return what the trades at some positions of a session are priced from."""
    who = session.who[at]
    number = session.living.chain[who]
    out = {name: np.empty(len(at)) for name in Quotes.__dataclass_fields__}
    for n, chain in enumerate(session.living.chains):
        rows = np.flatnonzero(number == n)
        options = session.living.row[who[rows]]
        part = quotes_of(form, chain, options, session.ms[at[rows]], day_of(chain.family))
        for name, column in out.items():
            column[rows] = getattr(part, name)
    return Quotes(**out)
