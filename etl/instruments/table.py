"""The dataset `instruments`: the universe as one file, published, read back, and asked.

Rows are made and read a few thousand at a time: records of a hundred thousand options are a
hundred megabytes, and one copy of them is enough.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from etl.backfill.fold import arrow
from etl.deribit.client import OK
from etl.instruments.history import Answer, Interval, Listed, Universe, decode_named, fold
from lake import raw
from lake.errors import CorruptFileError
from lake.paths import Lake
from lake.read import check_footer
from lake.write import ZSTD_LEVEL, publish_batches
from validators import contract
from validators.universe import Instruments

FOLDED = b"deribit_lake.folded"
FRAME_ROWS = 16_384
COLUMNS = tuple(Listed.__struct_fields__)
_STAMP = pl.Datetime("us", "UTC")
_HELD = ["valid_from", "first_seen", "last_seen"]
_Row = tuple[int | None, Interval]  # when the next interval begins [µs]


def to_frame(universe: Universe) -> pl.DataFrame:
    """Return one row per interval, sorted by id and start; the last of each is open."""
    return pl.concat(frames(universe), rechunk=True)


def frames(universe: Universe) -> Iterator[pl.DataFrame]:
    """Yield the rows of `to_frame` in frames of a bounded size, at least one."""
    rows = [
        (after.from_us if after else None, each)
        for _, held in sorted(universe.intervals.items())
        for each, after in zip(held, [*held[1:], None], strict=True)
    ]
    ends = _relisted(pl.concat([_named(part) for part in _parts(rows)]))
    for first, part in zip(count(0, FRAME_ROWS), _parts(rows), strict=False):
        yield _frame(part, ends[first : first + len(part)])


def _parts(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for first in range(0, max(len(rows), 1), FRAME_ROWS):
        yield rows[first : first + FRAME_ROWS]


def _named(rows: Sequence[_Row]) -> pl.DataFrame:
    """Return what tells whether a name was taken over by another instrument."""
    listed = [each.listed() for _, each in rows]
    return pl.DataFrame(
        [
            pl.Series("instrument_id", [one.instrument_id for one in listed], pl.Int64),
            pl.Series("instrument_name", [one.instrument_name for one in listed], pl.String),
            pl.Series("valid_from", [each.from_us for _, each in rows], pl.Int64).cast(_STAMP),
            pl.Series("valid_to", [end for end, _ in rows], pl.Int64).cast(_STAMP),
        ]
    )


def _frame(rows: Sequence[_Row], ends: pl.Series) -> pl.DataFrame:
    listed, held = [each.listed() for _, each in rows], [each for _, each in rows]
    columns = {name: [getattr(one, name) for one in listed] for name in COLUMNS}
    return (
        pl.DataFrame(columns, schema=_schema(), strict=False)
        .with_columns(
            pl.Series("valid_from", [each.from_us for each in held], pl.Int64).cast(_STAMP),
            ends.alias("valid_to"),
            pl.Series("first_seen", [each.first_us for each in held], pl.Int64).cast(_STAMP),
            pl.Series("last_seen", [each.last_us for each in held], pl.Int64).cast(_STAMP),
            pl.Series("lists", [",".join(sorted(each.lists)) for each in held], pl.String),
            pl.Series("record", [each.record.decode() for each in held], pl.String),
        )
        .rename({"instrument_name": "instrument"})
    )


def _schema() -> dict[str, pl.DataType]:
    numbers = {"instrument_id", "creation_timestamp", "expiration_timestamp"}
    floats = {"tick_size", "contract_size", "min_trade_amount", "strike"}
    return {
        name: pl.Int64() if name in numbers
        else pl.Float64() if name in floats
        else pl.Boolean() if name == "is_active"
        else pl.String()
        for name in COLUMNS
    }  # fmt: skip


def _relisted(frame: pl.DataFrame) -> pl.Series:
    """Return `valid_to` of each row, ended where another instrument takes over the name."""
    by_name = frame.with_row_index("row").sort("instrument_name", "valid_from", "row")
    is_same = pl.col("instrument_name") == pl.col("instrument_name").shift(-1)
    is_other = pl.col("instrument_id") != pl.col("instrument_id").shift(-1)
    following = pl.when(is_same & is_other).then(pl.col("valid_from").shift(-1))
    ended = by_name.select("row", pl.min_horizontal("valid_to", following).alias("valid_to"))
    return ended.sort("row")["valid_to"]


def path_of(lake: Lake) -> Path:
    """Return the file of the dataset."""
    return lake.derived("instruments", "all", "universe")


def refold(lake: Lake, *, whole: bool = False) -> Universe:
    """Fold what was staged since the last time, or everything, and publish it.

    The same bytes come out either way.

    Raises
    ------
    ContractError
        If a row breaks the contract of `instruments`.
    """
    universe = Universe() if whole else read(lake)
    fold(universe, _staged(lake, universe))
    publish(lake, universe)
    return universe


def publish(lake: Lake, universe: Universe) -> None:
    """Write the dataset, with what a later fold has to know.

    Raises
    ------
    ContractError
        If a row breaks the contract of `instruments`.
    """
    known = {"heard": universe.heard, "segments": sorted(universe.segments)}
    schema = arrow(next(frames(Universe()))).schema
    schema = schema.with_metadata({FOLDED: json.dumps(known, sort_keys=True)})
    publish_batches(_checked(universe), schema, path_of(lake), ZSTD_LEVEL)


def _checked(universe: Universe) -> Iterator[pa.RecordBatch]:
    for frame in frames(universe):
        contract.check_rows(frame, Instruments)
        yield from arrow(frame).combine_chunks().to_batches()


def read(lake: Lake) -> Universe:
    """Return what was folded so far; nothing where nothing was.

    Raises
    ------
    CorruptFileError
        If the file cannot be read; `universe rebuild` makes it anew.
    """
    path = path_of(lake)
    if not path.exists():
        return Universe()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return _read(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def _read(file: pq.ParquetFile) -> Universe:
    known = json.loads(file.schema_arrow.metadata[FOLDED])
    universe = Universe(heard=known["heard"], segments=set(known["segments"]))
    for batch in file.iter_batches(FRAME_ROWS, columns=[*_HELD, "record", "lists"]):
        frame = pl.DataFrame(batch).with_columns(pl.col(_HELD).to_physical())
        for text, lists, *moments in frame.select("record", "lists", *_HELD).iter_rows():
            record = text.encode()
            since, first, last = moments
            one = Interval(record, since, first, last, _split(lists))
            universe.intervals.setdefault(decode_named(record).instrument_id, []).append(one)
    return universe


@lru_cache
def _split(lists: str) -> frozenset[str]:
    return frozenset(lists.split(","))


def _staged(lake: Lake, universe: Universe) -> Iterator[Answer]:
    """Yield the good answers in segments not folded yet, as they came, noting the segments."""
    root = lake.raw("get_instruments")
    folders = {path.parent for path in root.glob("**/*.parquet")}
    there = [(name, folder) for folder in folders for name in raw.segments(folder)]
    for name, folder in sorted(there):  # a segment's name begins with when it was fetched
        inside = folder.relative_to(root)
        if f"{inside}/{name}" in universe.segments:
            continue
        universe.segments.add(f"{inside}/{name}")
        keys = dict(part.split("=", 1) for part in inside.parts)
        for heard_us, body in raw.answers(folder / name, OK):
            is_expired = keys.get("expired") == "true"
            yield Answer(keys["kind"], keys["currency"], is_expired, heard_us, body)


def scan(lake: Lake) -> pl.LazyFrame:
    """Return the intervals without their records, lazily.

    Raises
    ------
    CorruptFileError
        If it cannot be read, or the universe was never refreshed.
    """
    check_footer(path_of(lake))
    return pl.scan_parquet(path_of(lake)).drop("record", "lists")


def at(intervals: pl.LazyFrame, moment: pl.Expr) -> pl.LazyFrame:
    """Return the intervals that held at a moment, of instruments not expired by then."""
    holds = (pl.col("valid_from") <= moment) & (pl.col("valid_to") > moment).fill_null(value=True)
    ends = pl.col("expiration_timestamp").cast(pl.Datetime("ms", "UTC"))
    return intervals.filter(holds, (ends > moment).fill_null(value=True))


def diff(intervals: pl.LazyFrame, since: pl.Expr, until: pl.Expr) -> pl.LazyFrame:
    """Return what came, went and changed between two moments.

    Returns
    -------
    LazyFrame
        `change` (``listed``, ``gone`` or ``changed``), `instrument`, `kind`, `instrument_id`,
        sorted.
    """
    names = ["instrument_id", "instrument", "kind", "valid_from"]
    before, after = (at(intervals, moment).select(names) for moment in (since, until))
    both = before.join(after, on="instrument_id", how="full", coalesce=True, suffix="_after")
    change = (
        pl.when(pl.col("valid_from").is_null()).then(pl.lit("listed"))
        .when(pl.col("valid_from_after").is_null()).then(pl.lit("gone"))
        .when(pl.col("valid_from") != pl.col("valid_from_after")).then(pl.lit("changed"))
    )  # fmt: skip
    return (
        both.select(
            change.alias("change"),
            pl.coalesce("instrument_after", "instrument").alias("instrument"),
            pl.coalesce("kind_after", "kind").alias("kind"),
            "instrument_id",
        )
        .drop_nulls("change")
        .sort("change", "instrument", "instrument_id")
    )
