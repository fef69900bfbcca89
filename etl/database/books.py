"""The books the database keeps of itself: which migrations it has, and what was loaded."""

import pandera.polars as pa
import polars as pl

from validators.table import TableFacts, declared
from validators.units import Moment

_NOW = {"default": "now()"}


class SchemaVersion(pa.DataFrameModel):
    """One row per migration that was applied."""

    version: pl.Int32 = pa.Field(description="Number of the migration")
    name: str = pa.Field(description="File name of the migration")
    applied_at: Moment = pa.Field(description="When it was applied", metadata=_NOW)

    class Config:
        """The table."""

        metadata = declared(
            key=("version",),
            table=TableFacts(
                name="schema_version", about="Migrations applied, forward only", key=("version",)
            ),
        )


class LoadLedger(pa.DataFrameModel):
    """One row per dataset, subject and month that was loaded."""

    dataset: str = pa.Field(description="Name of the dataset, or of the bars made from it")
    instrument: str = pa.Field(
        description="What the key of the table begins with: an instrument, index or underlying"
    )
    month: pl.Date = pa.Field(description="First day of the month", metadata={"unit": "UTC"})
    rows: int = pa.Field(description="Rows of that month")
    checksum: str = pa.Field(description="Checksum of their content, whatever their order")
    source: str = pa.Field(description="Checksum of the lake's year they were loaded from")
    loaded_at: Moment = pa.Field(description="When they were loaded", metadata=_NOW)

    class Config:
        """The table."""

        metadata = declared(
            key=("dataset", "instrument", "month"),
            table=TableFacts(
                name="load_ledger",
                about="What was loaded; written in the transaction that loads it",
                key=("dataset", "instrument", "month"),
            ),
        )
