"""Stage what the exchange sent, byte for byte, before anything is made of it."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from lake.errors import CorruptFileError
from lake.store.files import Entry, entries, remove_all
from lake.store.files import names as names_in
from lake.store.parquet import ParquetFile, open_parquet
from lake.store.place import Place
from lake.store.together import each
from lake.write import publish_batches, publish_table

STAGED_ZSTD_LEVEL = 1  # pages of trades stay so: 30 bytes a trade against 32 at level 3
SEGMENT_ZSTD_LEVEL = 6  # 13.7 bytes a candle against 14.9 at level 3, for 0.5 µs a candle more
MERGE_FROM = 8  # small segments in a folder
SMALL_BYTES = 150_000  # a page of 5,000 candles takes 75,000, one of 10,000 trades 300,000
BATCH_ATTEMPTS = 8  # about 2.5 MB of bodies, written at once
READ_ATTEMPTS = 2  # and read at once
AHEAD = 4  # segments of a bucket that are opened while one is read

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


def stage(attempts: Sequence[Attempt], folder: Place) -> Place:
    """Publish `attempts` as one immutable segment in `folder` and return its path."""
    columns = {name: [getattr(attempt, name) for attempt in attempts] for name in SCHEMA.names}
    table = pa.table(columns, schema=SCHEMA)
    path = _segment_path(folder, attempts[0].fetched_at)
    publish_table(table, path, level=STAGED_ZSTD_LEVEL)
    return path


def segments(folder: Place) -> tuple[str, ...]:
    """Return the segments in `folder` and below it by their names inside it, oldest first.

    Those of one folder are in order of time; folders below it are named so that they sort by it.
    """
    return tuple(sorted(name for name in names_in(folder) if name.endswith(".parquet")))


def staged(folder: Place) -> list[Entry]:
    """Return the segments in `folder` and below it, their sizes and ages, by one look."""
    return [one for one in entries(folder) if one.name.endswith(".parquet")]


def staged_bytes(folder: Place) -> int:
    """Return how much is staged in `folder` and below it [bytes]."""
    return sum(one.size for one in staged(folder))


def read(folder: Place, names: Sequence[str] | None = None) -> pa.Table:
    """Return what is known of every attempt staged in `folder`, in the order they were fetched.

    All columns but `body`; an attempt that a merge left in two segments counts once. With `names`,
    of the attempts in those segments alone.

    Raises
    ------
    CorruptFileError
        If a segment cannot be read.
    """
    columns = [name for name in SCHEMA.names if name != "body"]
    chosen = segments(folder) if names is None else names
    tables = list(
        each(folder, lambda name: _read_segment(folder / name, columns, twice=True), chosen)
    )
    if not tables:
        return SCHEMA.empty_table().select(columns)
    table = pa.concat_tables(tables)
    table = table.sort_by([("fetched_at", "ascending"), ("attempt_id", "ascending")])
    ids = table["attempt_id"].to_pylist()
    first = [i for i, name in enumerate(ids) if i == 0 or name != ids[i - 1]]
    return table if len(first) == len(ids) else table.take(first)


def last_heard_us(folder: Place) -> int | None:
    """Return the exchange's clock when it last answered an attempt staged in `folder`.

    None where it never told it.

    Raises
    ------
    CorruptFileError
        If a segment cannot be read.
    """
    names = segments(folder)
    tables = each(folder, lambda name: _read_segment(folder / name, ["us_out"]), names)
    heard = (pc.max(table["us_out"]).as_py() for table in tables)
    return max((us for us in heard if us is not None), default=None)


def bodies(
    folder: Place, outcome: str | None = None, names: Sequence[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield ``(attempt_id, body)`` of every attempt that has a body, a few in memory at a time.

    With an `outcome`, only of the attempts that ended so; with `names`, of those segments alone.

    Raises
    ------
    CorruptFileError
        If a segment cannot be read.
    """
    chosen = segments(folder) if names is None else names
    wanted = ["attempt_id", "body", "outcome"]
    for batch in _batches(folder, chosen, wanted, READ_ATTEMPTS):
        columns = [batch[name].to_pylist() for name in wanted]
        for name, body, ended in zip(*columns, strict=True):
            if body is not None and outcome in (None, ended):
                yield name, body


def answers(segment: Place, outcome: str) -> Iterator[tuple[int, bytes]]:
    """Yield ``(µs, body)`` of the attempts of a segment with that outcome, when each was heard.

    By the exchange's clock, or ours where it sent none.

    Raises
    ------
    CorruptFileError
        If the segment cannot be read.
    """
    table = _read_segment(segment, ["fetched_at", "outcome", "us_out", "body"])
    heard = pc.coalesce(table["us_out"], table["fetched_at"].cast(pa.int64())).to_pylist()
    ended, order = table["outcome"].to_pylist(), pc.sort_indices(table["fetched_at"]).to_pylist()
    bodies = [each for chunk in table["body"].chunks for each in chunk]  # none is copied about
    del table
    for row in order:
        if ended[row] == outcome:
            body, bodies[row] = bodies[row].as_py(), None
            yield heard[row], body


def latest(folder: Place, outcome: str) -> tuple[int | None, bytes] | None:
    """Return ``(us_out, body)`` of the newest attempt with that outcome, None if there is none.

    Raises
    ------
    CorruptFileError
        If a segment cannot be read.
    """
    for name in reversed(segments(folder)):
        table = _read_segment(folder / name, ["fetched_at", "outcome", "us_out", "body"])
        good = table.filter(pc.field("outcome") == outcome).sort_by("fetched_at")
        if good.num_rows:
            return good["us_out"][-1].as_py(), good["body"][-1].as_py()
    return None


def merge(
    folder: Place, chosen: Collection[str] | None = None, *, at_least: int = MERGE_FROM
) -> tuple[str, ...]:
    """Merge the small segments of `folder`, and of each folder below it, keeping every attempt.

    It may run while others stage in the folder. A kill between its two steps leaves attempts in
    two segments; they are counted once. With `chosen`, of those segments alone.

    Returns
    -------
    tuple of str
        The segments there are then, or what of them the chosen ones are, as `segments` has them.
    """
    found = sorted(one for one in staged(folder) if chosen is None or one.name in chosen)
    names = {one.name for one in found}
    for inside, some in groupby(found, key=lambda one: one.name.rpartition("/")[0]):
        small = [one.name.rpartition("/")[2] for one in some if one.size < SMALL_BYTES]
        if len(small) >= max(at_least, 2):
            merged = _merge(folder / inside, small)
            prefix = f"{inside}/" if inside else ""
            names -= {prefix + name for name in small}
            names.add(prefix + merged)
    return tuple(sorted(names))


def _merge(folder: Place, small: Sequence[str]) -> str:
    """Merge some segments of a folder, and return the name of what they are now."""
    path = _segment_path(folder, int(small[0].partition("-")[0]))
    batches = _batches(folder, small, SCHEMA.names)
    publish_batches(batches, SCHEMA, path, SEGMENT_ZSTD_LEVEL)
    remove_all(folder, small)
    return path.name


def _batches(
    folder: Place, names: Sequence[str], columns: Sequence[str], size: int = BATCH_ATTEMPTS
) -> Iterator[pa.RecordBatch]:
    """Yield the attempts of some segments in batches, none twice."""
    seen: set[str] = set()
    opened = each(folder, lambda name: _open(folder / name), names, at_once=AHEAD)
    for name, segment in zip(names, opened, strict=True):
        try:
            with segment as file:
                for batch in file.iter_batches(size, columns=list(columns), use_threads=False):
                    ids = batch["attempt_id"].to_pylist()
                    if seen.isdisjoint(ids):
                        yield batch  # as almost always; a filter copies the bodies
                    else:
                        yield batch.filter(pa.array([one not in seen for one in ids]))
                    seen.update(ids)
        except (pa.ArrowInvalid, OSError) as error:
            raise CorruptFileError(folder / name, error) from error


def _open(path: Place) -> ParquetFile:
    try:
        return open_parquet(path, twice=True, page_checksum_verification=True, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def _segment_path(folder: Place, fetched_at_us: int) -> Place:
    return folder / f"{fetched_at_us}-{secrets.token_hex(4)}.parquet"


def _read_segment(path: Place, columns: Sequence[str], *, twice: bool = False) -> pa.Table:
    try:
        with open_parquet(path, twice=twice, page_checksum_verification=True) as file:
            return file.read(columns=list(columns), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error
