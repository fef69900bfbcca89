"""What the exchange sends of the trades that happened: ready JSON, by day or by option.

Trades may be lost for good on purpose (one in so many, by a hash of option and trade_seq), and
a few options may have the vices of `tests.exchange.option_market.vices`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tests.exchange import noise
from tests.exchange.option_market import vices
from tests.exchange.option_market.calendar import Expiry
from tests.exchange.option_market.families import BY_NAME, families_of
from tests.exchange.option_market.frames import names_of
from tests.exchange.option_market.held import Held
from tests.exchange.option_market.sessions import Session
from tests.exchange.option_market.tape import OptionTape, days_between
from tests.exchange.option_market.underlying import DAY_MS
from tests.exchange.path import EPOCH_MS
from tests.exchange.trades import Flags, Ints

if TYPE_CHECKING:
    from tests.exchange.option_market.rows import JsonRows

_HELD_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class JsonDay:
    """Trades of a day in order of time: their JSON, and int64 arrays of shape (n,)."""

    ms: Ints
    number: Ints
    seq: Ints
    rows: "JsonRows"

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        return 64 + len(self.rows.body) + 32 * len(self.ms)


class Sent:
    """Every trade as it is sent; the last days are held."""

    def __init__(
        self, tape: OptionTape, *, lose: int = 0, names: frozenset[str] = frozenset()
    ) -> None:
        self.tape, self._lose, self._vices = tape, lose, names
        self.day = Held(_HELD_BYTES, self._day, lambda made: made.size)

    def _day(self, currency: str, day: int) -> JsonDay:
        made = self._encoded(currency, day, None)
        if not self._vices:
            return made
        return vices.changed(made, self._vices, self._late(self._ending(currency, day)))

    def option_day(self, name: str, day: int) -> JsonDay:
        """Return the trades that one option makes on an exchange day."""
        currency = BY_NAME[name.partition("-")[0]].settlement_currency
        made = self._encoded(currency, day, self.tape.positions(name, currency, day))
        if not self._vices:
            return made
        is_after = day == self._expiry(name).end_day
        return vices.changed(made, self._vices, self._late([name] if is_after else []))

    def days_of_option(self, name: str, seq: tuple[int, int]) -> list[int]:
        """Return the exchange days on which an option may have trades in a range of trade_seq."""
        if not self._vices:
            return self.tape.days_of_option(name, seq)
        days = self.tape.days_of_option(name)
        return [*days, self._expiry(name).end_day] if days else []

    def lost(self, currency: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return `instrument_name` and `trade_seq` of a window's trades that are never sent."""
        parts = [pl.DataFrame(schema={"instrument_name": pl.String, "trade_seq": pl.Int64})]
        for day in days_between(start_ms, end_ms):
            session = self.tape.session(currency, day)
            is_in = (session.ms >= start_ms) & (session.ms < end_ms)
            rows = np.flatnonzero(self._is_lost(session, np.arange(len(session.who))) & is_in)
            names = pl.Series(names_of(session), dtype=pl.String).gather(session.who[rows])
            parts.append(pl.DataFrame({"instrument_name": names, "trade_seq": session.seq[rows]}))
        return pl.concat(parts)

    def _encoded(self, currency: str, day: int, at: Ints | None) -> JsonDay:
        """Return the trades of a day, or those at some positions of its session."""
        from tests.exchange.option_market.rows import encode  # noqa: PLC0415 - it loads a compiler

        session, trades = self.tape.session(currency, day), self.tape.trades(currency, day, at)
        order = session.order if at is None else np.arange(len(at))
        order = order[~self._is_lost(session, trades.at)[order]]
        made = encode(session, trades, order)
        return JsonDay(trades.ms[order], trades.number[order], trades.seq[order], made)

    def _is_lost(self, session: Session, at: Ints) -> Flags:
        if not self._lose:
            return np.zeros(len(at), dtype=bool)
        counter = (session.living.number[session.who[at]] << 32) + session.seq[at]
        channel = noise.key(self.tape.seed, "options", "lost")
        return noise.bits(channel, counter.view(np.uint64)) % np.uint64(self._lose) == 0

    def _ending(self, currency: str, day: int) -> list[str]:
        """Return the options that expire as a day begins."""
        chains = [self.tape.chain(family.name) for family in families_of(currency)]
        return [
            name
            for chain in chains
            for number, expiry in enumerate(chain.expiries)
            if expiry.expiration_ms == EPOCH_MS + day * DAY_MS
            for name in chain.names[chain.of_expiry(number)]
        ]

    def _late(self, names: list[str]) -> list[tuple[int, bytes]]:
        """Return the last trade of options that have one after it is over, and when that is."""
        found = []
        for name in names if vices.LATE in self._vices else []:
            days = self.days_of_option(name, (1, 1))[:-1] if vices.is_met(name, vices.LATE) else []
            if days:
                last = self.option_day(name, days[-1])
                ms = self._expiry(name).expiration_ms
                found += [(ms, row) for row in last.rows.between(len(last.ms) - 1, len(last.ms))]
        return found

    def _expiry(self, name: str) -> Expiry:
        chain = self.tape.chain(name.partition("-")[0])
        return chain.expiries[chain.expiry[chain.rows[name]]]
