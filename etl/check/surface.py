"""A volatility surface that is held, with what it was made of, to be looked at."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl

from etl.catalog import find, maker_of
from etl.check.surface_page import surface_page
from etl.compute.option_iv import NAME as VOLS
from etl.compute.vol_slices import NAME, TICKERS, VOL_SLICES, usable
from etl.dataset import part_of
from etl.errors import UsageError
from etl.instruments.names import with_name_parts
from etl.when import format_moment
from lake.ledger import read_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import scan, scan_files
from lake.span import Span, by_period, period_of
from quant.conventions import tenor

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
POINTS = ("expiry", "instrument", "log_moneyness", "iv", "iv_low", "iv_high")


class Surface(NamedTuple):
    """The slices of one surface, what they were made of, and what it is called."""

    slices: pl.DataFrame
    points: pl.DataFrame
    heading: str


def draw_surface(lake: Lake, underlying: str, at_ms: int, source: str) -> str:
    """Return the page of a surface that is held.

    Raises
    ------
    UsageError
        As `surface_at`.
    """
    return surface_page(*surface_at(lake, underlying, at_ms, source))


def surface_at(lake: Lake, underlying: str, at_ms: int, source: str) -> Surface:
    """Return the surface of a moment, or of an instant in the minute that begins then.

    Parameters
    ----------
    underlying
        What the options are on: BTC, or BTC_USDC for linear ones.
    source
        What it is made of: trades, mids or marks.

    Raises
    ------
    UsageError
        If there is none; the message names the nearest that there are.
    """
    held = _of_underlying(lake, underlying)
    moments = held.filter(pl.col("source") == source)["timestamp"].unique().sort().to_list()
    if not moments:
        others = ", ".join(held["source"].unique().sort().to_list())
        message = f"no surface of {underlying} from {source}; there are some from: {others}"
        raise UsageError(message)
    asked = datetime.fromtimestamp(at_ms / 1000, UTC)
    found = next((one for one in moments if asked <= one < asked + MINUTE), None)
    if found is None:
        near = ", ".join(_shown(one) for one in _nearest(moments, asked))
        message = f"no surface of {underlying} from {source} at {_shown(asked)}; nearest: {near}"
        raise UsageError(message)
    slices = scan(lake, NAME).filter(
        pl.col("underlying") == underlying,
        pl.col("source") == source,
        pl.col("timestamp") == pl.lit(found),
    )
    told = slices.collect()
    points = points_of(lake, underlying, found, told)
    return Surface(told, points, f"{underlying}, {_shown(found)} UTC, from {source}")


def points_of(lake: Lake, underlying: str, at: datetime, slices: pl.DataFrame) -> pl.DataFrame:
    """Return what the slices of a surface were made of: the columns of `POINTS`, sorted.

    Nothing where what they were made of is no longer held.
    """
    source = slices["source"][0]
    if source == "trades":
        told = _told_options(lake, underlying, at)
        before = min(timedelta(minutes=told["every"]), HOUR)
        rows = _rows(lake, VOLS, at - before, at)
        with_blocks = bool(told["blocks"])
        return _traded(rows, underlying, with_blocks=with_blocks) if len(rows) else _NONE
    rows = _rows(lake, TICKERS, at, at + timedelta(microseconds=1))
    mine = rows.filter(pl.col("underlying") == underlying) if len(rows) else rows
    if mine.is_empty():
        return _NONE
    quotes = _out_of_the_money(mine, slices)
    return _told(_marks(quotes) if source == "marks" else _mids(quotes))


def _told_options(lake: Lake, underlying: str, at: datetime) -> dict[str, float]:
    """Return what the surfaces of a month were told when they were computed."""
    month = period_of(_ms(at), VOL_SLICES.period)
    record = read_record(lake, Partition(NAME, part_of(VOL_SLICES, underlying), month))
    return {**VOL_SLICES.options, **(record.options if record else {})}


def _of_underlying(lake: Lake, underlying: str) -> pl.DataFrame:
    """Return which surfaces there are of an underlying: `source` and `timestamp`."""
    if not lake.files(NAME):
        message = f"{lake.root} holds no surface yet: run {maker_of(VOL_SLICES)}"
        raise UsageError(message)
    known = scan(lake, NAME).select("underlying", "source", "timestamp").unique().collect()
    held = known.filter(pl.col("underlying") == underlying)
    if held.is_empty():
        there = ", ".join(known["underlying"].unique().sort().to_list())
        message = f"no surface of {underlying!r}; there are: {there}"
        raise UsageError(message)
    return held.drop("underlying")


def _nearest(moments: Sequence[datetime], asked: datetime) -> list[datetime]:
    """Return the last moment before another and the first after it, so far as there are."""
    before = [one for one in moments if one < asked][-1:]
    return before + [one for one in moments if one > asked][:1]


def _rows(lake: Lake, dataset: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the rows of some dataset in a stretch of time, of all parts."""
    span = Span(_ms(start), _ms(end) + 1)
    periods = by_period(span, find(dataset).period)
    paths = [path for path in lake.files(dataset) if path.stem in periods]
    if not paths:
        return pl.DataFrame()
    is_inside = pl.col("timestamp").is_between(pl.lit(start), pl.lit(end), closed="left")
    return scan_files(paths).filter(is_inside).collect()


def _traded(rows: pl.DataFrame, underlying: str, *, with_blocks: bool) -> pl.DataFrame:
    """Return the trades of an underlying that may shape a surface."""
    family = pl.col("instrument").str.split_exact("-", 0).struct[0]
    mine = with_name_parts(usable(rows.filter(family == underlying), with_blocks=with_blocks))
    k = (pl.col("strike") / pl.col("forward")).log()
    return _told(mine.with_columns(k.alias("log_moneyness")))


def _out_of_the_money(rows: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """Return the calls above the forward and the puts below it, with what prices need."""
    known = rows.join(slices.select("expiry", "forward"), on="expiry", how="inner")
    quotes = known.with_columns(
        pl.coalesce("forward", "underlying_price").alias("forward"),
        tenor(pl.col("timestamp"), pl.col("expiry")).alias("tenor"),
        pl.when(pl.col("underlying").str.contains("_"))
        .then(pl.lit("linear"))
        .otherwise(pl.lit("reversed"))
        .alias("instrument_type"),
    ).with_columns((pl.col("strike") / pl.col("forward")).log().alias("log_moneyness"))
    is_call = pl.col("option_type") == "call"
    return quotes.filter((pl.col("log_moneyness") >= 0) == is_call)


def _marks(quotes: pl.DataFrame) -> pl.DataFrame:
    none = pl.lit(None, pl.Float64)
    return quotes.with_columns(iv="mark_iv", iv_low=none, iv_high=none)


def _mids(quotes: pl.DataFrame) -> pl.DataFrame:
    """Return the volatility halfway between bid and ask, and those of both."""
    from quant.implied_vol import with_implied_vol  # noqa: PLC0415  (numba takes half a second)

    mid = ((pl.col("bid_price") + pl.col("ask_price")) / 2).alias("mid_price")
    priced = quotes.with_columns(mid)
    solved = {
        name: with_implied_vol(priced, price=f"{side}_price")["iv"].alias(name)
        for side, name in (("mid", "iv"), ("bid", "iv_low"), ("ask", "iv_high"))
    }
    return priced.with_columns(**solved)


def _told(points: pl.DataFrame) -> pl.DataFrame:
    return points.select(POINTS).drop_nulls(["log_moneyness", "iv"]).sort(POINTS[:2])


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _shown(moment: datetime) -> str:
    return format_moment(_ms(moment))


_TYPES = {"expiry": pl.Datetime("us", "UTC"), "instrument": pl.String()}
_NONE = pl.DataFrame(schema={name: _TYPES.get(name, pl.Float64()) for name in POINTS})
