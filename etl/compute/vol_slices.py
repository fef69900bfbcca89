"""Volatility surfaces: an eSSVI smile for each expiry, of each hour's trades and each snapshot.

All expiries of a surface are fitted at once, so that nothing in it can be arbitraged; that is then
checked again, on the smiles that are published. A surface of trades is drawn toward that of the
hours before, the less the older it is; where an hour has no trade of an expiry, there is no smile.
A month begins with what the last day of the month before left.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from etl.compute.forward_curve import NAME as FORWARDS
from etl.compute.instants import of_hours
from etl.compute.option_iv import NAME as VOLS
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import settlement_of_family
from etl.instruments.record import Listing
from lake.partition import Partition
from lake.span import period_of
from validators.schemas.vol_slices import VolSlices

NAME, TICKERS = "vol_slices", "option_tickers"
LEFT_OUT = ("is_block", "is_rfq", "is_combo", "is_liquidation", "is_near_expiry")
"""Trades whose price is not one of the order book, or of too short a life."""
LOOK_BACK_MS = 24 * 3_600_000
"""How long before a month trades are taken in: its first surface is of the last hour before it."""
QUOTED = (
    "timestamp", "underlying", "expiry", "strike", "option_type", "bid_price", "ask_price",
    "mark_price", "mark_iv", "underlying_price",
)  # fmt: skip


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the months that have volatilities of trades, or snapshots."""
    del listing
    terms = (options["blocks"], options["every"])
    months: dict[tuple[str, str], list[Partition]] = {}
    for one in sorted(held):
        if held[one].rows and one.dataset in {VOLS, TICKERS}:
            month = period_of(one.span.start_ms, "month")
            months.setdefault((one.part, month), []).append(one)
    for (part, month), sources in sorted(months.items()):
        inputs = [one for one in sources if one.dataset == TICKERS]
        for vols in [one for one in sources if one.dataset == VOLS]:
            earlier = Partition(VOLS, part, period_of(vols.span.start_ms - 1, "month"))
            for one in (earlier, vols):
                forwards = Partition(FORWARDS, part, one.period)
                if one in held and held[one].rows and forwards in held:
                    inputs += [one, forwards]
        mine = Partition(NAME, part, month)
        yield Task(mine, tuple(sorted(inputs)), terms, group=f"{part} {month}")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the surfaces of each month."""
    from etl.compute import surface_quotes  # noqa: PLC0415  (numba takes half a second)

    del held
    for task in todo:
        named = {
            name: [one for one in task.inputs if one.dataset == name]
            for name in (FORWARDS, VOLS, TICKERS)
        }
        start_ms = task.partition.span.start_ms
        quoted = (of_hours(read(one, QUOTED)) for one in named[TICKERS])  # a day at a time
        chains = itertools.chain.from_iterable(map(surface_quotes.of_tickers, quoted))
        if named[VOLS]:
            since_ms = start_ms - LOOK_BACK_MS
            with_blocks, every = bool(task.terms[0]), round(task.terms[1])
            traded = pl.concat(
                _traded(read, one, surface_quotes.TRADED, since_ms, with_blocks=with_blocks)
                for one in named[VOLS]
            )
            curve = pl.concat(
                pl.DataFrame(read(one, surface_quotes.CURVE, since_ms)) for one in named[FORWARDS]
            )
            of_trades = surface_quotes.of_trades(traded, curve, every=every)
            chains = itertools.chain(of_trades, chains)
        start = pl.lit(start_ms * 1000).cast(pl.Datetime("us", "UTC"))
        yield task, Made(slices_of(chains).filter(pl.col("timestamp") >= start))


def usable(traded: pl.DataFrame, *, with_blocks: bool = False) -> pl.DataFrame:
    """Return the trades that may shape a surface: with a volatility, and a price of the book.

    Those of blocks, combos and liquidations are left out, unless they are to be taken in. Fills of
    one order are one: those of an option and millisecond at one price.
    """
    told = traded.filter(_may_shape(with_blocks=with_blocks))
    return told.unique(["instrument", "timestamp", "iv"], keep="first", maintain_order=True)


def _may_shape(*, with_blocks: bool) -> pl.Expr:
    is_told = (pl.col("status") == "ok") & pl.col("iv_high").is_not_null()
    return is_told & ~pl.any_horizontal(LEFT_OUT[-1:] if with_blocks else LEFT_OUT)


def _traded(
    read: Read, one: Partition, columns: Sequence[str], since_ms: int, *, with_blocks: bool
) -> pl.DataFrame:
    """Return what is `usable` of a month, fills one by one.

    It is read column by column: that takes half the memory of the whole.
    """
    said = pl.DataFrame(read(one, ("status", "iv_high", *LEFT_OUT), since_ms, coded=("status",)))
    is_kept = said.select(_may_shape(with_blocks=with_blocks)).to_series()
    coded = ("instrument",)
    return pl.DataFrame(
        [
            pl.DataFrame(read(one, (name,), since_ms, coded=coded if name in coded else ()))
            .to_series()
            .filter(is_kept)
            for name in columns
        ]
    )


def slices_of(chains: Iterable[Any]) -> pl.DataFrame:
    """Return the smiles of chains; of one underlying and source those come in order of time.

    Parameters
    ----------
    chains
        `etl.compute.surface_quotes.Chain`.

    Returns
    -------
    DataFrame
        The columns of `VolSlices`, sorted by its key.
    """
    from etl.compute.surface_fits import Fits  # noqa: PLC0415  (numba takes half a second)

    fits = Fits()
    made = [fits.described(chain) for chain in chains]
    if not made:
        return pl.DataFrame(schema=_SCHEMA)
    rows = pl.concat(made).with_columns(pl.col(pl.Float64).fill_nan(None))
    return rows.select(*_SCHEMA).cast(_SCHEMA).sort("timestamp", "underlying", "source", "expiry")


_SCHEMA = pl.Schema(
    {name: column.dtype.type for name, column in VolSlices.to_schema().columns.items()}
)

VOL_SLICES = Computed(
    name=NAME,
    aliases=("surface",),
    model=VolSlices,
    inputs=(VOLS, FORWARDS, TICKERS),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=settlement_of_family,
    options={"blocks": 0.0, "every": 60.0},
)
