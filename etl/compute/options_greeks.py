"""Greeks of every minute an option was traded in, of its last trade, month by month.

The volatility, the forward and the tenor are those of the trade. The rate is that of the last curve
of Treasury bills that was out when the trade's day began, at the option's tenor.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from etl.compute.option_iv import AGREED
from etl.compute.option_iv import NAME as VOLS
from etl.compute.option_terms import Bools, Bytes, Floats, Ints, terms_of
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.names import settlement_of
from etl.instruments.record import Listing
from lake.arrow import floats
from lake.partition import Partition
from lake.span import DAY_MS, Span
from quant.rates import rate_at
from validators.schemas.options_greeks import RATE_STATUSES, OptionsGreeks
from validators.schemas.treasury_bills import TENORS

NAME, BILLS = "options_greeks", "treasury_bills"
MINUTE_US, DAY_US, YEAR_US = 60_000_000, 86_400_000_000, 365 * 86_400_000_000
CODED = ("instrument", "forward_source", "status")
COLUMNS = ("timestamp", "price", "index_price", "forward", "iv", *CODED, *AGREED)
CURVE = ("timestamp", "published_on", *TENORS)
OK, CARRIED, TOO_OLD, NO_RATE = range(len(RATE_STATUSES))


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield the months that have volatilities, each with the rates that may hold in it."""
    del listing
    terms = options["blocks"], options["rate_age"]
    back_ms = round(options["rate_age"] + 1) * DAY_MS
    bills = [one for one in sorted(held) if one.dataset == BILLS and held[one].rows]
    for one in sorted(held):
        if one.dataset == VOLS and held[one].rows:
            near = Span(one.span.start_ms - back_ms, one.span.end_ms)
            rates = [bill for bill in bills if bill.span.meets(near)]
            mine = Partition(NAME, one.part, one.period)
            yield Task(mine, (one, *rates), terms, group=f"{one.part} {one.period}")


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the Greeks of each month."""
    del held
    for task in todo:
        vols, *rates = task.inputs
        with_blocks, oldest = task.terms
        curves = [pl.DataFrame(read(one, CURVE)) for one in rates]
        bills = pl.concat(curves) if curves else _NO_BILLS
        made = greeks_of(
            read(vols, COLUMNS, coded=CODED), bills, with_blocks=bool(with_blocks), oldest=oldest
        )
        yield task, Made(made)


def greeks_of(
    trades: pa.Table, bills: pl.DataFrame, *, with_blocks: bool = False, oldest: float = 7
) -> pl.DataFrame:
    """Return the Greeks of trades that are sorted by instrument, timestamp and number.

    Parameters
    ----------
    trades
        The columns of `COLUMNS`, those of `CODED` by dictionary.
    bills
        The columns of `CURVE`, sorted by day.
    with_blocks
        Whether a trade of a block or combo may be a minute's last.
    oldest
        How old the curve a rate is from may be [days].

    Returns
    -------
    DataFrame
        The columns of `OptionsGreeks`, sorted by instrument and timestamp.
    """
    rows = pa.array(_last_of_minutes(trades, with_blocks=with_blocks))
    last = trades.drop_columns([*AGREED]).take(rows)
    names = last["instrument"].combine_chunks()
    terms, codes = terms_of(names.dictionary), names.indices.to_numpy()
    moment = last["timestamp"].to_numpy().view(np.int64)
    tenor = (terms.expiry[codes] - moment) / YEAR_US
    rates = _rates(bills, moment, tenor, oldest)
    minute = pl.Series(moment // MINUTE_US * MINUTE_US).cast(pl.Datetime("us", "UTC"))
    family = pl.Series(terms.underlyings, dtype=pl.Categorical)
    flags = terms.is_call[codes], terms.is_coin[codes]
    numbers = _greeks(last, terms.strike[codes], tenor, rates.rate, flags) | {
        "price": floats(last["price"]), "index_price": floats(last["index_price"]),
        "forward": floats(last["forward"]), "tenor": tenor, "iv": floats(last["iv"]),
        "rate": rates.rate, "rate_age": rates.age,
    }  # fmt: skip
    columns: dict[str, Any] = {
        "timestamp": minute,
        "close_timestamp": last["timestamp"],
        "underlying": family.gather(terms.underlying[codes]),
        "rate_status": pl.Series(rates.status).cat.to(pl.Enum(RATE_STATUSES)),
        **{name: pl.Series(last[name].combine_chunks()) for name in CODED},
        **{name: pl.Series(values, nan_to_null=True) for name, values in numbers.items()},
    }
    return pl.DataFrame(columns).select(*OptionsGreeks.to_schema().columns)


def _last_of_minutes(trades: pa.Table, *, with_blocks: bool) -> Ints:
    """Return the row of the last trade of each option's minute; agreed prices make none."""
    kept = np.arange(len(trades))
    if not with_blocks:
        kept = np.flatnonzero(~np.logical_or.reduce([trades[name].to_numpy() for name in AGREED]))
    codes = trades["instrument"].combine_chunks().indices.to_numpy()[kept]
    minute = trades["timestamp"].to_numpy().view(np.int64)[kept] // MINUTE_US
    is_last = np.ones(len(kept), bool)
    is_last[:-1] = (codes[1:] != codes[:-1]) | (minute[1:] != minute[:-1])
    return kept[is_last]


class _Rates(NamedTuple):
    """Rate of each row [1/yr], age of its curve [days], and what is to be known of it."""

    rate: Floats
    age: Floats
    status: Bytes


def _rates(bills: pl.DataFrame, moment: Ints, tenor: Floats, oldest: float) -> _Rates:
    """Return the rate of each trade from the last curve that was out when its day began."""
    day = moment // DAY_US
    held = _days(bills["timestamp"])
    # A day's curve is out by its midnight in UTC, and not before its evening: it holds from the
    # next day on.
    first, last = (int(day.min()), int(day.max())) if len(day) else (0, 0)
    days = np.arange(first, last + 1)  # few: to look each up is cheaper than each trade
    curve = (np.searchsorted(held, days - 1, side="right") - 1)[day - first]
    age = np.full(len(day), np.nan)
    is_there = curve >= 0
    age[is_there] = (day - _days(bills["published_on"])[curve])[is_there] if len(held) else 0
    status = np.where(age > 1, CARRIED, OK).astype(np.uint8)
    status[age > oldest] = TOO_OLD
    curves = bills.select(pl.col(*TENORS).cast(pl.Float64)).to_numpy()
    wanted = np.where(age <= oldest, curve, -1)
    rate = rate_at(tenor, np.array([*TENORS.values()]), curves, wanted)
    status[np.isnan(rate) & (status != TOO_OLD)] = NO_RATE
    return _Rates(rate, age, status)


def _days(moments: pl.Series) -> Ints:
    """Return moments as whole days since 1970."""
    days: Ints = moments.cast(pl.Datetime("us", "UTC")).dt.epoch("us").to_numpy() // DAY_US
    return days


def _greeks(
    trades: pa.Table, strike: Floats, tenor: Floats, rate: Floats, flags: tuple[Bools, Bools]
) -> dict[str, Floats]:
    """Return the Greeks of each trade by name; NaN where there are none."""
    from quant.kernels import greeks as kernels  # noqa: PLC0415  (numba: half a second)

    forward, index, iv = (floats(trades[name]) for name in ("forward", "index_price", "iv"))
    found = kernels.greeks(forward, index, strike, tenor, iv, rate, *flags)
    return dict(zip(kernels.NAMES, found, strict=True))


_NO_BILLS = pl.DataFrame(
    schema=dict.fromkeys(("timestamp", "published_on"), pl.Datetime("us", "UTC"))
    | dict.fromkeys(TENORS, pl.Float64())
)

OPTIONS_GREEKS = Computed(
    name=NAME,
    aliases=("greeks",),
    model=OptionsGreeks,
    inputs=(VOLS, BILLS),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=settlement_of,
    options={"blocks": 0.0, "rate_age": 7.0},
)
