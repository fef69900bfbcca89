"""What the lake holds of a chain of options, by expiry or by option, with the verdict of each."""

from collections.abc import Iterator, Sequence
from typing import Literal

import polars as pl

from etl.check.status import Status, Verdict, statuses
from etl.compute.options_ohlcv import TRADES
from etl.sources.option_trades import OPTION_TRADES
from lake.ledger import Gap, Record, records
from lake.paths import Lake
from lake.read import scan_files
from lake.span import Span, clip, union

By = Literal["expiry", "instrument"]


def chain_statuses(
    lake: Lake,
    options: pl.DataFrame,
    by: By,
    *,
    span: Span | None = None,
    moneyness: tuple[float, float] | None = None,
) -> list[Status]:
    """Return what is held of some options whose time was wanted, one status a group, in order.

    Parameters
    ----------
    options
        As `etl.instruments.chain.choose` returns them.
    span
        Only trades of that time are counted.
    moneyness
        Only trades whose strike / index lies between are counted; a trade without an index is not.
    """
    whole = {one.instrument: one for one in statuses(lake, TRADES)}
    found: list[Status] = []
    for (currency,), mine in options.group_by("settlement_currency", maintain_order=True):
        if currency in whole:
            found += _of_currency(lake, whole[currency], mine, by, span, moneyness)
    return found


def _of_currency(
    lake: Lake,
    whole: Status,
    options: pl.DataFrame,
    by: By,
    span: Span | None,
    moneyness: tuple[float, float] | None,
) -> Iterator[Status]:
    held = [record for one, record in records(lake, TRADES) if one.part == whole.instrument]
    covered = union(clip(each, span) if span else each for one in held for each in one.wanted)
    gaps = [gap for record in held for gap in record.gaps]
    counts = _counted(lake, whole.instrument, options, span, moneyness)
    day = pl.from_epoch("expiration_timestamp", "ms").dt.date().cast(pl.String)
    by_day = pl.format("{} {}", pl.lit(whole.instrument), day)
    group = by_day if by == "expiry" else pl.col("instrument")
    grouped = (
        options.with_columns(group.alias("group"))
        .join(counts, on="instrument", how="left")
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("instrument"),
            pl.col("creation_timestamp").min(),
            pl.col("expiration_timestamp").max(),
            pl.col("rows").sum(),
            pl.col("first_ms").min(),
            pl.col("last_ms").max(),
        )
    )
    for name, names, born, ends, rows, first, last in grouped.iter_rows():
        life = Span(born, ends)
        if any(one.meets(life) for one in covered):
            mine = _gaps_of(gaps, frozenset(names), life)
            counts_of = OPTION_TRADES.proof.count([Record(gaps=tuple(mine))])
            why = whole.why if whole.verdict == "UNKNOWN" else ""
            verdict = _verdict(whole, mine)
            yield Status(TRADES, name, verdict, first, last, rows, gaps=counts_of, why=why)


def _counted(
    lake: Lake,
    part: str,
    options: pl.DataFrame,
    span: Span | None,
    moneyness: tuple[float, float] | None,
) -> pl.DataFrame:
    """Return how many trades each option has, and when the first and the last was [ms]."""
    paths = [path for path in lake.files(TRADES) if path.parent.name == part]
    schema = {"instrument": pl.String, "rows": pl.UInt32, "first_ms": pl.Int64, "last_ms": pl.Int64}
    if not paths:
        return pl.DataFrame(schema=schema)
    ms = pl.col("timestamp").dt.epoch("ms")
    trades = scan_files(paths).select("instrument", "timestamp", "index_price")
    rows = trades.join(options.lazy().select("instrument", "strike"), on="instrument")
    if span is not None:
        rows = rows.filter(ms.is_between(span.start_ms, span.end_ms, closed="left"))
    if moneyness is not None:
        rows = rows.filter((pl.col("strike") / pl.col("index_price")).is_between(*moneyness))
    return (
        rows.group_by("instrument")
        .agg(pl.len().alias("rows"), ms.min().alias("first_ms"), ms.max().alias("last_ms"))
        .collect()
    )


def _gaps_of(gaps: Sequence[Gap], names: frozenset[str], life: Span) -> list[Gap]:
    """Return the gaps of some options: their numbers, and the stretches of their life."""
    return [
        gap
        for gap in gaps
        if (gap.of in names if gap.of else Span(gap.start_ms, gap.end_ms).meets(life))
    ]


def _verdict(whole: Status, gaps: Sequence[Gap]) -> Verdict:
    if whole.verdict == "UNKNOWN":
        return "UNKNOWN"
    return "COMPLETE" if all(gap.is_settled for gap in gaps) else "INCOMPLETE"
