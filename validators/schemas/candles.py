"""Candles of perpetuals, dated futures and options, in every resolution."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from validators import resolutions
from validators.table import TableFacts, declared
from validators.units import COIN, COUNT, PREMIUM, QUOTE, UTC, VOLATILITY, Moment


class Bars(pa.DataFrameModel):
    """One row per instrument and open time: what every series of bars promises."""

    timestamp: Moment = pa.Field(description="Open time", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    open: float = pa.Field(description="First price", metadata=QUOTE)
    high: float = pa.Field(description="Highest price", metadata=QUOTE)
    low: float = pa.Field(description="Lowest price", metadata=QUOTE)
    close: float = pa.Field(description="Last price", metadata=QUOTE)

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

    @pa.check("open", "high", "low", "close", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("open", "high", "low", "close", error="positive")
    @classmethod
    def is_positive(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices are above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.dataframe_check(error="low_is_lowest")
    @classmethod
    def is_low_lowest(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing in a candle is below its low."""
        low = pl.col("low")
        return data.lazyframe.select((low <= pl.col("open")) & (low <= pl.col("close")))

    @pa.dataframe_check(error="high_is_highest")
    @classmethod
    def is_high_highest(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing in a candle is above its high."""
        high = pl.col("high")
        return data.lazyframe.select((high >= pl.col("open")) & (high >= pl.col("close")))


class Candles(Bars):
    """Bars with amounts; `candles_model` adds the grid of a resolution."""

    volume: float = pa.Field(description="Volume; 0 marks a filler", metadata=COIN)
    cost: float = pa.Field(description="Turnover", metadata=QUOTE)

    @pa.check("volume", "cost", error="finite")
    @classmethod
    def is_amount_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity and no NaN either."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("volume", "cost", error="not_negative")
    @classmethod
    def is_not_negative(cls, data: PolarsData) -> pl.LazyFrame:
        """Amounts are zero in a filler, above zero otherwise."""
        return data.lazyframe.select(pl.col(data.key) >= 0)


class MinuteCandles(Candles):
    """Candles of one minute, which have a table for every kind of instrument."""

    timestamp: Moment = pa.Field(description="Open time of the minute", metadata=UTC)


_DAYS: Mapping[str, Any] = {
    "row_group": 7_200,  # five days, of all columns less than two hundredths of a year's file
    "by_day": "timestamp",
    "statistics": ("timestamp", "instrument"),
}
"""How candles in order of time are written, so that a few days are read without the rest."""


class PerpetualsOhlcv(MinuteCandles):
    """One row per perpetual and minute.

    Fillers are the exchange's own rows for minutes without a trade, with the price of the last one.
    They are kept because they prove coverage; drop them with `volume > 0`.

    `perpetuals_ohlcv_3` … `_720` and `perpetuals_ohlcv_1D` are the exchange's own candles of its
    other resolutions, with the same columns. The daily ones open at 08:00 UTC.
    """

    class Config:
        """The table."""

        metadata = declared(
            layout=_DAYS,
            table=TableFacts(
                name="perpetuals_ohlcv",
                about="One-minute candles of perpetuals",
                schema="public",
                chunk="90 days",
            ),
        )


class FuturesOhlcv(MinuteCandles):
    """One row per dated future and minute of its life.

    Fillers and the other resolutions, `futures_ohlcv_3` … `_1D`, are as those of perpetuals.
    """

    class Config:
        """The table."""

        metadata = declared(
            layout=_DAYS,
            table=TableFacts(
                name="futures_ohlcv",
                about="One-minute candles of dated futures",
                schema="public",
                chunk="90 days",
            ),
        )


_IN_TICKS = (
    "open", "high", "low", "close", "volume", "trades", "iv", "block_trades", "block_volume",
)  # fmt: skip
"""Columns of few values, a fifth as large and written in half the time by dictionary."""


class OptionsOhlcv(MinuteCandles):
    """One row per option and minute with a trade; prices are in what the option is quoted in.

    Trades of blocks, block RFQs and combos are counted apart: their price is agreed or allotted.
    `compute options_ohlcv --blocks` takes them in; a minute with no other trade has no row else.
    The candles of a month and settlement currency stand in one file, sorted by instrument. Sums are
    made trade after trade, the same bits in every run. The table has the columns up to `cost`.
    """

    open: float = pa.Field(
        description="First premium", metadata={"unit": "price unit of the option: coin or USDC"}
    )
    high: float = pa.Field(description="Highest premium", metadata=PREMIUM)
    low: float = pa.Field(description="Lowest premium", metadata=PREMIUM)
    close: float = pa.Field(description="Last premium", metadata=PREMIUM)
    cost: float = pa.Field(description="Turnover", metadata=PREMIUM)
    trades: int = pa.Field(ge=1, description="Trades it is made of", metadata=COUNT)
    vwap: float = pa.Field(description="Average premium, cost / volume", metadata=PREMIUM)
    iv: float = pa.Field(
        nullable=True, description="Implied volatility of the last trade", metadata=VOLATILITY
    )
    mark_price: float = pa.Field(
        nullable=True, description="Mark price at the last trade", metadata=PREMIUM
    )
    index_price: float = pa.Field(
        nullable=True, description="Index at the last trade", metadata=QUOTE
    )
    block_trades: int = pa.Field(
        ge=0, description="Trades of blocks, block RFQs and combos in the minute", metadata=COUNT
    )
    block_volume: float = pa.Field(ge=0, description="What these traded", metadata=COIN)

    class Config:
        """The table."""

        metadata = declared(
            key=("instrument", "timestamp"),
            layout={
                "row_group": 16_384,  # one option's day is 3 % of its month, and not a quarter
                "level": -5,  # a tenth larger than at 1, written in four fifths of the time
                "encodings": dict.fromkeys(_IN_TICKS, "DICTIONARY")
                | {"instrument": "PLAIN"},
                "statistics": ("timestamp", "instrument"),
            },
            table=TableFacts(
                name="options_ohlcv",
                about="One-minute candles of options",
                schema="public",
                chunk="90 days",
                segment="",  # by instrument, 108 bytes a row for 62: few rows an option
                subject="split_part(split_part(held.instrument, '-', 1), '_', -1)",  # as settled
                columns=(
                    "timestamp", "instrument", "open", "high", "low", "close", "volume", "cost",
                ),
            ),
        )  # fmt: skip


class OptionsChart(MinuteCandles):
    """One row per option and minute of its life, as the exchange's chart has it.

    With fillers, for minutes without a trade. Whether its prices are of trades or marks, the
    exchange does not say: candles that are made of trades are in `options_ohlcv`.
    """

    open: float = pa.Field(description="First premium", metadata=PREMIUM)
    high: float = pa.Field(description="Highest premium", metadata=PREMIUM)
    low: float = pa.Field(description="Lowest premium", metadata=PREMIUM)
    close: float = pa.Field(description="Last premium", metadata=PREMIUM)
    cost: float = pa.Field(description="Turnover", metadata=PREMIUM)


class ResampledCandles(Candles):
    """Candles of minutes put together; `minutes` counts them, and is short where some are missing.

    Sums are those of the lake's views: the same bits in every run.
    """

    minutes: int = pa.Field(description="Minutes the candle is made of", metadata={"unit": "count"})


class PerpetualsHours(ResampledCandles):
    """One row per perpetual and hour."""

    class Config:
        """The table."""

        metadata = declared(
            table=TableFacts(
                name="perpetuals_1h",
                about="Hourly candles of perpetuals; public.perpetuals_1h shows them",
                chunk="365 days",
                made_from="perpetuals_ohlcv",
            )
        )


class PerpetualsDays(ResampledCandles):
    """One row per perpetual and day, from 00:00 UTC."""

    class Config:
        """The table."""

        metadata = declared(
            table=TableFacts(
                name="perpetuals_1d",
                about="Daily candles of perpetuals from 00:00 UTC; public.perpetuals_1d shows them",
                made_from="perpetuals_ohlcv",
            )
        )


@cache
def candles_model(resolution: str, candles: type[Candles] = Candles) -> type[Candles]:
    """Return the contract of candles of one resolution: `candles` on that resolution's grid.

    Parameters
    ----------
    resolution : str
        Deribit's name of it.
    candles : type of Candles
        What else they promise; one that has a table, as `PerpetualsOhlcv`, is of minutes.

    Raises
    ------
    KeyError
        Deribit has no such resolution.
    """
    expected = resolutions.is_on_grid(resolution)

    class CandlesOnGrid(candles):  # type: ignore[misc, valid-type]  # mypy knows no such bases
        @pa.check("timestamp", error="on_grid")
        @classmethod
        def is_on_grid(cls, data: PolarsData) -> pl.LazyFrame:
            """Candles open where the resolution says."""
            return data.lazyframe.select(expected)

    CandlesOnGrid.__name__ = f"{candles.__name__}_{resolution}"
    CandlesOnGrid.__doc__ = candles.__doc__
    return CandlesOnGrid
