"""What the options of a currency did in the last 24 hours, and their last prices of a week."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import polars as pl

from tests.exchange.option_market.tape import OptionTape
from tests.exchange.option_market.underlying import DAY_MS, MINUTE_MS
from tests.exchange.path import EPOCH_MS

_DAYS = 7


@dataclass(frozen=True, slots=True)
class OfOption:
    """Statistics of one option; None where it did not trade."""

    last: float | None = None
    first: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float = 0.0
    volume_usd: float = 0.0

    @property
    def price_change(self) -> float | None:
        """Per cent from the first to the last price."""
        if self.first is None or self.last is None:
            return None
        return round(100 * (self.last / self.first - 1), 4)

    def ticker(self, *, is_linear: bool) -> dict[str, Any]:
        """Return the member `stats` of a ticker: linear options have one member more."""
        notional = {"volume_notional": self.volume_usd} if is_linear else {}
        return {
            **notional,
            "high": self.high,
            "low": self.low,
            "price_change": self.price_change,
            "volume": self.volume,
            "volume_usd": self.volume_usd,
        }

    def summary(self, *, is_linear: bool) -> dict[str, Any]:
        """Return what a book summary has of it."""
        return {**self.ticker(is_linear=is_linear), "last": self.last}


_NOTHING = OfOption()


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics by name."""

    named: dict[str, OfOption] = field(default_factory=dict)

    def of(self, name: str) -> OfOption:
        """Return the statistics of an option, empty if it did not trade."""
        return self.named.get(name, _NOTHING)


def statistics_of(tape: OptionTape, currency: str, now_ms: int) -> Statistics:
    """Return the statistics of a currency up to the last full minute; the last few are held."""
    return _statistics(tape, currency, now_ms - now_ms % MINUTE_MS)


@lru_cache(maxsize=8)
def _statistics(tape: OptionTape, currency: str, now_ms: int) -> Statistics:
    day = (now_ms - EPOCH_MS) // DAY_MS
    since = pl.col("timestamp") >= now_ms - DAY_MS
    recent = pl.concat([_traded(tape, currency, day - 1), _traded(tape, currency, day)])
    found = (
        recent.filter(pl.col("timestamp") < now_ms)
        .group_by("instrument_name")
        .agg(
            last=pl.col("price").last(),
            first=pl.col("price").filter(since).first(),
            high=pl.col("price").filter(since).max(),
            low=pl.col("price").filter(since).min(),
            volume=pl.col("amount").filter(since).sum().round(4),
            volume_usd=pl.col("worth").filter(since).sum().round(2),
        )
    )
    named = {row.pop("instrument_name"): OfOption(**row) for row in found.to_dicts()}
    before = {
        name: OfOption(last=price)
        for name, ms, price in _last_before(tape, currency, day - 1).iter_rows()
        if ms >= now_ms - _DAYS * DAY_MS
    }
    return Statistics(before | named)


@lru_cache(maxsize=8)
def _last_before(tape: OptionTape, currency: str, day: int) -> pl.DataFrame:
    """Return the last trade of each option in the days before one."""
    days = [_traded(tape, currency, each) for each in range(day + 1 - _DAYS, day)]
    return (
        pl.concat(days)
        .group_by("instrument_name")
        .agg(pl.col("timestamp").last(), pl.col("price").last())
    )


@lru_cache(maxsize=30)
def _traded(tape: OptionTape, currency: str, day: int) -> pl.DataFrame:
    """Return what statistics need of the trades of an exchange day, by time."""
    start_ms = EPOCH_MS + day * DAY_MS
    worth = pl.col("price") * pl.col("amount")
    if currency != "USDC":
        worth = worth * pl.col("index_price")
    return tape.frame(currency, start_ms, start_ms + DAY_MS).select(
        "instrument_name", "timestamp", "price", "amount", worth=worth
    )
