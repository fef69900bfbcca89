"""Contract of the dataset `instruments`: records of instruments by interval of validity."""

from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

Moment = Annotated[pl.Datetime, "us", "UTC"]


class Instruments(pa.DataFrameModel):
    """One row per instrument id and interval ``[valid_from, valid_to)``; `record` is as sent."""

    instrument_id: int
    instrument: str
    kind: str
    creation_timestamp: int = pa.Field(metadata={"unit": "Unix ms"})
    tick_size: float
    base_currency: str = pa.Field(nullable=True)
    quote_currency: str = pa.Field(nullable=True)
    counter_currency: str = pa.Field(nullable=True)
    settlement_currency: str = pa.Field(nullable=True)
    settlement_period: str = pa.Field(nullable=True)
    instrument_type: str = pa.Field(nullable=True)
    price_index: str = pa.Field(nullable=True)
    expiration_timestamp: int = pa.Field(nullable=True, metadata={"unit": "Unix ms"})
    contract_size: float = pa.Field(nullable=True)
    min_trade_amount: float = pa.Field(nullable=True)
    strike: float = pa.Field(nullable=True)
    option_type: str = pa.Field(nullable=True)
    state: str = pa.Field(nullable=True)
    is_active: bool = pa.Field(nullable=True)
    valid_from: Moment
    valid_to: Moment = pa.Field(nullable=True)
    first_seen: Moment
    last_seen: Moment
    lists: str
    record: str

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

    @pa.dataframe_check(error="seen_in_order")
    @classmethod
    def is_seen_in_order(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing is last seen before it is first seen."""
        return data.lazyframe.select(pl.col("first_seen") <= pl.col("last_seen"))
