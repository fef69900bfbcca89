"""The volatility of a variance swap of thirty days, beside the exchange's index of the same.

Options of listed strikes are priced off each surface; out of the money and weighted by one over
the strike squared they pay the variance until expiry. Deribit's own filters are not public: the
difference is told, not explained.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from etl.compute.vol_grid import COLUMNS as SMILES
from etl.compute.vol_grid import KEY, svi_of
from etl.compute.vol_slices import NAME as SLICES
from etl.compute.vol_slices import TICKERS
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import settlement_of_family, settles_in, with_name_parts
from etl.instruments.record import Listing
from lake.partition import Partition
from lake.span import Span, period_of
from validators.schemas.variance_swap import VarianceSwap

NAME, VOLS = "variance_swap", "option_iv"
INDICES = {"volatility_index": 60_000, "volatility_index_3600": 3_600_000}
"""Bars of the exchange's index, the finest first, and how long each is [ms]."""
OLDEST = "2h"
"""How old a value of it may be."""
WORDS = ("ok", "no_surface", "no_shorter_expiry", "no_longer_expiry")
"""What `quant.variance_swap.MATURITY_STATUSES` are called here."""


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield a month for every month of smiles."""
    del listing, options
    for one in sorted(held):
        if one.dataset == SLICES and held[one].rows:
            near = Span(one.span.start_ms - 86_400_000, one.span.end_ms)
            earlier = Partition(VOLS, one.part, period_of(one.span.start_ms - 1, "month"))
            inputs = [
                other
                for other, record in held.items()
                if record.rows
                and one.part in {other.part, settles_in(other.part)}
                and (
                    other.span.meets(near)
                    if other.dataset in INDICES
                    else one.span.holds(other.span) or other == earlier
                )
            ]
            mine = Partition(NAME, one.part, one.period)
            yield Task(mine, tuple(sorted({one, *inputs})), group=f"{one.part} {one.period}")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the swaps of each month."""
    del held
    for task in todo:
        named: dict[str, list[Partition]] = {}
        for one in task.inputs:
            named.setdefault(one.dataset, []).append(one)
        slices = pl.concat([pl.DataFrame(read(one, SMILES)) for one in named[SLICES]])
        strikes = pl.concat(
            [
                pl.DataFrame(schema=_STRIKES),
                *(_traded(read, one) for one in named.get(VOLS, [])),
                *(_quoted(read, one) for one in named.get(TICKERS, [])),
            ]
        )
        start = task.partition.span.start_ms - 86_400_000
        index = [
            pl.DataFrame(read(one, ("timestamp", "close"), start)).select(
                pl.col("timestamp") + pl.duration(milliseconds=length), "close", rank=pl.lit(rank)
            )
            for rank, (name, length) in enumerate(INDICES.items())
            for one in named.get(name, [])
        ]
        yield task, Made(swaps_of(slices, strikes, index))


def swaps_of(
    slices: pl.DataFrame, strikes: pl.DataFrame, index: Sequence[pl.DataFrame] = ()
) -> pl.DataFrame:
    """Return the swaps of surfaces: the columns of `VarianceSwap`, sorted by its key.

    Parameters
    ----------
    slices
        The columns of `etl.compute.vol_grid.COLUMNS`, sorted by the key of `VolSlices`.
    strikes
        `underlying`, `expiry`, `strike` of options that are listed, and `since` when.
    index
        The exchange's own: `timestamp` at which a bar was over, `close`, and the `rank` of it.
    """
    from quant.kernels.black76 import price  # noqa: PLC0415  (numba takes half a second)
    from quant.variance_swap import at_maturity, variance_swaps  # noqa: PLC0415

    surfaces = slices.select(KEY).unique(maintain_order=True)
    if slices.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    svi, tenor = svi_of(slices), slices["tenor"].to_numpy()
    group = slices.select(pl.struct(KEY).rle_id().cast(pl.Int64)).to_series().to_numpy()
    options = _listed(slices, strikes)
    row, x = options["row"].to_numpy(), options["x"].to_numpy()
    a, b, rho, m, sigma = svi[row].T
    away = np.log(x) - m
    iv = np.sqrt((a + b * (rho * away + np.hypot(away, sigma))) / tenor[row])
    is_call = x >= 1.0
    known = np.isfinite(iv) & (iv > 0)
    row, x, iv, is_call = row[known], x[known], iv[known], is_call[known]
    value = price(np.ones(len(x)), x, tenor[row], iv, is_call)
    swaps = variance_swaps(row, x, value, is_call, tenor)
    found = at_maturity(group, tenor, swaps.total_variance)
    whole = at_maturity(group, tenor, swaps.total_variance + swaps.truncation)
    status = np.array(WORDS, object)[found.status]
    is_smile = np.isfinite(svi[:, 0])
    is_between = at_maturity(group, tenor, np.where(is_smile, tenor, np.nan)).status == 0
    is_thin = (status == "no_surface") & _is_any(is_smile, group, len(surfaces))
    status[is_thin | (is_between & (status != "ok"))] = "few_strikes"
    sides = {"near": found.shorter, "next": found.longer}
    columns: dict[str, Any] = {"volatility": found.iv, "wings": whole.iv - found.iv}
    for side, rows in sides.items():
        at = np.maximum(rows, 0)
        columns[f"{side}_volatility"] = np.where(rows >= 0, swaps.iv[at], np.nan)
        columns[f"{side}_strikes"] = np.where(rows >= 0, swaps.strikes[at], np.nan)
    made = surfaces.with_columns(
        **{name: pl.Series(values) for name, values in columns.items()},
        status=pl.Series(status, dtype=pl.String),
        **{
            f"{side}_expiry": slices["expiry"]
            .gather(np.maximum(rows, 0))
            .set(pl.Series(rows < 0), None)
            for side, rows in sides.items()
        },
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    return _beside(made, index).select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items())


def _listed(slices: pl.DataFrame, strikes: pl.DataFrame) -> pl.DataFrame:
    """Return the strikes listed at each smile: its row, and strike over forward, ascending."""
    first = strikes.group_by("underlying", "expiry", "strike").agg(pl.col("since").min())
    return (
        slices.select("timestamp", "underlying", "expiry", "forward")
        .with_row_index("row")
        .filter(pl.col("forward") > 0)
        .join(first, on=["underlying", "expiry"])
        .filter(pl.col("since") <= pl.col("timestamp"))
        .select(pl.col("row").cast(pl.Int64), x=pl.col("strike") / pl.col("forward"))
        .sort("row", "x")
    )


def _beside(made: pl.DataFrame, index: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Add the exchange's own index, of coin options alone, and the difference."""
    told = pl.DataFrame(schema={"timestamp": made.schema["timestamp"], "close": pl.Float64()})
    if index:
        told = (
            pl.concat(index)
            .sort("timestamp", "rank")
            .unique("timestamp", keep="first", maintain_order=True)
            .select("timestamp", "close")
        )
    is_coin = ~pl.col("underlying").str.contains("_", literal=True)
    beside = made.sort("timestamp", "underlying", "source").join_asof(
        told, on="timestamp", strategy="backward", tolerance=OLDEST
    )
    return beside.with_columns(dvol=pl.when(is_coin).then("close")).with_columns(
        difference=pl.col("volatility") - pl.col("dvol")
    )


def _is_any(flags: Any, group: Any, groups: int) -> Any:
    """Return whether any row of a group is flagged."""
    return np.bincount(group, flags, groups) > 0


def _traded(read: Read, one: Partition) -> pl.DataFrame:
    """Return the options that traded, since when."""
    rows = pl.DataFrame(read(one, ("timestamp", "instrument"), coded=("instrument",)))
    first = rows.group_by("instrument").agg(pl.col("timestamp").min())
    named = with_name_parts(first.with_columns(pl.col("instrument").cast(pl.String)))
    family = pl.col("instrument").str.split_exact("-", 0).struct[0]
    return named.select(family.alias("underlying"), "expiry", "strike", since="timestamp")


def _quoted(read: Read, one: Partition) -> pl.DataFrame:
    """Return the options of snapshots, since when."""
    rows = pl.DataFrame(read(one, ("timestamp", "underlying", "expiry", "strike")))
    key = ("underlying", "expiry", "strike")  # of the day: there may be a snapshot a minute
    return rows.group_by(key, maintain_order=True).agg(since=pl.col("timestamp").min())


_STRIKES = {
    "underlying": pl.String(),
    "expiry": pl.Datetime("us", "UTC"),
    "strike": pl.Float64(),
    "since": pl.Datetime("us", "UTC"),
}
_SCHEMA: dict[str, Any] = {
    name: column.dtype.type for name, column in VarianceSwap.to_schema().columns.items()
}

VARIANCE_SWAP = Computed(
    name=NAME,
    aliases=("dvol",),
    model=VarianceSwap,
    inputs=(SLICES, VOLS, TICKERS, *INDICES),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=settlement_of_family,
)
