"""Every option trade of a seed: days made when asked for, held in bounded caches.

This is the truth; what is sent of it is `tests.exchange.option_market.sent`'s.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from tests.exchange.option_market import black76, frames, surface
from tests.exchange.option_market.activity import Counts, base_of_ids, counted, numbers_of
from tests.exchange.option_market.chain import chain
from tests.exchange.option_market.families import BY_NAME, Family, families_of
from tests.exchange.option_market.held import Held
from tests.exchange.option_market.quotes import quotes_in
from tests.exchange.option_market.sessions import Living, Session, session_of
from tests.exchange.option_market.trades import OptionTrades, asked, option_trades, sides_and_draws
from tests.exchange.option_market.underlying import DAY_MS, UnderlyingDay, Underlyings
from tests.exchange.path import EARLY_DAYS, EPOCH_MS, Path
from tests.exchange.trades import Ints

_HELD_SESSION_BYTES, _HELD_COUNT_BYTES = 50_000_000, 50_000_000


class OptionTape:
    """Everything the options of a seed ever print."""

    def __init__(
        self, seed: int, paths: Callable[[str], Path], *, form: str = "ssvi", factor: float = 1.0
    ) -> None:
        self.seed, self.form, self.factor = seed, form, factor
        self.underlyings = Underlyings(seed, paths)
        self.chain = partial(chain, seed)
        self.session = Held(_HELD_SESSION_BYTES, self._session, lambda made: made.size)
        self.counts = Held(_HELD_COUNT_BYTES, self._counts, lambda made: made.nbytes)
        self.hours = lru_cache(maxsize=256)(self._hours)

    def _hours(self, base: str, day: int) -> surface.Parameters:
        return surface.hourly(self.underlyings, base, day)

    def _counts(self, family: str, expiry: int) -> Counts:
        return counted(self.seed, self.chain(family), expiry, self.underlyings, factor=self.factor)

    def living(self, currency: str, day: int) -> Living:
        """Return the options of a currency that trade on an exchange day."""
        chains = tuple(self.chain(family.name) for family in families_of(currency))
        parts = [
            (number, one, expiry) for number, one in enumerate(chains) for expiry in one.living(day)
        ]
        columns: list[list[Any]] = [[], [], [], [], []]
        for number, one, expiry in parts:
            total = self.counts(one.family.name, expiry)
            column = day - one.expiries[expiry].first_day
            base = total[:, column].astype(np.int64)
            count = total[:, column + 1] - base
            trades = np.flatnonzero(count)
            row = one.of_expiry(expiry).start + trades
            found = (np.full(len(row), number, dtype=np.int8), row, numbers_of(one, row),
                     base[trades], count[trades])  # fmt: skip
            for into, part in zip(columns, found, strict=True):
                into.append(part)
        if not parts:
            columns = [[np.zeros(0, dtype=np.int8)]] + [[np.zeros(0, dtype=np.int64)]] * 4
        return Living(chains, *(np.concatenate(column) for column in columns))

    def _session(self, currency: str, day: int) -> Session:
        return session_of(self.seed, self.living(currency, day), day)

    def underlying(self, family: Family, day: int) -> tuple[UnderlyingDay, surface.Parameters]:
        """Return the underlying and the surface of a family on an exchange day."""
        underlying = self.underlyings.day(family.base, family.perpetual, day)
        return underlying, self.hours(family.base, day)

    def trades(self, currency: str, day: int, at: Ints | None = None) -> OptionTrades:
        """Return the trades of a day, or those at some positions of its session."""
        session = self.session(currency, day)
        at = np.arange(len(session.who)) if at is None else at
        quotes = quotes_in(self.form, session, at, lambda family: self.underlying(family, day))
        first = base_of_ids(day, self._daily_trades(currency), self.factor)
        return option_trades(self.seed, session, at, quotes, first_number=first)

    def truth(self, currency: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return what nobody is told of the trades of a half-open window.

        Returns
        -------
        DataFrame
            `instrument_name`, `trade_seq`, `forward` [quote currency], `iv` of the price that was
            asked before it was put on its grid, at that forward; NaN where it has none.
        """
        parts = []
        for day in days_between(start_ms, end_ms):
            session = self.session(currency, day)
            at = session.order
            at = at[(session.ms[at] >= start_ms) & (session.ms[at] < end_ms)]
            quotes = quotes_in(self.form, session, at, lambda family: self.underlying(family, day))  # noqa: B023  called at once
            is_buy, draw = sides_and_draws(self.seed, session, at)
            price = asked(session, at, quotes.value / quotes.unit, is_buy, draw) * quotes.unit
            iv = black76.implied(price, quotes.forward, quotes.strike, years=quotes.years,
                                 sign=quotes.sign, guess=quotes.about)  # fmt: skip
            names = pl.Series(frames.names_of(session), dtype=pl.String).gather(session.who[at])
            parts.append(
                pl.DataFrame(
                    {"instrument_name": names, "trade_seq": session.seq[at],
                     "forward": quotes.forward, "iv": iv}
                )
            )  # fmt: skip
        return pl.concat(parts)

    def at_the_money(self, family: str, at_ms: int, years: float) -> float:
        """Return the volatility at the forward, at a moment and so many years before expiry [1]."""
        start, hours = self.underlying(BY_NAME[family], (at_ms - EPOCH_MS) // DAY_MS)
        one = np.ones(1)
        now = surface.at(hours, start.start_ms, np.array([at_ms]))
        return float(
            surface.volatility(
                self.form, now, forward=one, strike=one, years=np.array([years]), sign=one
            )[0]
        )

    def trades_of_option(self, name: str, day: int) -> OptionTrades:
        """Return the trades that one option makes on an exchange day."""
        family = BY_NAME[name.partition("-")[0]]
        currency = family.settlement_currency
        return self.trades(currency, day, self.positions(name, currency, day))

    def positions(self, name: str, currency: str, day: int) -> Ints:
        """Return where the trades of an option stand in the session of a day."""
        family = BY_NAME[name.partition("-")[0]]
        session = self.session(currency, day)
        found = session.living.chain == families_of(currency).index(family)
        found &= session.living.row == self.chain(family.name).rows[name]
        spans = [np.arange(*session.first[n : n + 2]) for n in np.flatnonzero(found)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *spans])

    def days_of_option(self, name: str, seq: tuple[int, int] = (1, 1 << 62)) -> list[int]:
        """Return the exchange days on which an option makes trades in a range of trade_seq."""
        chain = self.chain(name.partition("-")[0])
        number = int(chain.expiry[chain.rows[name]])
        row = chain.rows[name] - chain.of_expiry(number).start
        total = self.counts(chain.family.name, number)[row].astype(np.int64)
        wanted = (total[1:] > total[:-1]) & (total[1:] >= seq[0]) & (total[:-1] < seq[1])
        return (chain.expiries[number].first_day + np.flatnonzero(wanted)).tolist()

    def day_of_number(self, currency: str, number: int) -> int:
        """Return the exchange day of a trade id's number, or the one after all of them."""
        step = base_of_ids(1, self._daily_trades(currency), self.factor)
        step -= base_of_ids(0, self._daily_trades(currency), self.factor)
        return min(number // step, 100_000) - EARLY_DAYS

    @staticmethod
    def _daily_trades(currency: str) -> float:
        return sum(family.daily_trades for family in families_of(currency))

    def frame(self, currency: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the trades of a half-open window, by time; null where a member is missing."""
        days = days_between(start_ms, end_ms)
        parts = [
            self._frame(currency, day, self.trades(currency, day))[
                self.session(currency, day).order
            ]
            for day in days
        ]
        whole = pl.concat(parts) if parts else pl.DataFrame(schema=frames.SCHEMA)
        return whole.filter(pl.col("timestamp").is_between(start_ms, end_ms, closed="left"))

    def last_seqs(self, currency: str, now_ms: int) -> pl.DataFrame:
        """Return the trade_seq of the last trade of each option listed by a moment, 0 for none."""
        names: list[str] = []
        last: list[Ints] = []
        today = self.session(currency, (now_ms - EPOCH_MS) // DAY_MS)
        for number, family in enumerate(families_of(currency)):
            one = self.chain(family.name)
            seqs = [self._by_day(family.name, n, now_ms) for n in range(len(one.expiries))]
            found = np.concatenate(seqs)
            is_done = (today.ms < now_ms) & (today.living.chain[today.who] == number)
            np.maximum.at(found, today.living.row[today.who[is_done]], today.seq[is_done])
            listed = np.flatnonzero(one.creation_ms <= now_ms)
            names += [one.names[row] for row in listed.tolist()]
            last.append(found[listed])
        return pl.DataFrame({"instrument_name": names, "trade_seq": np.concatenate(last)})

    def _by_day(self, family: str, expiry: int, now_ms: int) -> Ints:
        """Return the trade_seq that the options of an expiry had reached as a day began."""
        total = self.counts(family, expiry)
        days = (now_ms - EPOCH_MS) // DAY_MS - self.chain(family).expiries[expiry].first_day
        return total[:, min(max(days, 0), total.shape[1] - 1)].astype(np.int64)

    def _frame(self, currency: str, day: int, trades: OptionTrades) -> pl.DataFrame:
        return frames.frame_of(self.session(currency, day), trades)


def days_between(start_ms: int, end_ms: int) -> Iterator[int]:
    """Yield the exchange days that a half-open window touches."""
    yield from range((start_ms - EPOCH_MS) // DAY_MS, -(-(end_ms - EPOCH_MS) // DAY_MS))
