"""The dataset `instruments`: the history as one file, published, read back, and asked.

Rows are made and read a few thousand at a time: records of a hundred thousand options are a
hundred megabytes, and one copy of them is enough.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count

import polars as pl
import pyarrow as pa

from etl.deribit.answer import OK
from etl.instruments.answers import Odd, read_one
from etl.instruments.history import Aside, History, Interval, ListAnswer, fold
from lake import raw
from lake.arrow import arrow
from lake.errors import CorruptFileError
from lake.ledger import Record, read_record, write_record
from lake.lock import Wait, locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import tidy
from lake.read import check_footer, checksum_of, footer, scan_files
from lake.store.parquet import ParquetFile, open_parquet
from lake.write import ZSTD_LEVEL, publish_batches
from validators import contract
from validators.schemas.instruments import Instruments

PARTITION = Partition("instruments", "all", "all")
FOLDED = b"deribit_lake.folded"
FRAME_ROWS = 16_384
COLUMNS = (
    "instrument_id", "instrument_name", "kind", "creation_timestamp", "tick_size",
    "base_currency", "quote_currency", "counter_currency", "settlement_currency",
    "settlement_period", "instrument_type", "price_index", "expiration_timestamp",
    "contract_size", "min_trade_amount", "strike", "option_type", "state", "is_active",
)  # fmt: skip
_STAMP = pl.Datetime("us", "UTC")
_HELD = ["valid_from", "first_seen", "last_seen"]
_Row = tuple[int | None, Interval]  # when the next interval begins [µs]


def to_frame(history: History) -> pl.DataFrame:
    """Return one row per interval, sorted by id and start; the last of each is open."""
    return pl.concat(frames(history), rechunk=True)


def frames(history: History) -> Iterator[pl.DataFrame]:
    """Yield the rows of `to_frame` in frames of a bounded size, at least one."""
    rows = [
        (after.from_us if after else None, each)
        for _, held in sorted(history.intervals.items())
        for each, after in zip(held, [*held[1:], None], strict=True)
    ]
    told = pl.concat([_told(history, part) for part in _parts(rows)])
    told = told.with_columns(_relisted(told)).rename({"instrument_name": "instrument"})
    for first, part in zip(count(0, FRAME_ROWS), _parts(rows), strict=False):
        records = [history.records[each.record].decode() for _, each in part]
        yield told.slice(first, len(part)).with_columns(pl.Series("record", records, pl.String))


def _parts(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for first in range(0, max(len(rows), 1), FRAME_ROWS):
        yield rows[first : first + FRAME_ROWS]


def _told(history: History, rows: Sequence[_Row]) -> pl.DataFrame:
    """Return all columns but the records."""
    listed = [history.listed(each) for _, each in rows]
    columns = {name: [getattr(one, name) for one in listed] for name in COLUMNS}
    held: dict[str, list[int | None]] = {
        "valid_from": [each.from_us for _, each in rows],
        "valid_to": [end for end, _ in rows],
        "first_seen": [each.first_us for _, each in rows],
        "last_seen": [each.last_us for _, each in rows],
    }
    return pl.DataFrame(columns, schema=_schema(), strict=False).with_columns(
        *(pl.Series(name, values, pl.Int64).cast(_STAMP) for name, values in held.items()),
        pl.Series("lists", [",".join(sorted(each.lists)) for _, each in rows], pl.String),
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


def refold(lake: Lake, *, whole: bool = False, wait: Wait = False) -> History:
    """Fold what was staged since the last time, or everything, and publish it.

    The same bytes come out either way.

    Raises
    ------
    ContractError
        If a row breaks the contract of `instruments`.
    PartitionBusyError
        If another process is folding, and is not waited for.
    """
    with locked(lake, [PARTITION], wait=wait):
        tidy(lake, PARTITION)
        history = History() if whole else read(lake)
        fold(history, _staged(lake, history))
        publish(lake, history)
    return history


def staged(lake: Lake) -> Iterator[Partition]:
    """Yield the one partition there is, if any list was staged."""
    if lake.raw("get_instruments").exists():
        yield PARTITION


def rebuild(lake: Lake, partition: Partition) -> Record:
    """Fold everything that was staged, and return what it amounts to."""
    refold(lake, whole=True)
    return read_record(lake, partition) or Record()


def publish(lake: Lake, history: History) -> None:
    """Write the dataset, with what a later fold has to know, and the line that vouches for it."""
    known = {"heard": history.heard, "segments": sorted(history.segments)}
    schema = arrow(next(frames(History()))).schema
    schema = schema.with_metadata({FOLDED: json.dumps(known, sort_keys=True)})
    path = lake.clean(PARTITION)
    publish_batches(_checked(history), schema, path, ZSTD_LEVEL)
    heard = sorted(history.heard.values())
    record = Record(
        rows=sum(map(len, history.intervals.values())),
        first_ms=heard[0] // 1000 if heard else None,
        last_ms=heard[-1] // 1000 if heard else None,
        checksum=checksum_of(path),
        segments=tuple(sorted(history.segments)),
    )
    write_record(lake, PARTITION, record)


def _checked(history: History) -> Iterator[pa.RecordBatch]:
    for frame in frames(history):
        contract.check_rows(frame, Instruments)
        yield from arrow(frame).combine_chunks().to_batches()


def read(lake: Lake) -> History:
    """Return what was folded so far; nothing where nothing was.

    Raises
    ------
    CorruptFileError
        If the file cannot be read; `history rebuild` makes it anew.
    """
    path = lake.clean(PARTITION)
    if not path.is_file():
        return History()
    try:
        with open_parquet(path, page_checksum_verification=True) as file:
            return _read(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def _read(file: ParquetFile) -> History:
    known = json.loads(file.schema_arrow.metadata[FOLDED])
    history = History(heard=known["heard"], segments=set(known["segments"]))
    for batch in file.iter_batches(FRAME_ROWS, columns=[*_HELD, "record", "lists"]):
        frame = pl.DataFrame(batch).with_columns(pl.col(_HELD).to_physical())
        for text, lists, *moments in frame.select("record", "lists", *_HELD).iter_rows():
            record = text.encode()
            found = read_one(record)
            if isinstance(found, Odd) or found.instrument_id is None:  # of an older version
                odd = (
                    found if isinstance(found, Odd) else Odd(found.instrument_name, "it has no id")
                )
                history.aside.append(Aside(min(_split(lists)), moments[1], odd))
                continue
            since, first, last = moments
            history.add(found.instrument_id, record, (since, first, last), _split(lists))
    return history


@lru_cache
def _split(lists: str) -> frozenset[str]:
    return frozenset(lists.split(","))


def _staged(lake: Lake, history: History) -> Iterator[ListAnswer]:
    """Yield the good answers in segments not folded yet, as they came, noting the segments."""
    root = lake.raw("get_instruments")
    there = [segment.rpartition("/")[::-2] for segment in raw.segments(root)]
    for name, inside in sorted(there):  # a segment's name begins with when it was fetched
        segment = f"{inside}/{name}"
        if segment in history.segments:
            continue
        history.segments.add(segment)
        keys = dict(part.split("=", 1) for part in inside.split("/"))
        for heard_us, body in raw.answers(root / segment, OK):
            is_expired = keys.get("expired") == "true"
            yield ListAnswer(keys["kind"], keys["currency"], is_expired, heard_us, body)


def scan(lake: Lake) -> pl.LazyFrame:
    """Return the intervals without their records, lazily.

    Raises
    ------
    CorruptFileError
        If it cannot be read, or the history was never refreshed.
    """
    (path,) = lake.files(PARTITION.dataset)  # an older lake has it elsewhere
    check_footer(path)
    return scan_files([path]).drop("record", "lists")


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


def heard(lake: Lake) -> dict[str, int]:
    """Return when each list last came, by its scope [µs]; nothing where none was folded."""
    path = lake.clean(PARTITION)
    if not path.is_file():
        return {}
    known = json.loads((footer(path).metadata or {}).get(FOLDED, b"{}"))
    return {scope: int(at) for scope, at in known.get("heard", {}).items()}


def births(lake: Lake) -> pl.DataFrame:
    """Return when each instrument was listed: `instrument`, `creation_timestamp` [ms].

    None where the history was never refreshed.
    """
    if not lake.files(PARTITION.dataset):
        return pl.DataFrame(schema={"instrument": pl.String(), "creation_timestamp": pl.Int64()})
    born = scan(lake).group_by("instrument").agg(pl.col("creation_timestamp").min())
    return born.collect()
