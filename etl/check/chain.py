"""The chain of options as of a moment: the last trade of every strike and type before it.

Only options count that have not expired by then. Trades of blocks and combos are left out unless
they are to be taken in: their prices are agreed or allotted.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import polars as pl

from etl.compute.options_ohlcv import APART, OF_LAST, TRADES
from etl.errors import UsageError
from etl.instruments.chain import check_expiries
from etl.instruments.names import with_name_parts
from etl.when import format_moment
from lake.paths import Lake
from lake.read import scan_files
from lake.span import period_of
from lake.store.place import Place

HOUR_MS = 3_600_000
KEPT = ("instrument", "timestamp", "price", "amount", *OF_LAST)


def chain_at(
    lake: Lake,
    currency: str,
    at_ms: int,
    *,
    tolerance_ms: int = 24 * HOUR_MS,
    expiries: Sequence[date] = (),
    with_blocks: bool = False,
) -> pl.DataFrame:
    """Return the last trade of each option at or before a moment, no older than the tolerance.

    Parameters
    ----------
    currency
        What the options settle in.
    expiries
        Days of expiry; none means all.

    Returns
    -------
    DataFrame
        `expiry`, `strike`, `option_type`, `instrument`, `timestamp`, `age_s`, `price`, `amount`,
        `iv`, `mark_price`, `index_price`; sorted by the first four.

    Raises
    ------
    UsageError
        If there are no trades in that currency, none within the tolerance, or no option alive that
        expires on one of the days.
    """
    since_ms = max(at_ms - tolerance_ms, 0)
    paths = [path for path in lake.files(TRADES) if path.parent.name == currency]
    if not paths:
        parts = sorted({path.parent.name for path in lake.files(TRADES)})
        held = f"; there are: {', '.join(parts)}" if parts else ": run `backfill options`"
        message = f"the lake has no trades of options that settle in {currency}{held}"
        raise UsageError(message)
    first, last_month = (period_of(ms, "month") for ms in (since_ms, at_ms))
    months = [path for path in paths if first <= path.stem <= last_month]
    trades = _trades(months, with_blocks=with_blocks)
    alive = _alive(trades, at_ms)
    known = alive["expiry"].dt.date().unique().to_list()
    what = f"no option of {currency} that trades on {format_moment(at_ms)}"
    check_expiries(what, expiries, known)
    last = (
        trades.filter(pl.col("timestamp").is_between(_moment(since_ms), _moment(at_ms)))
        .select(KEPT)
        .collect()
        .unique("instrument", keep="last", maintain_order=True)  # sorted by time within it
        .join(alive, on="instrument")
        .filter(pl.col("expiry").dt.date().is_in(list(expiries or known)))
    )
    if last.is_empty():
        raise UsageError(_nothing(currency, at_ms, tolerance_ms, expiries))
    age = (_moment(at_ms) - pl.col("timestamp")).dt.total_milliseconds() / 1000
    return last.select(
        "expiry", "strike", "option_type", "instrument", "timestamp", age.alias("age_s"), *KEPT[2:]
    ).sort("expiry", "strike", "option_type")


def table(chain: pl.DataFrame, at_ms: int) -> str:
    """Return a chain for people: an expiry after the other, calls to the left of the strikes."""
    blocks = []
    for (expiry,), mine in chain.group_by("expiry", maintain_order=True):
        days = (expiry.timestamp() * 1000 - at_ms) / (24 * HOUR_MS)
        head = f"{expiry:%Y-%m-%d %H:%M}, in {days:.1f} days"
        blocks.append("\n".join([head, *_lines(mine)]))
    return "\n\n".join(blocks)


def _lines(chain: pl.DataFrame) -> list[str]:
    rows: list[tuple[str, ...]] = [("call", "iv", "age", "strike", "put", "iv", "age")]
    sides: dict[str, dict[float, tuple[str, ...]]] = {"call": {}, "put": {}}
    for strike, side, price, iv, age in chain.select(
        "strike", "option_type", "price", "iv", "age_s"
    ).iter_rows():
        told = "-" if iv is None else f"{iv * 100:.2f}"
        sides[side][strike] = (f"{price:g}", told, _age(age))
    none = ("-", "-", "-")
    rows += [
        (*sides["call"].get(strike, none), f"{strike:,g}", *sides["put"].get(strike, none))
        for strike in chain["strike"].unique().sort()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(str.rjust, row, widths)) for row in rows]


def _age(seconds: float) -> str:
    """Return an age in two figures: 42s, 7m, 3h05."""
    minutes = int(seconds // 60)
    if minutes == 0:
        return f"{seconds:.0f}s"
    return f"{minutes}m" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}"  # noqa: PLR2004


def _trades(paths: Sequence[Place], *, with_blocks: bool) -> pl.LazyFrame:
    if not paths:
        return pl.LazyFrame(schema=_SCHEMA)
    trades = scan_files(paths)
    return trades if with_blocks else trades.filter(pl.col(name).is_null() for name in APART)


def _alive(trades: pl.LazyFrame, at_ms: int) -> pl.DataFrame:
    """Return the options that traded in some months and have not expired, with what names say."""
    names = trades.select(pl.col("instrument").unique()).collect()
    said = with_name_parts(names).select("instrument", "expiry", "strike", "option_type")
    return said.filter(pl.col("expiry") > _moment(at_ms))


def _nothing(currency: str, at_ms: int, tolerance_ms: int, expiries: Sequence[date]) -> str:
    of = f" that expire on {', '.join(f'{day:%Y-%m-%d}' for day in expiries)}" if expiries else ""
    hours = tolerance_ms / HOUR_MS
    what = f"no trade of options in {currency}{of} in the {hours:g} hours before"
    return f"{what} {format_moment(at_ms)}: try --tolerance, or backfill that month"


def _moment(ms: int) -> pl.Expr:
    return pl.lit(datetime.fromtimestamp(ms / 1000, UTC), pl.Datetime("us", "UTC"))


_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(KEPT, pl.Float64()),
    "instrument": pl.String(),
    "timestamp": pl.Datetime("us", "UTC"),
}
