"""Fold the raw attempts of a partition into clean rows, rejected rows and the ledger's record.

A pure function of what was staged: fold it again, anywhere, and the same bytes come out.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.dataset import Fetched, columns_of
from etl.deribit.client import OK
from etl.errors import EtlError
from etl.proof.protocol import Answer, Read, Terms, Ticks, ticks_of
from lake import raw
from lake.arrow import arrow
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content
from lake.read import checksum
from lake.span import Span, union
from validators import contract


def fold(
    lake: Lake, dataset: Fetched, partition: Partition, wanted: Sequence[Span], terms: Terms
) -> Content:
    """Return what the raw attempts of a partition amount to.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    ContractError
        If a page has columns its contract does not know how to judge.
    """
    folder = dataset.raw_folder(lake, partition)
    segments = raw.segments(folder)
    attempts = raw.read(folder)
    read = Read(_ms(attempts, "fetched_at"), _sent_ms(attempts))
    rows, answers = _decode(folder, attempts, read, dataset)
    split = contract.split(dataset.transform(rows, partition.part).collect(), dataset.model)
    rejected = _within(split.rejected, partition.span)
    valid = latest(_within(split.valid, partition.span), contract.key_of(dataset.model))
    del rows, split  # all pages, of which `valid` is a copy where some rows came twice
    clean = valid.select(columns_of(dataset))
    contract.check_key(clean, contract.key_of(dataset.model))  # the rest was asked row by row
    table = arrow(clean)
    first, last = _bounds_ms(clean)
    record = Record(
        wanted=tuple(union(wanted)),
        rows=len(clean),
        fillers=_fillers(clean),
        first_ms=first,
        last_ms=last,
        checksum=checksum(table) if len(clean) else None,
        quarantined=len(rejected),
        attempts=attempts.num_rows,
        gaps=dataset.proof.gaps(wanted, valid, rejected, answers, terms),
        provisional=dataset.proof.provisional(valid, read, terms.rules.settle_ms),
        segments=segments,
    )
    return Content(record, table, arrow(_with_source(rejected, attempts)))


def latest(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return one row per key, sorted by it: that of the latest attempt, its last if several."""
    if key[0] == "timestamp" and (rows["timestamp"].diff().drop_nulls() > timedelta()).all():
        return rows  # each page once, in order: what a quiet backfill leaves
    varying = [name for name in key if (rows[name] != rows[name].first()).any()] or key[:1]
    order = rows.select(pl.arg_sort_by(*varying, "attempt", maintain_order=True)).to_series()
    keys = rows.select(pl.col(varying).gather(order))
    changes = (pl.col(name).ne_missing(pl.col(name).shift(-1)) for name in varying)
    is_last = keys.select(pl.any_horizontal(changes)).to_series()
    return rows[order.filter(is_last)]  # one copy of the rows, where a sort makes two


def _decode(
    folder: Path, attempts: pa.Table, read: Read, dataset: Fetched
) -> tuple[pl.LazyFrame, list[Answer]]:
    """Return all rows good attempts sent of what they were asked for, and what each attempt says.

    Rows carry the number of their attempt. Rows that were not closed yet when they were sent are
    left out, and so are rows nobody asked for: a page may be shifted.
    """
    starts, ends = (_ms(attempts, name) for name in ("window_start", "window_end"))
    good = [outcome == OK for outcome in attempts["outcome"].to_pylist()]
    number = {name: i for i, name in enumerate(attempts["attempt_id"].to_pylist())}
    answers = [
        Answer(Span(int(start), int(end)), int(at), is_ok=False)
        for start, end, at in zip(starts, ends, read.fetched_ms, strict=True)
    ]
    frames = {}
    for name, body in raw.bodies(folder):
        if good[i := number[name]]:
            page, answers[i] = dataset.proof.heard(_page(dataset, name, body), answers[i])
            closed = dataset.proof.closed(page, int(read.sent_ms[i]))
            frames[answers[i].first_ms or 0, i] = closed.with_columns(
                attempt=pl.lit(i, dtype=pl.UInt32)
            )
    ordered = [frames[key] for key in sorted(frames)]  # most often the rows are sorted then
    return pl.concat([dataset.empty_page(), *ordered]).lazy(), answers


def _page(dataset: Fetched, attempt_id: str, body: bytes) -> pl.DataFrame:
    try:
        return dataset.decode(body)
    except msgspec.DecodeError as error:
        message = f"raw attempt {attempt_id} was staged as good and does not decode: {error}"
        raise EtlError(message) from error


def _with_source(rejected: pl.DataFrame, attempts: pa.Table) -> pl.DataFrame:
    """Name the attempt each rejected row came from."""
    ids = pl.Series("attempt_id", attempts["attempt_id"].to_pylist(), dtype=pl.String)
    return rejected.with_columns(ids.gather(rejected["attempt"])).drop("attempt")


def _within(frame: pl.DataFrame, span: Span) -> pl.DataFrame:
    ms = pl.col("timestamp").dt.epoch("ms")
    return frame.filter(ms.is_between(span.start_ms, span.end_ms, closed="left"))


def _bounds_ms(clean: pl.DataFrame) -> tuple[int, int] | tuple[None, None]:
    ticks = ticks_of(clean)
    return (int(ticks.min()), int(ticks.max())) if ticks.size else (None, None)


def _fillers(clean: pl.DataFrame) -> int:
    return int((clean["volume"] == 0).sum()) if "volume" in clean.columns else 0


def _ms(attempts: pa.Table, name: str) -> Ticks:
    return _milliseconds(attempts[name].cast(pa.int64()))


def _sent_ms(attempts: pa.Table) -> Ticks:
    """Return the exchange's clock at each answer, our own where it sent none."""
    ours = attempts["fetched_at"].cast(pa.int64())
    return _milliseconds(pc.coalesce(attempts["us_out"], ours))


def _milliseconds(microseconds: pa.ChunkedArray) -> Ticks:
    milliseconds: Ticks = microseconds.to_numpy() // 1000
    return milliseconds
