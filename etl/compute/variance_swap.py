"""The volatility of a variance swap of thirty days, beside the exchange's index of the same.

Options of listed strikes are priced off each surface; out of the money and weighted by one over
the strike squared they pay the variance until expiry. Deribit's own filters are not public: the
difference is told, not explained.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from etl.compute.option_terms import Bools, Floats, Ints
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

if TYPE_CHECKING:
    from quant.variance_swap import ConstantMaturity, VarianceSwaps

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
    from quant.variance_swap import at_maturity  # noqa: PLC0415  (numba takes half a second)

    if slices.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    surfaces = slices.select(KEY).unique(maintain_order=True)
    svi, tenor = svi_of(slices), slices["tenor"].to_numpy()
    group = slices.select(pl.struct(KEY).rle_id().cast(pl.Int64)).to_series().to_numpy()
    swaps = _replicated(svi, tenor, _listed(slices, strikes))
    found = at_maturity(group, tenor, swaps.total_variance)
    whole = at_maturity(group, tenor, swaps.total_variance + swaps.truncation)
    made = surfaces.with_columns(
        volatility=pl.Series(found.iv),
        wings=pl.Series(whole.iv - found.iv),
        status=_statuses(found, np.isfinite(svi[:, 0]), tenor, group),
        **_side("near", found.shorter, swaps, slices["expiry"]),
        **_side("next", found.longer, swaps, slices["expiry"]),
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    return _beside(made, index).select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items())


def _replicated(svi: Floats, tenor: Floats, options: pl.DataFrame) -> "VarianceSwaps":
    """Return what options of listed strikes, priced off each smile, replicate."""
    from quant.kernels.black76 import price  # noqa: PLC0415  (numba takes half a second)
    from quant.svi import total_variance  # noqa: PLC0415
    from quant.variance_swap import variance_swaps  # noqa: PLC0415

    row, x = options["row"].to_numpy(), options["x"].to_numpy()
    iv = np.sqrt(total_variance(svi, row, np.log(x)) / tenor[row])
    known = np.isfinite(iv) & (iv > 0)
    row, x, iv = row[known], x[known], iv[known]
    value = price(np.ones(len(x)), x, tenor[row], iv, x >= 1.0)
    return variance_swaps(row, x, value, x >= 1.0, tenor)


def _statuses(found: "ConstantMaturity", is_smile: Bools, tenor: Floats, group: Ints) -> pl.Series:
    """Return why each surface has no swap: for want of strikes where smiles are on either side."""
    from quant.variance_swap import at_maturity  # noqa: PLC0415  (numba takes half a second)

    status = np.array(WORDS, object)[found.status]
    is_between = at_maturity(group, tenor, np.where(is_smile, tenor, np.nan)).status == 0
    has_smile = np.bincount(group, is_smile, len(status)) > 0
    is_thin = (status == "no_surface") & has_smile
    status[is_thin | (is_between & (status != "ok"))] = "few_strikes"
    return pl.Series(status, dtype=pl.String)


def _side(side: str, rows: Ints, swaps: "VarianceSwaps", expiry: pl.Series) -> dict[str, pl.Series]:
    """Return the columns of the expiry on one side of thirty days, null where there is none."""
    at, is_none = np.maximum(rows, 0), rows < 0
    return {
        f"{side}_expiry": expiry.gather(at).set(pl.Series(is_none), None),
        f"{side}_volatility": pl.Series(np.where(is_none, np.nan, swaps.iv[at])),
        f"{side}_strikes": pl.Series(np.where(is_none, np.nan, swaps.strikes[at])),
    }


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
