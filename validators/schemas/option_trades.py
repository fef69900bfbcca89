"""Trades of options, one row each, with all that the exchange says of it."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import declared
from validators.units import COIN, PREMIUM, QUOTE, UTC, VOLATILITY, Moment

_FEW = ("price", "amount", "contracts", "tick_direction", "iv", "block_trade_leg_count")
"""Columns with few values in a row group: ticks, lots, volatilities of two places."""
_NUMBERED = ("trade_id", "block_trade_id", "combo_trade_id")
_NUMBERS = ("price", "amount", "contracts", "iv", "mark_price", "index_price")


class OptionTrades(pa.DataFrameModel):
    """One row per trade, numbered within its option from 1.

    Trades of a block, of a combo or of a block RFQ say so: their price is agreed or allotted, and
    often off the market. Which members a trade has depends on when it was made; those it lacks are
    null. The trades of a month and settlement currency stand in one file, sorted by instrument.
    """

    timestamp: Moment = pa.Field(description="Moment of the trade", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    trade_seq: int = pa.Field(
        ge=1, description="Number of the trade within its instrument", metadata={"unit": "count"}
    )
    trade_id: str = pa.Field(description="Number of the trade within its currency, as text")
    price: float = pa.Field(description="Premium: coin of inverse options", metadata=PREMIUM)
    amount: float = pa.Field(description="Amount", metadata=COIN)
    contracts: float = pa.Field(
        nullable=True, description="The same in contracts", metadata={"unit": "count"}
    )
    direction: str = pa.Field(isin=("buy", "sell"), description="Of the taker: buy or sell")
    tick_direction: int = pa.Field(
        nullable=True,
        in_range={"min_value": 0, "max_value": 3},
        description="Against the trade before: 0 plus, 1 zero-plus, 2 minus, 3 zero-minus",
        metadata={"unit": "code"},
    )
    iv: float = pa.Field(
        nullable=True,
        description="Volatility the exchange implied, 0.65 for 65 %",
        metadata=VOLATILITY,
    )
    mark_price: float = pa.Field(
        nullable=True, description="Mark price of the option", metadata=PREMIUM
    )
    index_price: float = pa.Field(nullable=True, description="Index at the trade", metadata=QUOTE)
    liquidation: str = pa.Field(
        nullable=True, description="Who was liquidated: M maker, T taker, MT both"
    )
    block_trade_id: str = pa.Field(nullable=True, description="The block it was part of")
    block_trade_leg_count: int = pa.Field(
        nullable=True, description="Legs of that block", metadata={"unit": "count"}
    )
    block_rfq_id: str = pa.Field(nullable=True, description="The block RFQ it was part of")
    combo_id: str = pa.Field(nullable=True, description="The combo it was a leg of")
    combo_trade_id: str = pa.Field(nullable=True, description="The trade of that combo")
    starbase_match_id: int = pa.Field(
        nullable=True,
        description="Number in the matching engine, since 2026",
        metadata={"unit": "id"},
    )
    starbase_timestamp: int = pa.Field(
        nullable=True, description="Its clock", metadata={"unit": "ns since 1970"}
    )
    other: str = pa.Field(
        nullable=True, description="Members this version does not know, as a JSON object"
    )

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("instrument", "trade_seq"),
            order=("instrument", "timestamp", "trade_seq"),
            layout={
                "row_group": 16_384,
                "encodings": dict.fromkeys(_FEW, "DICTIONARY")
                | dict.fromkeys(("mark_price", "index_price"), "PLAIN")
                | dict.fromkeys(_NUMBERED, "DELTA_BYTE_ARRAY"),
                "statistics": ("timestamp", "instrument", "trade_seq"),
            },
        )

    @pa.check(*_NUMBERS, error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("price", "amount", "contracts", "index_price", error="positive")
    @classmethod
    def is_positive(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices and amounts are above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.check("iv", "mark_price", error="not_negative")
    @classmethod
    def is_not_negative(cls, data: PolarsData) -> pl.LazyFrame:
        """Worthless is zero: so is the mark of an option far out of the money."""
        return data.lazyframe.select(pl.col(data.key) >= 0)
