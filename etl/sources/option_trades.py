"""Trades of options: the whole chain of a settlement currency, from the history host, in days."""

from typing import Any

import polars as pl

from etl.dataset import Fetched
from etl.instruments import selection
from etl.instruments.names import EARLY_MORE_MS, EARLY_MS, settlement_of, with_name_parts
from etl.proof.protocol import Numbers
from etl.proof.sequence import FULL, SequenceProof
from etl.sources import option_pages
from etl.sources.option_pages import Checked
from etl.sources.stamps import timestamp
from lake.span import DAY_MS, Span
from validators.schemas.option_trades import OptionTrades

PAGE_ROWS = 10_000
BY_TIME = "public/get_last_trades_by_currency_and_time"
BY_NUMBER = "public/get_last_trades_by_instrument"
OPENED_MS = 1_467_331_200_000  # 2016-07-01: the first options there are names of expired on the 8th
FRACTIONS_UNTIL_MS = 1_546_300_800_000  # 2019: before, volatilities may be fractions
DIGITS = 10  # behind the point: 75.49 / 100 is not 0.7549
HIGHEST_FRACTION = 5.0  # as percent, no option was ever that cheap
GRACE_MS = 1_000
LATE_MS = 60_000  # the history host shows a trade some five seconds after it was made


def transform(raw: pl.LazyFrame, currency: str) -> pl.LazyFrame:
    """Return trades as they are kept: volatilities as fractions; `refused` says what cannot be."""
    rows = raw.collect().rename({"instrument_name": "instrument"})
    told = _told(rows["instrument"], currency)
    is_fraction = (pl.col("timestamp_ms") < FRACTIONS_UNTIL_MS) & (pl.col("iv") < HIGHEST_FRACTION)
    reasons = [
        pl.col("refused").cast(pl.String),
        pl.col("odd"),
        pl.when(pl.col("timestamp_ms") >= pl.col("end_ms")).then(pl.lit("timestamp:after_expiry")),
    ]
    refused = pl.concat_str(reasons, separator=",", ignore_nulls=True).replace("", None)
    known = OptionTrades.to_schema().columns
    return (
        rows.hstack(told)
        .lazy()
        .with_columns(
            timestamp(),
            pl.when(is_fraction)
            .then("iv")
            .otherwise((pl.col("iv") / 100).round(DIGITS))
            .alias("iv"),
            refused.alias("refused"),
        )
        .select(*known, "refused", "attempt")
    )


def _told(instruments: pl.Series, currency: str) -> pl.DataFrame:
    """Return what names say, row by row: `odd`, if they are no options of the currency; `end_ms`.

    From `end_ms` on an option does not trade.
    """
    names = instruments.unique().cast(pl.String).alias("instrument")
    said = with_name_parts(names.to_frame()).filter(pl.col("name_kind") == "option")
    is_early = pl.col("expiry").dt.epoch("ms") < EARLY_MS
    end_ms = pl.col("expiry").dt.epoch("ms") + pl.when(is_early).then(EARLY_MORE_MS).otherwise(0)
    is_other = pl.coalesce("counter", "base") != currency
    ends = said.select(
        pl.col("instrument").cast(instruments.dtype),
        pl.when(is_other)
        .then(pl.lit("instrument:other_currency"))
        .otherwise(pl.lit(""))
        .alias("odd"),
        (end_ms + GRACE_MS).alias("end_ms"),
    )
    found = instruments.to_frame().join(ends, on="instrument", how="left", maintain_order="left")
    odd = pl.col("odd").fill_null("instrument:no_option").replace("", None)
    return found.select(odd, "end_ms")


def settled_in(instruments: pl.Series) -> pl.Series:
    """Return the currencies options settle in, by their names; null where a name is none."""
    family = instruments.cast(pl.String).str.extract(r"^([A-Z0-9_]+)-", 1)
    return family.str.split("_").list.last()


def _params(currency: str, window: Span, _now_ms: int) -> dict[str, Any]:
    """Return the parameters of a window's first page, or of numbers of one option."""
    if isinstance(window, Numbers):
        return {
            "instrument_name": window.of,
            "start_seq": window.first,
            "end_seq": window.last,
            "count": PAGE_ROWS,
            "sorting": "asc",
            "include_old": "true",
        }
    return {
        "currency": currency,
        "kind": "option",
        "start_timestamp": window.start_ms,
        "end_timestamp": window.end_ms - 1,  # inclusive
        "count": PAGE_ROWS,
        "sorting": "asc",
        "include_old": "true",
    }


def _method(params: dict[str, Any]) -> str:
    return BY_NUMBER if "instrument_name" in params else BY_TIME


def _onward(params: dict[str, Any], page: Checked, window: Span) -> dict[str, Any] | None:
    """Return the parameters of the page after a full one: from its last moment on, again."""
    if isinstance(window, Numbers):
        return None
    moments, has_more = page
    inside = [ms for ms in moments if window.start_ms <= ms < window.end_ms]
    if not inside or not (has_more or len(moments) >= PAGE_ROWS * FULL):
        return None
    since = params["start_timestamp"]
    if max(inside) > since:
        return params | {"start_timestamp": max(inside)}
    if len(moments) < PAGE_ROWS or since + 1 >= window.end_ms:
        return None
    return params | {"start_timestamp": since + 1}  # a whole page in one millisecond


OPTION_TRADES = Fetched(
    name="option_trades",
    aliases=("options",),
    model=OptionTrades,
    method=BY_TIME,
    method_of=_method,
    on_history=True,
    proof=SequenceProof(PAGE_ROWS, window_ms=DAY_MS, late_ms=LATE_MS, part_of=settled_in),
    kind="option",
    select=selection.currencies,
    params=_params,
    onward=_onward,
    check=option_pages.check,
    decode=option_pages.decode,
    transform=transform,
    empty_body=b'{"result":{"trades":[]}}',
    period="month",
    subject_part=settlement_of,
    since_ms=OPENED_MS,
    raw_key="currency",
    raw_period="day",
    has_chain=True,
    row_bytes=80,
)
