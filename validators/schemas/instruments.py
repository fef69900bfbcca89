"""Records of instruments by interval of validity."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import Index, TableFacts, declared
from validators.units import CONTRACT, QUOTE, UNIX_MS, UTC, Moment


class Instruments(pa.DataFrameModel):
    """One row per instrument id and interval `[valid_from, valid_to)`; `record` is as sent.

    The database has the columns that tell an interval, and `record` with all others.
    """

    instrument_id: int = pa.Field(description="Deribit's instrument_id")
    instrument: str = pa.Field(description="Deribit's instrument_name in that interval")
    kind: str = pa.Field(description="future, option, spot, future_combo or option_combo")
    creation_timestamp: int = pa.Field(description="When it was listed", metadata=UNIX_MS)
    tick_size: float = pa.Field(description="Distance between neighbouring prices", metadata=QUOTE)
    base_currency: str = pa.Field(description="What is traded", nullable=True)
    quote_currency: str = pa.Field(description="What prices are in", nullable=True)
    counter_currency: str = pa.Field(
        description="What the base is valued in, as USD of BTC-PERPETUAL", nullable=True
    )
    settlement_currency: str = pa.Field(
        description="What is paid at settlement; null for spot", nullable=True
    )
    settlement_period: str = pa.Field(
        description="perpetual, day, week or month; null for spot", nullable=True
    )
    instrument_type: str = pa.Field(
        description="reversed or linear, by what is paid at settlement", nullable=True
    )
    price_index: str = pa.Field(description="Deribit's index_name, as btc_usd", nullable=True)
    expiration_timestamp: int = pa.Field(
        description="When it expires", metadata=UNIX_MS, nullable=True
    )
    contract_size: float = pa.Field(
        description="What one contract is", metadata=CONTRACT, nullable=True
    )
    min_trade_amount: float = pa.Field(
        description="Smallest amount of a trade", metadata=CONTRACT, nullable=True
    )
    strike: float = pa.Field(
        description="Strike; null for all but options",
        metadata={"unit": "counter currency"},
        nullable=True,
    )
    option_type: str = pa.Field(description="call or put", nullable=True)
    state: str = pa.Field(
        description="As Deribit says it: open, locked, archivized, ...", nullable=True
    )
    is_active: bool = pa.Field(description="Whether it can be traded", nullable=True)
    valid_from: Moment = pa.Field(description="From when the record held", metadata=UTC)
    valid_to: Moment = pa.Field(description="Until when, null for now", metadata=UTC, nullable=True)
    first_seen: Moment = pa.Field(description="When a list first had the record", metadata=UTC)
    last_seen: Moment = pa.Field(description="When a list last had it", metadata=UTC)
    lists: str = pa.Field(description="The lists that had it, separated by commas")
    record: str = pa.Field(description="The record as Deribit sent it", metadata={"sql": "jsonb"})

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("instrument_id", "valid_from"),
            table=TableFacts(
                name="instruments",
                about="Instruments as they were, by interval of validity [valid_from, valid_to)",
                key=("instrument_id", "valid_from"),
                columns=(
                    "instrument_id", "valid_from", "valid_to", "instrument", "kind", "record",
                ),
                indexes=(Index("instruments_by_name", ("instrument", "valid_from")),),
            ),
        )  # fmt: skip

    @pa.dataframe_check(error="seen_in_order")
    @classmethod
    def is_seen_in_order(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing is last seen before it is first seen."""
        return data.lazyframe.select(pl.col("first_seen") <= pl.col("last_seen"))
