"""Fold what was staged of a day and currency into `option_tickers`: a pure function of raw.

A partition is a day: a snapshot made every minute is folded in with those of its day alone, and
what a day holds stays as it is when the next begins.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from etl.deribit.answer import OK
from etl.proof.protocol import ticks_of
from etl.snapshots.answers import decode_chain
from etl.snapshots.quotes import instant_of, transform
from etl.snapshots.sent import CHAIN, METHODS, attempts_of, folder_of, sent
from lake import raw
from lake.arrow import arrow
from lake.ledger import Record, read_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content, publish, tidy
from lake.read import checksum, read_table
from lake.span import is_period, period_of
from lake.write import remove_leftovers
from validators import contract
from validators.schemas.option_tickers import OptionTickers

DATASET = "option_tickers"
KEY = contract.key_of(OptionTickers)
JUDGED = 1  # raised when the same raw would be folded otherwise


def day_of(attempt: raw.Attempt) -> str:
    """Return the day an attempt is staged under: that of its snapshot, else when it was heard.

    That is by the exchange's clock, so far as it told it.
    """
    heard_ms = (attempt.us_out or attempt.fetched_at) // 1000
    if attempt.window_start:  # a ticker says what snapshot it is of
        return period_of(attempt.window_start // 1000, "day")
    if attempt.outcome == OK and attempt.body:
        quotes = decode_chain(attempt.body)
        return period_of(instant_of(quotes["quoted_ms"], heard_ms), "day")
    return period_of(heard_ms, "day")


def staged(lake: Lake) -> Iterator[Partition]:
    """Yield the partitions some chain was staged of, sorted."""
    for folder in sorted(lake.raw(CHAIN).glob("currency=*/kind=option/day=*")):
        keys = dict(part.split("=", 1) for part in folder.parts[-3:])
        if is_period(keys["day"]):
            one = Partition(DATASET, keys["currency"], keys["day"])
            if lake.ledger(one).exists() or OK in raw.read(folder)["outcome"].to_pylist():
                yield one


def segments(lake: Lake, partition: Partition) -> tuple[str, ...]:
    """Return the raw files of a partition, by their names below the folder of their method."""
    return tuple(
        f"{method}/{name}"
        for method in METHODS
        for name in raw.segments(folder_of(lake, method, partition.part, partition.period))
    )


def is_folded(record: Record | None, found: tuple[str, ...]) -> bool:
    """Whether a line says all that these raw files amount to, by the rules of today."""
    return record is not None and record.segments == found and record.judged == JUDGED


def rebuild(lake: Lake, partition: Partition) -> Record:
    """Fold a partition and publish it, whatever is published already.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    PartitionBusyError
        If another process writes it.
    """
    return refresh(lake, partition, anew=True)


def refresh(lake: Lake, partition: Partition, *, anew: bool = False, wait: bool = False) -> Record:
    """Fold what was staged of a partition, publish it, and return its line.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    PartitionBusyError
        If another process writes it and `wait` is false.
    """
    with locked(lake, [partition], wait=wait):
        tidy(lake, partition)
        for method in METHODS:
            remove_leftovers(folder_of(lake, method, partition.part, partition.period))
        held = read_record(lake, partition)
        if held is not None and not anew and is_folded(held, segments(lake, partition)):
            return held
        content = fold(lake, partition, None if anew else held)
        publish(lake, partition, content, anew=anew)
        return content.record


def fold(lake: Lake, partition: Partition, held: Record | None = None) -> Content:
    """Return what was staged of a partition amounts to.

    Of two rows of one option and instant that of the latest answer is kept, and a ticker's before
    a chain's. With the line of what is `held`, only what was staged since is decoded; the same
    comes out.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    """
    found = segments(lake, partition)
    known = held.segments if held and _is_onto(lake, partition, held, found) else ()
    added = sorted({*found} - {*known})
    valid, rejected = _judged(transform(sent(lake, partition, added), partition.part))
    attempts = sum(attempts_of(lake, partition, method, added).num_rows for method in METHODS)
    if held and known:
        clean, aside = _published(lake, partition, rejected)
        is_altered = held.checksum != _digest(clean)
        if is_altered or _instants(clean, aside) & _instants(valid, rejected):
            return fold(lake, partition)  # or more came of a snapshot that is folded
        valid, rejected = pl.concat([clean, valid]), pl.concat([aside, rejected])
        attempts += held.attempts
    return _content(valid, rejected, found, attempts)


def _is_onto(lake: Lake, partition: Partition, held: Record, found: Sequence[str]) -> bool:
    """Whether what is published can stand as it is, and what was staged since be added."""
    is_there = lake.clean(partition).exists() == bool(held.rows)
    return is_there and held.judged == JUDGED and {*held.segments} <= {*found}


def _published(
    lake: Lake, partition: Partition, none: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what is published of a partition, and what is set aside of it."""
    clean, aside = (
        pl.DataFrame(read_table(path)) if path.exists() else none.clear()
        for path in (lake.clean(partition), lake.quarantine(partition))
    )
    return clean.select(*OptionTickers.to_schema().columns), aside


def _digest(clean: pl.DataFrame) -> str | None:
    return checksum(arrow(clean)) if len(clean) else None


def _instants(*frames: pl.DataFrame) -> set[Any]:
    return {one for frame in frames for one in frame["timestamp"].unique()}


def _judged(told: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that are kept, one an option and instant, and those set aside, and why."""
    is_refused = pl.col("refused").is_not_null()
    split = contract.split(told.filter(~is_refused).drop("refused"), OptionTickers)
    refused = told.filter(is_refused).rename({"refused": "failed_check"})
    rejected = pl.concat([split.rejected, refused.select(split.rejected.columns)])
    latest = split.valid.sort(*KEY, "is_ticker", "attempt_id", maintain_order=True)
    valid = latest.unique(KEY, keep="last", maintain_order=True)
    return valid.drop("is_ticker", "attempt_id"), rejected.drop("is_ticker")


def _content(
    valid: pl.DataFrame, rejected: pl.DataFrame, found: tuple[str, ...], attempts: int
) -> Content:
    """Return rows as they are published, with their line."""
    clean = valid.sort(KEY)
    contract.check_key(clean, KEY)  # the rest was asked row by row
    aside = rejected.sort(*KEY, "attempt_id", "failed_check", maintain_order=True)
    table = arrow(clean)
    first_ms, last_ms = _bounds_ms(clean)
    record = Record(
        rows=len(clean),
        first_ms=first_ms,
        last_ms=last_ms,
        checksum=_digest(clean),
        quarantined=len(aside),
        attempts=attempts,
        judged=JUDGED,
        segments=found,
    )
    return Content(record, table, arrow(aside), layout=contract.layout_of(OptionTickers))


def _bounds_ms(clean: pl.DataFrame) -> tuple[int, int] | tuple[None, None]:
    ticks = ticks_of(clean)
    return (int(ticks.min()), int(ticks.max())) if ticks.size else (None, None)
