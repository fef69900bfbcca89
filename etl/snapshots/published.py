"""What is published of a day of `option_tickers`, read a stretch at a time."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.proof.protocol import Ticks
from lake.errors import CorruptFileError
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum_of, scan_files
from lake.span import Span
from lake.store.place import Place


@dataclass(frozen=True, slots=True)
class Published:
    """The rows a partition has, and those set aside."""

    lake: Lake
    partition: Partition

    def is_as_told(self, held: Record) -> bool:
        """Whether the rows are those the ledger says.

        Raises
        ------
        CorruptFileError
            If their file cannot be read.
        """
        path = self.lake.clean(self.partition)
        found = checksum_of(path) if path.is_file() else None
        return found == held.checksum

    def rows(self, within: Span, none: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a stretch of time, with the columns of `none`."""
        return _slice(self.lake.clean(self.partition), within, none)

    def aside(self, within: Span, none: pl.DataFrame) -> pl.DataFrame:
        """Return what is set aside of a stretch of time, with the columns of `none`."""
        return _slice(self.lake.quarantine(self.partition), within, none)

    def instants(self) -> Ticks:
        """Return the instants there are rows of, kept or set aside [ms], sorted."""
        paths = (self.lake.clean(self.partition), self.lake.quarantine(self.partition))
        found = [
            _collect(path, scan_files([path]).select(pl.col("timestamp").unique()))["timestamp"]
            for path in paths
            if path.is_file()
        ]
        ticks: Ticks = np.unique(
            np.concatenate([np.empty(0, np.int64), *(one.dt.epoch("ms") for one in found)])
        )
        return ticks


def _slice(path: Place, within: Span, none: pl.DataFrame) -> pl.DataFrame:
    if not path.is_file():
        return none.clear()
    first, end = (
        pl.lit(ms * 1000).cast(pl.Datetime("us", "UTC")) for ms in (within.start_ms, within.end_ms)
    )
    inside = pl.col("timestamp").is_between(first, end, closed="left")
    return _collect(path, scan_files([path]).filter(inside).select(none.columns))


def _collect(path: Place, rows: pl.LazyFrame) -> pl.DataFrame:
    try:
        return rows.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptFileError(path, error) from error
