"""Fold the raw attempts of a partition into clean rows, rejected rows and the ledger's record.

A pure function of what was staged: fold it again, anywhere, and the same bytes come out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.datasets import Dataset
from etl.deribit.client import OK
from etl.errors import EtlError
from etl.proof.grid import Grid, union, year_span
from etl.proof.witnesses import Answer, Facts, Ticks, find_gaps
from etl.transform import latest
from lake import raw
from lake.ledger import Reading, Record, Span, read_record, write_record
from lake.paths import Lake, Partition
from lake.read import checksum
from lake.write import publish_table
from validators import contract
from validators.outages import Outage, documented


@dataclass(frozen=True, slots=True)
class Terms:
    """What a fold is judged by, besides raw."""

    life: Span
    now_ms: int
    settle_ms: int
    confirm_after_ms: int
    outages: Sequence[Outage]

    def facts(self, grid: Grid) -> Facts:
        """Return what coverage is judged by."""
        return Facts(
            grid,
            self.life,
            self.now_ms,
            self.confirm_after_ms,
            documented=lambda hole: _source(hole, grid, self.outages),
        )


@dataclass(frozen=True, slots=True)
class Folded:
    """What one partition's raw amounts to."""

    record: Record
    clean: pa.Table
    rejected: pa.Table


def raw_folder(lake: Lake, dataset: Dataset, instrument: str, year: int) -> Path:
    """Return the folder the attempts of a partition are staged in."""
    method = dataset.method.removeprefix("public/")
    return lake.raw(method, instrument=instrument, resolution=dataset.resolution, year=year)


def fold(
    lake: Lake, dataset: Dataset, partition: Partition, wanted: Sequence[Span], terms: Terms
) -> Folded:
    """Return what the raw attempts of a partition amount to.

    Raises
    ------
    CorruptFileError
        If a raw segment cannot be read.
    ContractError
        If a page has columns its contract does not know how to judge.
    """
    folder = raw_folder(lake, dataset, partition.instrument, partition.year)
    segments = raw.segments(folder)
    attempts = raw.read(folder)
    rows, answers = _decode(folder, attempts, dataset)
    split = contract.split(dataset.transform(rows, partition.instrument).collect(), dataset.model)
    year = year_span(partition.year)
    rejected = _within(split.rejected, year)
    valid = latest(_within(split.valid, year))
    clean = valid.select(dataset.columns)
    contract.check_key(clean)  # the rows have passed the rest, one by one
    held = _ticks(clean)
    table = arrow(clean)
    record = Record(
        wanted=tuple(union(wanted)),
        rows=len(clean),
        fillers=_fillers(clean),
        first_ms=int(held[0]) if held.size else None,
        last_ms=int(held[-1]) if held.size else None,
        checksum=checksum(table) if held.size else None,
        quarantined=len(rejected),
        attempts=attempts.num_rows,
        gaps=find_gaps(
            wanted, held, np.unique(_ticks(rejected)), answers, terms.facts(dataset.grid)
        ),
        provisional=_provisional(valid, attempts, dataset.grid, terms.settle_ms),
        segments=segments,
    )
    return Folded(record, table, arrow(_with_source(rejected, attempts)))


def publish(lake: Lake, partition: Partition, folded: Folded) -> None:
    """Publish a fold: clean, then quarantine, then the ledger that vouches for both.

    A file whose content stays the same is not touched.
    """
    before = read_record(lake, partition)
    clean, quarantine = lake.clean(partition), lake.quarantine(partition)
    same = before is not None and before.checksum == folded.record.checksum
    if folded.clean.num_rows and not (same and clean.exists()):
        publish_table(folded.clean, clean)
    if folded.rejected.num_rows:
        publish_table(folded.rejected, quarantine)
    else:
        quarantine.unlink(missing_ok=True)
    if before != folded.record:
        write_record(lake, partition, folded.record)


def arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as an Arrow table of the types every Parquet reader knows."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [
        field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _decode(
    folder: Path, attempts: pa.Table, dataset: Dataset
) -> tuple[pl.LazyFrame, list[Answer]]:
    """Return all rows good attempts sent of what they were asked for, and what each attempt says.

    Rows carry the number of their attempt. Rows that were not closed yet when they were sent are
    left out, and so are rows nobody asked for: a page may be shifted.
    """
    starts, ends, fetched = (
        _ms(attempts, name) for name in ("window_start", "window_end", "fetched_at")
    )
    sent = _sent_ms(attempts)
    good = [outcome == OK for outcome in attempts["outcome"].to_pylist()]
    number = {name: i for i, name in enumerate(attempts["attempt_id"].to_pylist())}
    answers = [
        Answer(Span(int(start), int(end)), int(at), is_ok=False)
        for start, end, at in zip(starts, ends, fetched, strict=True)
    ]
    frames = {}
    for name, body in raw.bodies(folder):
        if good[i := number[name]]:
            page, answers[i] = _asked(_page(dataset, name, body), answers[i], dataset)
            closed = _within_ms(page, 0, int(sent[i]) - dataset.grid.closes_after_ms + 1)
            frames[answers[i].first_ms or 0, i] = closed.with_columns(
                attempt=pl.lit(i, dtype=pl.UInt32)
            )
    in_order = [frames[key] for key in sorted(frames)]
    return pl.concat([dataset.empty_page(), *in_order]).lazy(), answers


def _asked(page: pl.DataFrame, answer: Answer, dataset: Dataset) -> tuple[pl.DataFrame, Answer]:
    """Return the rows of a page that were asked for, and the answer with what it says of them.

    One row more at either end is no fault: how the exchange rounds a start is not documented.
    """
    start, end, step = answer.window.start_ms, answer.window.end_ms, dataset.grid.step_ms
    asked = _within_ms(page, start, end)
    near = _within_ms(page, start - step, end + step)
    is_off = len(near) < len(page) or (asked.is_empty() and not page.is_empty())
    is_shifted = is_off and not dataset.is_wide
    first, last = _bounds(asked)
    return asked, answer._replace(is_ok=True, first_ms=first, last_ms=last, is_shifted=is_shifted)


def _within_ms(page: pl.DataFrame, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Return the rows of a page inside ``[start_ms, end_ms)``: most often the page itself."""
    first, last = _bounds(page)
    if first is None or last is None or (start_ms <= first and last < end_ms):
        return page
    return page.filter(pl.col("timestamp_ms").is_between(start_ms, end_ms, closed="left"))


def _bounds(page: pl.DataFrame) -> tuple[int, int] | tuple[None, None]:
    ticks = page["timestamp_ms"].to_numpy()
    return (int(ticks.min()), int(ticks.max())) if ticks.size else (None, None)


def _page(dataset: Dataset, attempt_id: str, body: bytes) -> pl.DataFrame:
    try:
        return dataset.decode(body)
    except msgspec.DecodeError as error:
        message = f"raw attempt {attempt_id} was staged as good and does not decode: {error}"
        raise EtlError(message) from error


def _source(hole: Span, grid: Grid, outages: Sequence[Outage]) -> str | None:
    """Return the source of a documented outage that covers the time a hole's rows describe."""
    behind = grid.step_ms - grid.closes_after_ms  # a funding row describes the hour before it
    slack = max(behind - 1, 0)
    found = documented(hole.start_ms - behind, hole.end_ms - behind, outages, slack_ms=slack)
    return found.source if found else None


def _provisional(
    valid: pl.DataFrame, attempts: pa.Table, grid: Grid, settle_ms: int
) -> tuple[Reading, ...]:
    """Return the rows that were read less than `settle_ms` after their close, by reading."""
    ticks, attempt = _ticks(valid), valid["attempt"].to_numpy()
    young = _sent_ms(attempts)[attempt] - (ticks + grid.closes_after_ms) < settle_ms
    ticks, attempt = ticks[young], attempt[young]
    if not ticks.size:
        return ()
    breaks = np.flatnonzero((np.diff(ticks) > grid.step_ms) | (np.diff(attempt) != 0))
    first, last = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [ticks.size - 1]])
    read = _ms(attempts, "fetched_at")[attempt[first]]
    return tuple(
        Reading(int(start), int(end) + grid.step_ms, int(at))
        for start, end, at in zip(ticks[first], ticks[last], read, strict=True)
    )


def _with_source(rejected: pl.DataFrame, attempts: pa.Table) -> pl.DataFrame:
    """Name the attempt each rejected row came from."""
    ids = pl.Series("attempt_id", attempts["attempt_id"].to_pylist(), dtype=pl.String)
    return rejected.with_columns(ids.gather(rejected["attempt"])).drop("attempt")


def _within(frame: pl.DataFrame, span: Span) -> pl.DataFrame:
    ms = pl.col("timestamp").dt.epoch("ms")
    return frame.filter(ms.is_between(span.start_ms, span.end_ms, closed="left"))


def _fillers(clean: pl.DataFrame) -> int:
    return int((clean["volume"] == 0).sum()) if "volume" in clean.columns else 0


def _ticks(frame: pl.DataFrame) -> Ticks:
    ticks: Ticks = frame["timestamp"].dt.epoch("ms").to_numpy()
    return ticks


def _ms(attempts: pa.Table, name: str) -> Ticks:
    return _milliseconds(attempts[name].cast(pa.int64()))


def _sent_ms(attempts: pa.Table) -> Ticks:
    """Return the exchange's clock at each answer, our own where it sent none."""
    ours = attempts["fetched_at"].cast(pa.int64())
    return _milliseconds(pc.coalesce(attempts["us_out"], ours))


def _milliseconds(microseconds: pa.ChunkedArray) -> Ticks:
    milliseconds: Ticks = microseconds.to_numpy() // 1000
    return milliseconds
