"""A lake in a bucket is read as one in a folder is, by few requests and few bytes."""

import io
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache

import polars as pl
import pytest

from etl.check.database_file import write_database_of
from lake.answers import write
from lake.errors import (
    ConflictError,
    CorruptFileError,
    DatabaseFileError,
    LakeError,
    RefusedByStoreError,
)
from lake.ledger import Record, records, write_record
from lake.live import publish_live
from lake.partition import Partition
from lake.paths import Lake
from lake.raw import Attempt, bodies, read, stage
from lake.read import by_schema, read_table, scan
from lake.store.reader import ObjectReader
from lake.store.scan import scan_parquet
from lake.views import converse, open_views, select
from lake.write import publish_bytes, publish_table
from tests.objects.wire import wired
from validators.contract import layout_of
from validators.schemas.candles import PerpetualsOhlcv

BTC = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2023")
START = datetime(2023, 1, 1, tzinfo=UTC)
DAY = "timestamp >= '2023-06-12' AND timestamp < '2023-06-13'"
WRONG = "wrong-and-not-to-be-shown"
pytestmark = pytest.mark.slow


@cache
def candles(start, minutes):
    """Candles of a walk at random, as many bytes a row as real ones; the same in every run."""
    dice = random.Random(minutes)  # noqa: S311  (data, not a secret)
    close = [30_000.0]
    for _ in range(minutes):
        close.append(close[-1] + 0.5 * round(dice.gauss(0, 20)))
    frame = pl.DataFrame({"open": close[:-1], "close": close[1:]}).select(
        pl.datetime_range(
            start, start + timedelta(minutes=minutes - 1), "1m", time_unit="us", eager=True
        ).alias("timestamp"),
        pl.lit("BTC-PERPETUAL").alias("instrument"),
        "open",
        (pl.max_horizontal("open", "close") + 4.5).alias("high"),
        (pl.min_horizontal("open", "close") - 4.5).alias("low"),
        "close",
        pl.Series("volume", [round(dice.lognormvariate(2, 1), 4) for _ in range(minutes)]),
        pl.Series("cost", [10.0 * dice.randrange(1, 100_000) for _ in range(minutes)]),
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


@pytest.fixture
def wire(object_server):
    with wired(object_server.port) as carrying:
        yield carrying


@pytest.fixture
def lake(lake_at, wire):
    """The lake in the bucket, by the way of the wire."""
    return Lake(lake_at(wire.address))


@pytest.fixture
def with_year(lake, wire):
    """The same with a year of candles; what it took to write them is not counted."""
    layout = layout_of(PerpetualsOhlcv)
    publish_table(candles(START, 365 * 1_440), lake.clean(BTC), **layout)
    wire.requests.clear()
    return lake


def rows(connection, sql):
    return select(connection, sql).pl().rows()


@pytest.fixture
def answer(tmp_path):
    """Return the answer to a query as a command writes it, as CSV without its head."""

    def asked(connection, sql):
        write(select(connection, sql), "csv", tmp_path / "answer.csv")
        return (tmp_path / "answer.csv").read_text().splitlines()[1:]

    return asked


def replace(lake, server, table):
    """Let another process publish candles in place of those that are there."""
    file = io.BytesIO()
    pl.from_arrow(table).write_parquet(file)
    server.overwrite(lake.root.store.bucket, f"lake/{lake.clean(BTC).key}", file.getvalue())


def test_a_day_of_a_year_costs_a_fiftieth_of_its_bytes(with_year, wire):
    size = with_year.clean(BTC).stat().st_size
    wire.requests.clear()

    found = rows(open_views(with_year), f"SELECT * FROM perpetuals_ohlcv WHERE {DAY}")

    assert (len(found), found[0][0]) == (1_440, datetime(2023, 6, 12, tzinfo=UTC))
    assert sum(one.received for one in wire.requests if "clean" in one.key) <= 0.02 * size
    assert wire.counted("clean/perpetuals_ohlcv") == {"GET": 3}  # its end, the times, the rest


def test_a_second_question_asks_for_no_footer(with_year, wire):
    connection = open_views(with_year)
    first = rows(connection, "SELECT count(*) FROM perpetuals_ohlcv")
    wire.requests.clear()

    assert rows(connection, "SELECT count(*), max(timestamp) FROM perpetuals_ohlcv") != first
    assert wire.counted("clean/") == {}
    rows(open_views(with_year), f"SELECT close FROM perpetuals_ohlcv WHERE {DAY}")

    assert wire.counted("clean/perpetuals_ohlcv") == {"GET": 2}


def test_views_answer_as_those_of_a_folder(lake, tmp_path):
    for one in (lake, Lake(tmp_path)):
        publish_table(candles(START, 60), one.clean(BTC))
        odd = Partition("perpetuals_ohlcv", "a[b]*?", "2023")
        publish_table(candles(START, 5), one.clean(odd))
        later = candles(START + timedelta(minutes=30), 90)
        publish_live(one, "perpetuals_ohlcv", "2023-01-01", later, ("instrument", "timestamp"))
        publish_table(candles(START, 3), one.quarantine(BTC))
    sql = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1"
    there, here = open_views(lake), open_views(Lake(tmp_path))

    assert rows(there, sql) == rows(here, sql)
    for (name,) in rows(here, sql):
        asked = f"SELECT * FROM {name} ORDER BY ALL"
        assert rows(there, asked) == rows(here, asked)
    assert rows(there, "SELECT count(*) FROM perpetuals_ohlcv") == [(125,)]


def test_what_is_replaced_meanwhile_is_said_in_one_line_and_then_seen(lake, object_server, answer):
    publish_table(candles(START, 40_000), lake.clean(BTC))
    connection, asked = open_views(lake), "SELECT sum(volume * 0 + 1)::INT FROM perpetuals_ohlcv"
    assert answer(connection, asked) == ["40000"]
    replace(lake, object_server, candles(START, 30_000))

    with pytest.raises(LakeError) as told:
        answer(connection, asked)

    why = "was replaced or removed while it was read: ask again"
    assert str(told.value) == f"{lake.clean(BTC)} {why}"
    assert answer(connection, asked) == ["30000"]


def test_a_conversation_sees_what_is_published_meanwhile(
    lake, object_server, monkeypatch, capsysbinary
):
    class Typed:
        lines = iter(["SELECT count(*) FROM perpetuals_ohlcv;"] * 2)

        def readline(self):
            replace(lake, object_server, candles(START, rows := self.minutes))
            self.minutes = rows + 11
            return next(self.lines, "")

        minutes = 66

    publish_table(candles(START, 55), lake.clean(BTC))
    monkeypatch.setattr(sys, "stdin", Typed())

    converse(lake)

    shown = capsysbinary.readouterr().out
    assert (b"66" in shown, b"77" in shown, b"55" in shown) == (True, True, False)


def test_a_store_that_is_lost_is_said_in_one_line_by_every_reader(lake, wire, answer, monkeypatch):
    monkeypatch.setattr("lake.store.objects.RETRIES", 0)
    monkeypatch.setattr("lake.store.scan.RETRIES", 0)
    publish_table(candles(START, 40_000), lake.clean(BTC))
    connection, frame = open_views(lake), scan(lake, BTC.dataset)
    wire.dead = True

    for ask in (
        lambda: answer(connection, "SELECT sum(close) FROM perpetuals_ohlcv"),
        frame.collect,
        lambda: read_table(lake.clean(BTC)),
        lambda: open_views(lake),
        lambda: list(records(lake)),
    ):
        with pytest.raises(LakeError, match="cannot be reached") as told:
            ask()
        assert not isinstance(told.value, CorruptFileError)
        assert "\n" not in str(told.value)


def test_wrong_keys_are_said_by_polars_as_the_store_says_it(lake_at, wire, monkeypatch):
    publish_table(candles(START, 60), Lake(lake_at()).clean(BTC))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG)

    with pytest.raises(RefusedByStoreError, match="SignatureDoesNotMatch") as told:
        scan_parquet([Lake(lake_at(wire.address)).clean(BTC)]).collect()

    assert WRONG not in str(told.value)


def test_polars_is_told_of_a_file_that_was_removed(lake, object_server):
    publish_table(candles(START, 60), lake.clean(BTC))
    frame = scan(lake, BTC.dataset)
    key = f"lake/clean/{BTC.dataset}/{BTC.part}/2023.parquet"
    object_server.delete(lake.root.store.bucket, key)

    with pytest.raises(ConflictError, match="removed while it was read"):
        frame.collect()


def test_polars_reads_only_what_is_asked_for(with_year, wire, tmp_path):
    local = Lake(tmp_path)
    publish_table(candles(START, 365 * 1_440), local.clean(BTC))
    day = pl.col("timestamp").dt.date() == datetime(2023, 6, 12, tzinfo=UTC).date()
    since = pl.col("timestamp") >= datetime(2023, 12, 31, tzinfo=UTC)

    there, here = scan(with_year, BTC.dataset), scan(local, BTC.dataset)
    wire.requests.clear()
    assert (
        there.filter(since)
        .select("timestamp", "close")
        .collect()
        .equals(here.filter(since).select("timestamp", "close").collect())
    )
    assert wire.received < 0.1 * with_year.clean(BTC).stat().st_size

    assert there.collect_schema() == here.collect_schema()
    assert there.filter(day).collect().equals(here.filter(day).collect())
    assert there.head(3).collect().equals(here.head(3).collect())
    assert there.select(pl.len()).collect().item() == 365 * 1_440


def test_damage_is_told_from_a_store_that_fails(lake):
    publish_bytes(b"PAR1 no Parquet PAR1", lake.clean(BTC))

    with pytest.raises(CorruptFileError, match="is corrupt"):
        read_table(lake.clean(BTC))
    with pytest.raises(CorruptFileError, match="is corrupt"):
        open_views(lake)


def test_ledgers_are_asked_for_side_by_side_and_come_in_order(lake, wire):
    days = [START + timedelta(days=number) for number in range(80)]
    for number, day in enumerate(days):
        write_record(lake, Partition("x", "p", f"{day:%Y-%m-%d}"), Record(rows=number))
    wire.requests.clear()
    held = wire.fails("GET", "ledger/x/p/2023-01-01", held=1.0)

    found = list(records(lake))

    assert [record.rows for _, record in found] == list(range(80))
    assert wire.counted("ledger/") == {"GET": 80}
    assert held.met == 1


def test_raw_is_read_in_order(lake):
    folder = lake.raw("get_x", instrument="BTC-PERPETUAL")
    for number in range(9):
        attempt = Attempt(
            attempt_id=f"{number}",
            fetched_at=number,
            host="h",
            params="{}",
            window_start=0,
            window_end=1,
            outcome="ok",
            body=bytes([number]) * 1_000,
        )
        stage([attempt], folder)

    assert [body[0] for _, body in bodies(folder)] == list(range(9))
    assert read(folder)["attempt_id"].to_pylist() == [str(number) for number in range(9)]


def test_footers_of_many_files_are_asked_for_once(lake, wire):
    for number in range(12):
        partition = Partition("x", "p", f"{2000 + number}")
        publish_table(candles(START, 3), lake.clean(partition))
    wire.requests.clear()

    assert [len(group) for group in by_schema(lake.files("x"))] == [12]
    assert wire.counted("clean/x") == {"GET": 12}
    by_schema(lake.files("x"))

    assert wire.counted("clean/x/") == {"GET": 12}


def test_a_reader_is_as_a_file_of_the_same_bytes(lake):
    data = random.Random(0).randbytes(300_000)  # noqa: S311  (data, not a secret)
    place = lake.root / "bytes"
    publish_bytes(data, place)
    file, dice = io.BytesIO(data), random.Random(1)  # noqa: S311

    with ObjectReader(place, whole_bytes=0) as reader:
        for _ in range(40):
            at, count = dice.randrange(310_000), dice.randrange(-1, 40_000)
            assert reader.seek(at) == file.seek(at)
            assert reader.read(count) == file.read(count)
        assert reader.seek(-5, io.SEEK_END) == file.seek(-5, io.SEEK_END)
        assert reader.read() == file.read()


def test_a_database_file_of_a_lake_in_a_bucket_is_refused(lake, tmp_path):
    publish_table(candles(START, 3), lake.clean(BTC))

    with pytest.raises(DatabaseFileError, match=r"`deribit-lake sql`.*`deribit-lake pull`"):
        write_database_of(lake, tmp_path / "lake.duckdb")

    assert not list(tmp_path.iterdir())


@pytest.fixture
def command(lake, wire, tmp_path):
    """Run a command of ours on the lake in the bucket."""

    def run(*words, **environment):
        return subprocess.run(
            [sys.executable, "-m", "cli", "--lake", str(lake.root), *words],
            env=os.environ
            | {"AWS_ENDPOINT_URL": wire.address, "DERIBIT_LAKE_LOG_DIR": str(tmp_path)}
            | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_query_asks_a_bucket(lake, command):
    publish_table(candles(START, 60), lake.clean(BTC))

    done = command("query", "SELECT count(*) AS n FROM perpetuals_ohlcv", "--format", "csv")

    assert (done.returncode, done.stdout, done.stderr) == (0, "n\n60\n", "")


def test_query_says_in_one_line_that_keys_are_wrong(command):
    done = command("query", "SELECT 1", AWS_SECRET_ACCESS_KEY=WRONG)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: s3://")
    assert "SignatureDoesNotMatch" in done.stderr
    assert done.stderr.count("\n") == 1
    assert WRONG not in done.stderr
