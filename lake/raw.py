"""Stage what the exchange sent, byte for byte, before anything is made of it."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import CorruptFileError
from lake.write import publish_table

SEGMENT_ZSTD_LEVEL = 6  # 13.7 bytes a candle against 14.9 at level 3, for 0.5 µs a candle more
MERGE_FROM = 8  # segments in a folder

_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("attempt_id", pa.string(), nullable=False),
        pa.field("fetched_at", _TIME, nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("params", pa.string(), nullable=False),
        pa.field("window_start", _TIME, nullable=False),
        pa.field("window_end", _TIME, nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("http_status", pa.int32()),
        pa.field("us_in", pa.int64()),
        pa.field("us_out", pa.int64()),
        pa.field("body", pa.binary()),
    ]
)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request and whatever came of it, failed ones too.

    Times are Unix microseconds; `window_*` is the half-open interval that was asked for.
    `outcome` is ``ok`` for a whole envelope with a result of the expected shape, else the reason.
    """

    attempt_id: str
    fetched_at: int
    host: str
    params: str
    window_start: int
    window_end: int
    outcome: str
    http_status: int | None = None
    us_in: int | None = None
    us_out: int | None = None
    body: bytes | None = None


def stage(attempts: Sequence[Attempt], folder: Path) -> Path:
    """Publish `attempts` as one immutable segment in `folder` and return its path."""
    columns = {name: [getattr(attempt, name) for attempt in attempts] for name in SCHEMA.names}
    table = pa.table(columns, schema=SCHEMA)
    path = _segment_path(folder, attempts[0].fetched_at)
    publish_table(table, path)
    return path


def segments(folder: Path) -> tuple[str, ...]:
    """Return the names of the segments in `folder`, oldest first."""
    return tuple(sorted(path.name for path in folder.glob("*.parquet")))


def read(folder: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return every attempt staged in `folder` once, in the order they were fetched.

    Raises
    ------
    CorruptFileError
        If a segment cannot be read.
    """
    names = ["attempt_id", "fetched_at", *(columns or SCHEMA.names[2:])]
    tables = [_read_segment(folder / name, names) for name in segments(folder)]
    if not tables:
        return SCHEMA.empty_table().select(names)
    return _distinct(pa.concat_tables(tables))


def merge(folder: Path, *, at_least: int = MERGE_FROM) -> None:
    """Merge the segments of `folder` into one, keeping every attempt.

    A kill between the two steps leaves attempts in two segments; `read` counts each once.
    """
    names = segments(folder)
    if len(names) < max(at_least, 2):
        return
    table = read(folder)
    merged = _segment_path(folder, table["fetched_at"][0].value)
    publish_table(table, merged, level=SEGMENT_ZSTD_LEVEL)
    for name in names:
        (folder / name).unlink()


def _segment_path(folder: Path, fetched_at_us: int) -> Path:
    return folder / f"{fetched_at_us}-{secrets.token_hex(4)}.parquet"


def _read_segment(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=list(columns), partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def _distinct(table: pa.Table) -> pa.Table:
    table = table.sort_by([("fetched_at", "ascending"), ("attempt_id", "ascending")])
    ids = table["attempt_id"].to_pylist()
    first = [i for i, name in enumerate(ids) if i == 0 or name != ids[i - 1]]
    return table if len(first) == len(ids) else table.take(first)
