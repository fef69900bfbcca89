"""Fold the raw attempts of a partition into clean rows, rejected rows and the ledger's record.

A pure function of what was staged: fold it again, anywhere, and the same bytes come out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.dataset import Fetched, columns_of
from etl.deribit.answer import OK
from etl.errors import EtlError
from etl.proof.agreement import CLOCK, ranked
from etl.proof.protocol import (
    Answer,
    Read,
    Terms,
    Ticks,
    looks_of,
    ticks_of,
)
from etl.when import format_moment
from lake import raw
from lake.arrow import arrow
from lake.ledger import Record
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import Content
from lake.read import checksum
from lake.span import Span, clip, union
from validators import contract

CLOCK_MS = 60_000  # by how much the clocks of the exchange's machines may differ
MOST_TIES = 10_000  # beyond it a sort is faster
JUDGED = 1  # raised when the same raw would be judged otherwise
_CLOCK_WORDS = "its clock"


def is_folded(record: Record, segments: Sequence[str]) -> bool:
    """Whether a record says all that these raw segments amount to, by the rules of today."""
    is_judged = record.judged == JUDGED or not segments
    return record.segments == segments and is_judged


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
    attempts = _as_sent(raw.read(folder, segments))
    read = Read(_put_right(_ms(attempts, "fetched_at")), _sent_ms(attempts))
    bodies = raw.bodies(folder, names=segments)
    rows, answers = _decode(bodies, attempts, read, dataset)
    valid, broken = _split(dataset.transform(rows, partition.part).collect(), dataset)
    del rows  # all pages as they came; a month of trades is large
    valid, rejected, answers = _held_together(
        _within(valid, partition.span), answers, dataset, read, terms
    )
    rejected = pl.concat([_within(broken, partition.span), rejected])
    valid = _wanted_of(valid, union(clip(span, partition.span) for span in wanted))
    valid = _in_order(valid, contract.order_of(dataset.model))
    clean = valid.select(columns_of(dataset))
    order = contract.order_of(dataset.model)
    contract.check_key(ranked(clean.select(order)), order)  # the rest was asked row by row
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
        left_out=sum(answer.left_out for answer in answers if not answer.doubt),
        doubted=sum(bool(answer.doubt) for answer in answers),
        attempts=attempts.num_rows,
        judged=JUDGED,
        gaps=dataset.proof.gaps(wanted, valid, rejected, answers, terms),
        provisional=dataset.proof.provisional(valid, read, terms.rules.settle_ms),
        looks=looks_of(answers),
        segments=segments,
    )
    told = tuple(f"{partition}: {words}" for words in _doubts(answers))
    rejected = arrow(_with_source(rejected, attempts))
    return Content(record, table, rejected, told, contract.layout_of(dataset.model))


def _split(rows: pl.DataFrame, dataset: Fetched) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that keep the contract, and those that break it or were refused before."""
    if "refused" not in rows.columns:
        split = contract.split(rows, dataset.model)
        return split.valid, split.rejected
    is_refused = pl.col("refused").is_not_null()
    refused = rows.filter(is_refused).rename({"refused": "failed_check"})
    kept = rows.filter(~is_refused) if len(refused) else rows
    split = contract.split(kept.drop("refused"), dataset.model)
    return split.valid, pl.concat([split.rejected, refused.select(split.rejected.columns)])


def _in_order(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Return rows as they are sorted in a file: almost always as they are."""
    is_sorted = contract.is_sorted(ranked(rows.select(order)), order)
    return rows if is_sorted else rows.sort(order, maintain_order=True)


def _as_sent(attempts: pa.Table) -> pa.Table:
    """Return attempts as they were fetched; as they were sent, if our own clock was put back.

    Answers that were in flight together may overtake each other: that is no clock.
    """
    sent = _sent_ms(attempts)
    if not sent.size or (np.maximum.accumulate(sent) - sent).max() <= CLOCK_MS:
        return attempts
    return attempts.take(np.argsort(sent, kind="stable"))


def _put_right(fetched_ms: Ticks) -> Ticks:
    """Return when attempts were fetched by a clock that never goes back: none after a later one.

    Time that only a clock that was ahead has seen go by does not lie between two looks.
    """
    return np.minimum.accumulate(fetched_ms[::-1])[::-1]


def _held_together(
    valid: pl.DataFrame, answers: Sequence[Answer], dataset: Fetched, read: Read, terms: Terms
) -> tuple[pl.DataFrame, pl.DataFrame, list[Answer]]:
    """Return one row a key that nothing speaks against, the rows in doubt, and whose they are."""
    proof, settle_ms = dataset.proof, terms.rules.settle_ms
    told = list(answers)
    liars = [i for i, one in enumerate(told) if one.doubt.startswith(_CLOCK_WORDS)]
    by_clock = valid.filter(pl.col("attempt").is_in(liars)).with_columns(failed_check=pl.lit(CLOCK))
    misplaced = sorted(proof.misplaced(_without(valid, liars), told, settle_ms))
    for i in misplaced:
        told[i] = told[i]._replace(doubt="it lacks its first or its last row, and others have it")
    valid = _without(valid, [*liars, *misplaced])
    key = contract.key_of(dataset.model)
    found = proof.agreed(valid, key, proof.is_young(valid, read, settle_ms))
    for i in found.lost | found.open:
        words = "others have other rows" if i in found.lost else "another has other rows"
        told[i] = told[i]._replace(doubt=f"{words} at the same time")
    contradicted = found.contradicted.select(by_clock.columns)
    return latest(found.rows.select(valid.columns), key), pl.concat([by_clock, contradicted]), told


def _without(rows: pl.DataFrame, attempts: Sequence[int]) -> pl.DataFrame:
    """Return the rows that none of these attempts brought: the same frame, if they are none."""
    return rows.filter(~pl.col("attempt").is_in(attempts)) if attempts else rows


def _doubts(answers: Sequence[Answer]) -> list[str]:
    """Say which answers are not believed, and why."""
    counts = Counter(answer.doubt for answer in answers if answer.doubt)
    return [
        f"{count} answer{'s' * (count > 1)} not believed: {doubt}"
        for doubt, count in sorted(counts.items())
    ]


def latest(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return one row per key, sorted by it: that of the latest attempt, its last if several."""
    if rows.is_empty():
        return rows
    if key[0] == "timestamp":
        steps = np.diff(rows["timestamp"].to_physical().to_numpy())
        if (steps > 0).all():
            return rows  # each page once, in order
        if (steps >= 0).all() and (steps == 0).sum() < MOST_TIES and _is_one(rows, key[1:]):
            return rows.filter(_is_latest(steps, rows["attempt"].to_numpy()))
    varying = [name for name in key if (rows[name] != rows[name].first()).any()] or key[:1]
    ranks = ranked(rows.select(*varying, "attempt"))
    order = ranks.select(pl.arg_sort_by(*varying, "attempt", maintain_order=True)).to_series()
    keys = ranks.select(pl.col(varying).gather(order))
    changes = (pl.col(name).ne_missing(pl.col(name).shift(-1)) for name in varying)
    is_last = keys.select(pl.any_horizontal(changes)).to_series()
    return rows[order.filter(is_last)]  # one copy of the rows, where a sort makes two


def _is_one(rows: pl.DataFrame, columns: Sequence[str]) -> bool:
    return all(rows[name].n_unique() <= 1 for name in columns)


def _is_latest(steps: Ticks, attempts: Ticks) -> pl.Series:
    """Tell which rows are the latest of their time, where rows of one time follow each other."""
    kept = np.ones(attempts.size, dtype=bool)
    for place in np.flatnonzero(steps == 0).tolist():  # pages share a row with their neighbour
        before = place
        while not kept[before]:
            before -= 1
        older = before if attempts[before] <= attempts[place + 1] else place + 1
        kept[older] = False
    return pl.Series(kept)


def _decode(
    bodies: Iterable[tuple[str, bytes]], attempts: pa.Table, read: Read, dataset: Fetched
) -> tuple[pl.LazyFrame, list[Answer]]:
    """Return all rows good attempts sent of what they were asked for, and what each attempt says.

    Rows carry the number of their attempt. Rows that were not closed yet when they were sent are
    left out, and so are rows nobody asked for: a page may be shifted.
    """
    starts, ends = (_ms(attempts, name) for name in ("window_start", "window_end"))
    good = [outcome == OK for outcome in attempts["outcome"].to_pylist()]
    number = {name: i for i, name in enumerate(attempts["attempt_id"].to_pylist())}
    answers = [
        Answer(Span(int(start), int(end)), int(at), is_ok=False, sent_ms=int(sent), asked=asked)
        for start, end, at, sent, asked in zip(
            starts, ends, *read, attempts["params"].to_pylist(), strict=True
        )
    ]
    frames = {}
    for name, body in bodies:
        if good[i := number[name]]:
            page, said = dataset.proof.heard(_page(dataset, name, body), answers[i])
            answers[i] = said = _by_its_clock(said)
            if not said.doubt:
                page = dataset.proof.closed(page, int(read.sent_ms[i]))
            frames[said.first_ms or 0, i] = page.with_columns(attempt=pl.lit(i, dtype=pl.UInt32))
    ordered = [frames[key] for key in sorted(frames)]  # most often the rows are sorted then
    return pl.concat([dataset.empty_page(), *ordered]).lazy(), answers


def _by_its_clock(said: Answer) -> Answer:
    """Return an answer, in doubt if it has rows of a time its own clock had not come to."""
    if said.last_ms is None or said.sent_ms is None or said.last_ms <= said.sent_ms + CLOCK_MS:
        return said
    sent, row = format_moment(said.sent_ms), format_moment(said.last_ms)
    return said._replace(doubt=f"{_CLOCK_WORDS} says {sent}, and it has rows of {row}")


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
    first, last = _bounds_ms(frame)
    if first is None or last is None or (span.start_ms <= first and last < span.end_ms):
        return frame
    ms = pl.col("timestamp").dt.epoch("ms")
    return frame.filter(ms.is_between(span.start_ms, span.end_ms, closed="left"))


def _wanted_of(frame: pl.DataFrame, wanted: Sequence[Span]) -> pl.DataFrame:
    """Return the rows that are wanted: neighbours of a hole came only to show it."""
    first, last = _bounds_ms(frame)
    if first is None or last is None:
        return frame
    if any(span.start_ms <= first and last < span.end_ms for span in wanted):
        return frame
    ms = pl.col("timestamp").dt.epoch("ms")
    inside = (ms.is_between(span.start_ms, span.end_ms, closed="left") for span in wanted)
    return frame.filter(pl.any_horizontal(pl.lit(value=False), *inside))


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
