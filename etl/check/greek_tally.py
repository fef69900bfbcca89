"""What days of tickers amount to, added up piece by piece so that memory does not grow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from etl.check.greek_age import best, pairs_of
from etl.check.greek_conventions import Convention, Quotes, quotes_of, tenor
from etl.check.greek_tolerances import against, from_price
from quant.kernels.rows import Floats
from validators.greeks.errors import BUCKET, counted, days, is_outside, merged, moneyness
from validators.greeks.quotes import (
    GREEKS,
    QUANTITIES,
    flat_marks,
    left_out,
    seconds_late,
    with_halves,
)

MOST_OUTSIDE = 10_000
"""Rows outside their tolerance that are listed, the worst; all are counted."""
SAMPLED = 200
"""Quotes of a bucket that are kept to be drawn and tried other conventions on."""
AT_ONCE = 8  # pieces that are added up together: to merge what they counted takes longest
TICKER, PRICE = SOURCES = "mark_iv", "mark_price"
"""What a volatility is taken from: the ticker says it, or it is solved from the price."""
Counts = tuple[pl.DataFrame, pl.DataFrame]


@dataclass(frozen=True)
class Tally:
    """What some rows of `option_tickers` amount to.

    Attributes
    ----------
    counts : counts and totals of each source, as `counted` returns them.
    left : `underlying`, `reason`, `rows` left out, `late_s` [s]: how long before their snapshot at
        most.
    outside : the worst rows outside their tolerance.
    sample : some quotes of each bucket, with what is printed and what was computed.
    pairs : what pairs of call and put tell of an age.
    rows, flat, unclear : rows compared; those with a placeholder for a volatility; those whose
        price says nothing of it.
    """

    counts: dict[str, Counts] = field(default_factory=dict)
    left: pl.DataFrame | None = None
    outside: pl.DataFrame | None = None
    sample: pl.DataFrame | None = None
    pairs: pl.DataFrame | None = None
    rows: int = 0
    flat: int = 0
    unclear: int = 0


def tally(pieces: Iterable[pl.DataFrame], convention: Convention, *, stale_s: float) -> Tally:
    """Return what pieces amount to together; each has the columns `NEEDED`."""
    held = [Tally()]
    for piece in pieces:
        held.append(_tally_of(piece, convention, stale_s=stale_s))
        if len(held) > AT_ONCE:
            held = [_together(held)]
    return _together(held)


def _tally_of(piece: pl.DataFrame, convention: Convention, *, stale_s: float) -> Tally:
    told = piece.with_columns(left_out(stale_s=stale_s))
    left = (
        told.filter(pl.col("reason").is_not_null())
        .group_by("underlying", "reason")
        .agg(pl.len().cast(pl.Int64).alias("rows"), seconds_late().max().alias("late_s"))
    )
    kept = with_halves(told.filter(pl.col("reason").is_null()).drop("reason"))
    if kept.is_empty():
        return Tally(left=left)
    quotes = quotes_of(kept)
    return replace(_compared(_with_buckets(kept, quotes), quotes, convention), left=left)


def _compared(rows: pl.DataFrame, quotes: Quotes, convention: Convention) -> Tally:
    """Return what quotes amount to: by their mark_iv, and by the one of their mark price."""
    theirs = rows.select(QUANTITIES).to_numpy().T.copy()
    ours, tolerance = against(quotes, theirs, convention)
    solved, wide, is_clear = from_price(quotes, convention)
    clear = rows.filter(pl.Series(is_clear))
    both = {
        TICKER: (rows, _by_quantity(rows, ours, tolerance, QUANTITIES)),
        PRICE: (clear, _by_quantity(clear, solved, wide, GREEKS)),
    }
    return Tally(
        counts={source: counted(compared) for source, (_, compared) in both.items()},
        outside=_worst(pl.concat(_outside(*one, source) for source, one in both.items())),
        sample=_sampled(_with_both_sides(rows, ours, tolerance)),
        pairs=best(pairs_of(rows, quotes, tolerance)),
        rows=len(rows),
        flat=flat_marks(rows),
        unclear=int((~is_clear).sum()),
    )


def _with_both_sides(rows: pl.DataFrame, ours: Floats, tolerance: Floats) -> pl.DataFrame:
    return rows.with_columns(
        pl.Series(f"{word}_{name}", values)
        for word, side in (("ours", ours), ("tolerance", tolerance))
        for name, values in zip(QUANTITIES, side, strict=True)
    )


def _together(tallies: Sequence[Tally]) -> Tally:
    """Return what several tallies amount to together."""
    sources = dict.fromkeys(source for one in tallies for source in one.counts)
    left = _joined([one.left for one in tallies])
    outside = _joined([one.outside for one in tallies])
    sample = _joined([one.sample for one in tallies])
    pairs = _joined([one.pairs for one in tallies])
    return Tally(
        counts={
            source: merged([one.counts[source] for one in tallies if source in one.counts])
            for source in sources
        },
        left=None if left is None else _added_up(left),
        outside=None if outside is None else _worst(outside),
        sample=None if sample is None else _sampled(sample),
        pairs=None if pairs is None else best(pairs),
        rows=sum(one.rows for one in tallies),
        flat=sum(one.flat for one in tallies),
        unclear=sum(one.unclear for one in tallies),
    )


def _added_up(left: pl.DataFrame) -> pl.DataFrame:
    return left.group_by("underlying", "reason").agg(pl.sum("rows"), pl.max("late_s"))


def _joined(frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame | None:
    held = [frame for frame in frames if frame is not None]
    return pl.concat(held) if held else None


def _with_buckets(rows: pl.DataFrame, quotes: Quotes) -> pl.DataFrame:
    """Add what bucket each quote is in."""
    years = tenor(quotes)
    sign = pl.when(pl.col("option_type") == "call").then(1.0).otherwise(-1.0)
    stdev = pl.col("mark_iv") * pl.lit(pl.Series(years)).sqrt()
    away = sign * (pl.col("strike") / pl.col("underlying_price")).log() / stdev
    return rows.with_columns(
        moneyness(away).alias("moneyness"), days(pl.lit(pl.Series(365 * years))).alias("days")
    )


def _by_quantity(
    rows: pl.DataFrame, ours: Floats, tolerance: Floats, quantities: tuple[str, ...]
) -> pl.DataFrame:
    """Return a row per quote and quantity; `row` says which quote it is of."""
    kind = pl.Enum(list(QUANTITIES))
    return pl.concat(
        rows.select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
            *BUCKET,
            pl.lit(name, kind).alias("quantity"),
            pl.col(name).alias("theirs"),
            pl.Series("ours", ours[at]),
            pl.Series("tolerance", tolerance[at]),
        )
        for at, name in enumerate(QUANTITIES)
        if name in quantities
    )


def _outside(rows: pl.DataFrame, compared: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return the worst rows outside, with the quote each is of."""
    outside = _worst(compared.filter(is_outside()))
    place = rows.select("instrument", "timestamp", "quoted_at")[outside["row"]]
    return place.hstack(outside.drop("row")).with_columns(pl.lit(source).alias("source"))


def _worst(rows: pl.DataFrame) -> pl.DataFrame:
    excess = ((pl.col("ours") - pl.col("theirs")) / pl.col("tolerance")).abs()
    order = excess.fill_nan(float("inf"))
    return rows.sort(order, descending=True, maintain_order=True).head(MOST_OUTSIDE)


def _sampled(rows: pl.DataFrame) -> pl.DataFrame:
    """Return some rows of each bucket: those whose hash is least, whatever order they come in."""
    order = pl.struct("instrument", "quoted_at").hash(seed=1)
    return rows.sort(order).group_by(BUCKET, maintain_order=True).head(SAMPLED)
