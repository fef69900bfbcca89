"""What was staged of snapshots: where it lies, and its rows as they were sent."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from etl.deribit.answer import OK
from etl.snapshots.answers import decode_chain, decode_tickers
from etl.snapshots.quotes import CLOCK_MS, instant_of
from lake import raw
from lake.partition import Partition
from lake.paths import Lake
from lake.store.place import Place

CHAIN, TICKER = METHODS = "get_book_summary_by_currency", "ticker"
_EMPTY = b'{"result":[]}'


def folder_of(lake: Lake, method: str, currency: str, day: str = "") -> Place:
    """Return where the answers of a method are staged: all of a currency, or those of a day."""
    keys = {"currency": currency, "kind": "option"} | ({"day": day} if day else {})
    return lake.raw(method, **keys)


def sent(lake: Lake, partition: Partition, added: Sequence[str]) -> pl.DataFrame:
    """Return what came in some raw files: the rows of chains and tickers as sent."""
    return pl.concat(
        [
            _placed(decode_chain(_EMPTY), [], [], is_ticker=False),
            *_chains(lake, partition, added),
            _tickers(lake, partition, added),
        ]
    )


def _chains(lake: Lake, partition: Partition, added: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the rows of each chain, all at the instant of the newest."""
    heard = _told(attempts_of(lake, partition, CHAIN, added), "us_out")
    for name, body in _good(lake, partition, CHAIN, added):
        chain = decode_chain(body).unique(maintain_order=True)
        at_us = heard[name]
        instant = instant_of(chain["quoted_ms"], None if at_us is None else at_us // 1000)
        yield _placed(chain, [instant] * len(chain), [name] * len(chain), is_ticker=False)


def _tickers(lake: Lake, partition: Partition, added: Sequence[str]) -> pl.DataFrame:
    """Return the rows of tickers; the window of each says which snapshot it is of."""
    instants = _told(attempts_of(lake, partition, TICKER, added), "window_start")
    names, bodies = [], []
    for name, body in _good(lake, partition, TICKER, added):
        names.append(name)
        bodies.append(body)
    moments = [instants[name] // 1000 for name in names]
    return _placed(decode_tickers(bodies), moments, names, is_ticker=True)


def _of(
    lake: Lake, partition: Partition, method: str, added: Sequence[str]
) -> tuple[Place, list[str]]:
    """Return the folder of a method's raw files, and those among some that are in it."""
    inside = [name.removeprefix(f"{method}/") for name in added if name.startswith(f"{method}/")]
    return folder_of(lake, method, partition.part, partition.period), inside


def _good(
    lake: Lake, partition: Partition, method: str, added: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    folder, names = _of(lake, partition, method, added)
    return raw.bodies(folder, OK, names)


def attempts_of(lake: Lake, partition: Partition, method: str, added: Sequence[str]) -> pa.Table:
    """Return what is known of the attempts in some raw files of a partition and method."""
    folder, names = _of(lake, partition, method, added)
    return raw.read(folder, names)


def _told(attempts: pa.Table, column: str) -> dict[str, Any]:
    """Return what is known of each attempt [µs], by its id."""
    values = attempts[column].cast(pa.int64()).to_pylist()
    return dict(zip(attempts["attempt_id"].to_pylist(), values, strict=True))


def _placed(
    rows: pl.DataFrame, instants_ms: list[int], attempts: list[str], *, is_ticker: bool
) -> pl.DataFrame:
    return rows.with_columns(
        pl.Series("timestamp_ms", instants_ms, pl.Int64),
        pl.Series("attempt_id", attempts, pl.String),
        pl.lit(is_ticker).alias("is_ticker"),
        pl.lit(CLOCK_MS, pl.Int64).alias("before_ms"),
        pl.lit(None if is_ticker else 0, pl.Int64).alias("after_ms"),  # one is asked after another
    )
