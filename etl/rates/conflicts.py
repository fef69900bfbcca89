"""Where the Treasury and FRED differ: read back from what is published and what is set aside."""

import math
from collections.abc import Iterable, Iterator

import msgspec
import polars as pl

from etl.rates.curves import CONFLICT
from lake.partition import Partition
from lake.paths import Lake
from lake.read import read_table
from validators.schemas.treasury_bills import TENORS


class Conflict(msgspec.Struct, frozen=True):
    """Two yields for one day and tenor, in percent as printed; the Treasury's is published."""

    day: str
    tenor: str
    treasury_pct: float
    fred_pct: float


def conflicts_of(lake: Lake, partitions: Iterable[Partition]) -> list[Conflict]:
    """Return the conflicts of some years, by day and tenor.

    Raises
    ------
    CorruptFileError
        If a published file cannot be read.
    """
    return [one for partition in sorted(partitions) for one in _of(lake, partition)]


def _of(lake: Lake, partition: Partition) -> Iterator[Conflict]:
    paths = lake.quarantine(partition), lake.clean(partition)
    if not all(path.is_file() for path in paths):
        return
    aside, clean = (pl.DataFrame(read_table(path)) for path in paths)
    odd = aside.filter(pl.col("failed_check").str.contains(f":{CONFLICT}"))
    both = odd.join(clean, on="timestamp", suffix="_treasury").unique(
        ["timestamp", "failed_check"], keep="last", maintain_order=True
    )
    for row in both.sort("timestamp").iter_rows(named=True):
        for tenor in TENORS:
            if f"{tenor}:{CONFLICT}" in row["failed_check"].split(","):
                ours, theirs = row[f"{tenor}_treasury"], row[tenor]
                day = row["timestamp"].date().isoformat()
                yield Conflict(day, tenor, _percent(ours), _percent(theirs))


def _percent(rate: float) -> float:
    """Return the bond-equivalent yield of a continuous rate, as it was printed [%]."""
    return round(200.0 * math.expm1(rate / 2.0), 6)
