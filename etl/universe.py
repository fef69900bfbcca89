"""Every instrument the exchange ever listed, as it was: intervals of validity by instrument id.

A fold over the lists of instruments that were staged, in the order they came. What a list no
longer has is kept, and said to have vanished; an answer that did not come says nothing at all. A
candle finds its instrument by name and moment: ``valid_from <= timestamp < valid_to``.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl
import pyarrow.parquet as pq

from etl.deribit import OK
from etl.fold import arrow
from lake import raw
from lake.paths import Lake
from lake.write import publish_table
from validators import contract
from validators.universe import Instruments

FOLDED = b"deribit_lake.folded"
_STAMP = pl.Datetime("us", "UTC")


class Listed(msgspec.Struct, frozen=True):
    """The members of a record that have a column of their own."""

    instrument_id: int
    instrument_name: str
    kind: str
    creation_timestamp: int
    tick_size: float
    base_currency: str | None = None
    quote_currency: str | None = None
    counter_currency: str | None = None
    settlement_currency: str | None = None
    settlement_period: str | None = None
    instrument_type: str | None = None
    price_index: str | None = None
    expiration_timestamp: int | None = None
    contract_size: float | None = None
    min_trade_amount: float | None = None
    strike: float | None = None
    option_type: str | None = None
    state: str | None = None
    is_active: bool | None = None


class _Envelope(msgspec.Struct):
    result: list[msgspec.Raw]


COLUMNS = tuple(Listed.__struct_fields__)
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_listed = msgspec.json.Decoder(Listed).decode


@dataclass(frozen=True, slots=True)
class Answer:
    """One list of instruments: of which kind and currency, expired or living, heard when [µs]."""

    kind: str
    currency: str
    is_expired: bool
    heard_us: int
    body: bytes


@dataclass(slots=True)
class Interval:
    """A record as it held from `from_us` on [µs]."""

    listed: Listed
    record: bytes
    from_us: int
    first_us: int
    last_us: int
    lists: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Universe:
    """Intervals by instrument id, in order of time, and what is known of the lists."""

    intervals: dict[int, list[Interval]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)  # scope of a list: when it last came [µs]
    segments: set[str] = field(default_factory=set)


def fold(universe: Universe, answers: Iterable[Answer]) -> Universe:
    """Fold lists of instruments, in order of time, into what is known already."""
    for answer in answers:
        scope = f"{answer.kind} {answer.currency} {'expired' if answer.is_expired else 'living'}"
        universe.heard[scope] = answer.heard_us
        for one in _decode_envelope(answer.body).result:
            _see(universe, bytes(one), scope, answer.heard_us)
    return universe


def _see(universe: Universe, record: bytes, scope: str, heard_us: int) -> None:
    listed = _decode_listed(record)
    held = universe.intervals.setdefault(listed.instrument_id, [])
    last = held[-1] if held else None
    if last is None or not _is_same(last.record, record):
        start = listed.creation_timestamp * 1000 if last is None else heard_us
        last = Interval(
            listed, record, start, heard_us, heard_us, set(last.lists) if last else set()
        )
        held.append(last)
    last.last_us = heard_us
    last.lists.add(scope)


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether two records say the same, in whatever order."""
    return one == other or msgspec.json.decode(one) == msgspec.json.decode(other)


def vanished(universe: Universe) -> list[str]:
    """Return the names of instruments a later list should have had and does not, sorted.

    A living one should be in the latest list of living ones unless it expired before that; an
    expired one that was in a list of expired ones should be in the latest of them.
    """
    return sorted(
        held[-1].listed.instrument_name
        for held in universe.intervals.values()
        if _is_missed(held[-1], universe.heard)
    )


def _is_missed(last: Interval, heard: dict[str, int]) -> bool:
    end = last.listed.expiration_timestamp
    scopes = [scope for scope in last.lists if heard[scope] > last.last_us]
    return any(
        scope.endswith("expired") or end is None or end * 1000 > heard[scope] for scope in scopes
    ) and not any(heard[scope] == last.last_us for scope in last.lists)


def to_frame(universe: Universe) -> pl.DataFrame:
    """Return one row per interval, sorted by id and start; the last of each is open."""
    rows = [
        (id_, each.from_us, after.from_us if after else None, each)
        for id_, held in sorted(universe.intervals.items())
        for each, after in zip(held, [*held[1:], None], strict=True)
    ]
    columns = {name: [getattr(row[3].listed, name) for row in rows] for name in COLUMNS}
    frame = pl.DataFrame(columns, schema=_schema(), strict=False).with_columns(
        pl.Series("valid_from", [row[1] for row in rows], pl.Int64).cast(_STAMP),
        pl.Series("valid_to", [row[2] for row in rows], pl.Int64).cast(_STAMP),
        pl.Series("first_seen", [row[3].first_us for row in rows], pl.Int64).cast(_STAMP),
        pl.Series("last_seen", [row[3].last_us for row in rows], pl.Int64).cast(_STAMP),
        pl.Series("lists", [",".join(sorted(row[3].lists)) for row in rows], pl.String),
        pl.Series("record", [row[3].record.decode() for row in rows], pl.String),
    )
    return _relisted(frame).rename({"instrument_name": "instrument"})


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


def _relisted(frame: pl.DataFrame) -> pl.DataFrame:
    """End an interval where another instrument takes over its name."""
    by_name = frame.with_row_index("row").sort("instrument_name", "valid_from", "row")
    is_same = pl.col("instrument_name") == pl.col("instrument_name").shift(-1)
    is_other = pl.col("instrument_id") != pl.col("instrument_id").shift(-1)
    following = pl.when(is_same & is_other).then(pl.col("valid_from").shift(-1))
    ended = by_name.with_columns(pl.min_horizontal("valid_to", following).alias("valid_to"))
    return ended.sort("row").drop("row")


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
    answers = sorted(_staged(lake, universe), key=lambda answer: answer.heard_us)
    fold(universe, answers)
    publish(lake, universe)
    return universe


def publish(lake: Lake, universe: Universe) -> None:
    """Write the dataset, with what a later fold has to know.

    Raises
    ------
    ContractError
        If a row breaks the contract of `instruments`.
    """
    frame = to_frame(universe)
    contract.check_rows(frame, Instruments)
    known = {"heard": universe.heard, "segments": sorted(universe.segments)}
    table = arrow(frame).replace_schema_metadata({FOLDED: json.dumps(known, sort_keys=True)})
    publish_table(table, path_of(lake))


def read(lake: Lake) -> Universe:
    """Return what was folded so far; nothing where nothing was."""
    path = path_of(lake)
    if not path.exists():
        return Universe()
    table = pq.read_table(path)
    known = json.loads(table.schema.metadata[FOLDED])
    universe = Universe(heard=known["heard"], segments=set(known["segments"]))
    stamps = ("valid_from", "first_seen", "last_seen")
    frame = pl.DataFrame(table).select(
        "record", "lists", *(pl.col(each).to_physical() for each in stamps)
    )
    for text, lists, start, first, last in frame.iter_rows():
        record = text.encode()
        listed = _decode_listed(record)
        held = universe.intervals.setdefault(listed.instrument_id, [])
        held.append(Interval(listed, record, start, first, last, set(lists.split(","))))
    return universe


def _staged(lake: Lake, universe: Universe) -> Iterator[Answer]:
    """Yield the good answers in segments that were not folded yet, noting the segments."""
    root = lake.raw("get_instruments")
    for folder in sorted({path.parent for path in root.glob("**/*.parquet")}):
        keys = dict(part.split("=", 1) for part in folder.relative_to(root).parts)
        fresh = [
            name
            for name in raw.segments(folder)
            if f"{folder.relative_to(root)}/{name}" not in universe.segments
        ]
        for name in fresh:
            universe.segments.add(f"{folder.relative_to(root)}/{name}")
            for heard_us, body in raw.answers(folder / name, OK):
                is_expired = keys.get("expired") == "true"
                yield Answer(keys["kind"], keys["currency"], is_expired, heard_us, body)


def scan(lake: Lake) -> pl.LazyFrame:
    """Return the intervals without their records, lazily.

    Raises
    ------
    FileNotFoundError
        If the universe was never refreshed.
    """
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
