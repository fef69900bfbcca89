"""Implied volatility of every option trade, month by month.

Tenor is counted from the trade's own millisecond; the forward is its own index times what the
forward curve says of its minute, which is made of earlier trades alone. What lies between half a
price step less and half a step more is the interval the price leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from etl.compute.forward_curve import NAME as FORWARDS
from etl.compute.option_terms import Bools, Bytes, Floats, Ints, OptionTerms, terms_of
from etl.compute.price_grid import measure
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import settlement_of
from etl.instruments.record import Listing
from lake.arrow import floats
from lake.partition import Partition
from validators.schemas.forward_curve import SOURCES
from validators.schemas.option_iv import STATUSES, OptionIv

NAME, TRADES = "option_iv", "option_trades"
FLAGS = {
    "is_block": "block_trade_id",
    "is_rfq": "block_rfq_id",
    "is_combo": "combo_id",
    "is_liquidation": "liquidation",
}
"""Columns that say whether a trade has a member."""
AGREED = ("is_block", "is_rfq", "is_combo")
"""Those whose price was agreed or allotted, and may have a finer step."""
COLUMNS = ("timestamp", "instrument", "trade_seq", "price", "iv", "index_price", *FLAGS.values())
CURVE = ("timestamp", "underlying", "expiry", "basis", "error", "source", "seen_at")
NEAR_EXPIRY = 4 / 8760
"""Less than this was left of the life of what is flagged [yr]."""
BELOW_INTRINSIC, EXPIRED, NO_INDEX, NO_FORWARD, STALE_FORWARD = (
    STATUSES.index(word)
    for word in ("below_intrinsic", "expired", "no_index", "no_forward", "stale_forward")
)


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the months that have trades and forwards."""
    del listing
    for one in sorted(held):
        forwards = Partition(FORWARDS, one.part, one.period)
        if one.dataset == TRADES and held[one].rows and forwards in held:
            mine = Partition(NAME, one.part, one.period)
            terms = (options["forward_age"],)
            yield Task(mine, (forwards, one), terms, group=f"{one.part} {one.period}")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the volatilities of each month."""
    for task in todo:
        forwards, trades = task.inputs
        curve = pl.DataFrame(schema=dict.fromkeys(CURVE))
        if held[forwards].rows:
            curve = pl.DataFrame(read(forwards, CURVE))
        oldest_s = 3600 * task.terms[0]  # no name for the trades: they are freed when used
        yield (
            task,
            Made(vols_of(read(trades, COLUMNS, coded=("instrument",)), curve, oldest_s=oldest_s)),
        )


def vols_of(trades: pa.Table, curve: pl.DataFrame, *, oldest_s: float = 21_600.0) -> pl.DataFrame:
    """Return the implied volatility of trades that are sorted by instrument and time.

    Parameters
    ----------
    trades
        The columns of `COLUMNS`, instruments by dictionary.
    curve
        The columns of `CURVE`, sorted by underlying, expiry and time.
    oldest_s
        How old may be what a forward is known from [s].

    Returns
    -------
    DataFrame
        The columns of `OptionIv`, a row a trade, in the order of the trades.
    """
    names = trades["instrument"].combine_chunks()
    terms, codes = terms_of(names.dictionary), names.indices.to_numpy()
    moment = trades["timestamp"].to_numpy().view(np.int64)
    price, exchange, index = (floats(trades[name]) for name in ("price", "iv", "index_price"))
    flags = {flag: trades[name].is_valid().to_numpy() for flag, name in FLAGS.items()}
    told = _forwards(terms, codes, moment, index, curve)
    is_stale = told.age > oldest_s
    iv, low, high, status = _solved(terms, codes, price, flags, told)
    for reason, is_so in (
        (STALE_FORWARD, is_stale), (NO_FORWARD, np.isnan(told.forward)),
        (NO_INDEX, np.isnan(index)), (EXPIRED, told.tenor <= 0),
    ):  # fmt: skip
        status[is_so] = reason
    iv[status != 0] = np.nan
    for bound in (low, high):
        bound[(status > BELOW_INTRINSIC) | np.isinf(bound)] = np.nan
    numbers = {
        "index_price": index, "forward": told.forward, "forward_error": told.error,
        "forward_age": told.age, "iv": iv, "iv_low": low, "iv_high": high,
        "exchange_iv": exchange, "iv_difference": iv - exchange,
    }  # fmt: skip
    columns: dict[str, Any] = {
        "timestamp": trades["timestamp"],
        "instrument": pl.Series(names),
        "trade_seq": trades["trade_seq"],
        "price": price,
        "forward_source": _words(told.source, SOURCES),
        "status": _words(status, STATUSES),
        "is_near_expiry": told.tenor < NEAR_EXPIRY,
        **{name: pl.Series(values, nan_to_null=True) for name, values in numbers.items()},
        **flags,
    }
    return pl.DataFrame(columns).select(*OptionIv.to_schema().columns)


class _Forwards(NamedTuple):
    """Forward of each trade [USD], its error [1], age [s], tenor [yr] and source; NaN for none."""

    forward: Floats
    error: Floats
    age: Floats
    tenor: Floats
    source: Bytes


def _forwards(
    terms: OptionTerms, codes: Ints, moment: Ints, index: Floats, curve: pl.DataFrame
) -> _Forwards:
    """Return the forward of each trade, and what there is to know of it; NaN where none."""
    from quant.kernels.carry import forwards_of_trades  # noqa: PLC0415  (numba: half a second)

    source = curve["source"].cast(pl.Enum(SOURCES)).to_physical().cast(pl.Int64).to_numpy()
    told = (
        _us(curve["timestamp"]), _nan(curve["basis"]), _nan(curve["error"]),
        _us(curve["seen_at"]), source,
    )  # fmt: skip
    forward, error, age, tenor = np.empty((4, len(codes)))
    made = _Forwards(forward, error, age, tenor, np.empty(len(codes), np.uint8))
    options = (*_segments(terms, curve), terms.expiry)
    forwards_of_trades(codes, moment, index, options, told, tuple(made))
    return made


def _segments(terms: OptionTerms, curve: pl.DataFrame) -> tuple[Ints, Ints]:
    """Return where the rows of each option's underlying and expiry begin and end in the curve."""
    said = pl.DataFrame(
        {
            "underlying": pl.Series(terms.underlyings, dtype=pl.String).gather(terms.underlying),
            "expiry": pl.Series(terms.expiry).cast(pl.Datetime("us", "UTC")),
        }
    )
    held = (
        curve.select(
            pl.col("underlying").cast(pl.String), pl.col("expiry").cast(said.schema["expiry"])
        )
        .with_row_index("row")
        .group_by("underlying", "expiry")
        .agg(first=pl.col("row").min().cast(pl.Int64), last=pl.col("row").max().cast(pl.Int64) + 1)
    )
    found = said.join(held, on=["underlying", "expiry"], how="left", maintain_order="left")
    bounds = found.select(pl.col("first", "last").fill_null(0))
    return bounds["first"].to_numpy(), bounds["last"].to_numpy()


def _half_steps(
    terms: OptionTerms, codes: Ints, price: Floats, flags: Mapping[str, Bools]
) -> tuple[Floats, Floats]:
    """Return half a price step down and up of each trade [price unit of the option]."""
    is_agreed = np.logical_or.reduce([flags[name] for name in AGREED])
    down, up = np.empty(len(price)), np.empty(len(price))
    underlying = terms.underlying[codes]
    for number in range(len(terms.underlyings)):
        mine = slice(None) if len(terms.underlyings) == 1 else np.flatnonzero(underlying == number)
        is_coin = bool(terms.is_coin[terms.underlying == number][0])
        level = 1.0 if is_coin else float(np.median(terms.strike[terms.underlying == number]))
        grid = measure(price[mine], is_agreed[mine], is_coin=is_coin, level=level)
        down[mine], up[mine] = grid.half_steps(price[mine], is_agreed[mine])
    return down, up


def _solved(
    terms: OptionTerms, codes: Ints, price: Floats, flags: Mapping[str, Bools], told: _Forwards
) -> tuple[Floats, Floats, Floats, Bytes]:
    """Return volatility, its least and greatest, and status of each trade."""
    from quant.kernels.traded_vol import traded_vol  # noqa: PLC0415  (numba: half a second)

    return traded_vol(
        price, _half_steps(terms, codes, price, flags), told.forward, terms.strike[codes],
        told.tenor, is_call=terms.is_call[codes], is_coin=terms.is_coin[codes],
    )  # fmt: skip


def _words(codes: Bytes, words: Sequence[str]) -> pl.Series:
    return pl.Series(codes).cat.to(pl.Enum(words))


def _us(moments: pl.Series) -> Ints:
    found: Ints = moments.cast(pl.Datetime("us", "UTC")).dt.epoch("us").fill_null(0).to_numpy()
    return found


def _nan(numbers: pl.Series) -> Floats:
    found: Floats = numbers.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found


OPTION_IV = Computed(
    name=NAME,
    aliases=("iv",),
    model=OptionIv,
    inputs=(TRADES, FORWARDS),
    version=2,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=settlement_of,
    options={"forward_age": 6.0},
)
