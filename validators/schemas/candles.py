"""Candles of perpetuals, dated futures and options, in every resolution."""

from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from validators import resolutions
from validators.table import TableFacts, declared
from validators.units import COIN, PREMIUM, QUOTE, UTC, Moment


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
            table=TableFacts(
                name="perpetuals_ohlcv",
                about="One-minute candles of perpetuals",
                schema="public",
                chunk="90 days",
            )
        )


class FuturesOhlcv(MinuteCandles):
    """One row per dated future and minute of its life.

    Fillers and the other resolutions, `futures_ohlcv_3` … `_1D`, are as those of perpetuals.
    """

    class Config:
        """The table."""

        metadata = declared(
            table=TableFacts(
                name="futures_ohlcv",
                about="One-minute candles of dated futures",
                schema="public",
                chunk="90 days",
            )
        )


class OptionsOhlcv(MinuteCandles):
    """One row per option and minute; prices are in what the option is quoted in."""

    open: float = pa.Field(
        description="First premium", metadata={"unit": "price unit of the option: coin or USDC"}
    )
    high: float = pa.Field(description="Highest premium", metadata=PREMIUM)
    low: float = pa.Field(description="Lowest premium", metadata=PREMIUM)
    close: float = pa.Field(description="Last premium", metadata=PREMIUM)
    cost: float = pa.Field(description="Turnover", metadata=PREMIUM)

    class Config:
        """The table."""

        metadata = declared(
            table=TableFacts(
                name="options_ohlcv",
                about="One-minute candles of options",
                schema="public",
                chunk="90 days",
                segment="",  # by instrument, 108 bytes a row for 62: few rows an option
            )
        )


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
