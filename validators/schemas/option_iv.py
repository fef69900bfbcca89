"""Implied volatility of every option trade, with the interval its price leaves."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.schemas.forward_curve import SOURCES
from validators.table import TableFacts, declared
from validators.units import FRACTION, PREMIUM, QUOTE, UTC, VOLATILITY, Moment

SECONDS = {"unit": "s"}
STATUSES = (
    "ok",
    "below_intrinsic",
    "above_maximum",
    "zero_time_value",
    "expired",
    "bad_input",
    "no_index",
    "no_forward",
    "stale_forward",
)
"""Why a trade has no volatility, where it has none."""

_FEW = ("price", "exchange_iv", "forward_source", "status")


class OptionIv(pa.DataFrameModel):
    """One row per option trade, by the number of the trade; `iv` is null where `status` says why.

    The forward is the trade's own index times what the expiry's forward stood above the index
    before the trade's minute: the trade's own volatility has not entered it.
    """

    timestamp: Moment = pa.Field(description="Moment of the trade", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    trade_seq: int = pa.Field(
        ge=1, description="Number of the trade within its instrument", metadata={"unit": "count"}
    )
    price: float = pa.Field(description="Premium as traded", metadata=PREMIUM)
    index_price: float = pa.Field(description="Index at the trade", metadata=QUOTE, nullable=True)
    forward: float = pa.Field(
        description="Forward of the expiry at the trade", metadata=QUOTE, nullable=True
    )
    forward_error: float = pa.Field(
        description="Two standard errors of ln(forward), in steps of 1e-7",
        metadata=FRACTION,
        nullable=True,
    )
    forward_age: float = pa.Field(
        description="Age of what the forward is known from, whole", metadata=SECONDS, nullable=True
    )
    forward_source: str = pa.Field(isin=SOURCES, description="What the forward is known from")
    iv: float = pa.Field(
        description="Implied volatility, 0.65 for 65 %", metadata=VOLATILITY, nullable=True
    )
    iv_low: float = pa.Field(
        description="The same at half a price step less; 0 where that has no time value",
        metadata=VOLATILITY,
        nullable=True,
    )
    iv_high: float = pa.Field(
        description="The same at half a step more; null where that is above the maximum",
        metadata=VOLATILITY,
        nullable=True,
    )
    status: str = pa.Field(isin=STATUSES, description="ok, or the reason why iv is null")
    exchange_iv: float = pa.Field(
        description="What the exchange implied", metadata=VOLATILITY, nullable=True
    )
    iv_difference: float = pa.Field(
        description="iv less exchange_iv", metadata=VOLATILITY, nullable=True
    )
    is_block: bool = pa.Field(description="Whether it is part of a block")
    is_rfq: bool = pa.Field(description="Whether it is part of a block RFQ")
    is_combo: bool = pa.Field(description="Whether it is a leg of a combo")
    is_liquidation: bool = pa.Field(description="Whether somebody was liquidated")
    is_near_expiry: bool = pa.Field(description="Whether less than four hours were left")

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("instrument", "timestamp", "trade_seq"),
            layout={
                "row_group": 16_384,
                "level": -5,
                "encodings": dict.fromkeys(_FEW, "DICTIONARY") | {"index_price": "PLAIN"},
                "statistics": ("timestamp", "instrument", "trade_seq"),
            },
            table=TableFacts(
                name="option_iv",
                about=(
                    "Implied volatility of every option trade, with the interval its price leaves; "
                    "null where `status` says why"
                ),
                key=("instrument", "timestamp", "trade_seq"),
                chunk="30 days",
                segment="",  # few rows an option
                subject="split_part(split_part(held.instrument, '-', 1), '_', -1)",  # as settled
            ),
        )

    @pa.check(
        "price", "index_price", "forward", "forward_error", "forward_age", "iv", "iv_low",
        "iv_high", "exchange_iv", "iv_difference", error="finite",
    )  # fmt: skip
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="reason_or_iv")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a volatility, or a reason why not."""
        return data.lazyframe.select((pl.col("status") == "ok") == pl.col("iv").is_not_null())

    @pa.dataframe_check(error="interval")
    @classmethod
    def is_inside(cls, data: PolarsData) -> pl.LazyFrame:
        """No volatility lies beside its interval."""
        iv, low, high = pl.col("iv"), pl.col("iv_low"), pl.col("iv_high")
        return data.lazyframe.select((low <= iv) & (high.is_null() | (iv <= high)))
