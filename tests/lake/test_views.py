import io
import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from lake.errors import CorruptFileError, QueryError
from lake.partition import Partition
from lake.paths import Lake
from lake.views import converse, open_views, select, write
from lake.write import publish_table

BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"
START = datetime(2024, 1, 1, 7, 59, tzinfo=UTC)  # the last minute of an hour and exchange day


def candles(instrument, *moments):
    """Flat candles at 1, 2, 3 …, each of volume 1."""
    prices = [float(number) for number in range(1, len(moments) + 1)]
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(moments).cast(pl.Datetime("us", "UTC")),
            "instrument": instrument,
            **dict.fromkeys(("open", "high", "low", "close"), prices),
            "volume": 1.0,
            "cost": 10.0,
        }
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    moments = [START, START + timedelta(minutes=1), START + timedelta(hours=16, minutes=1)]
    publish_table(candles(BTC, *moments), lake.clean(Partition("perpetuals_ohlcv", BTC, "2024")))
    publish_table(candles(ETH, START), lake.clean(Partition("perpetuals_ohlcv", ETH, "2024")))
    return lake


def rows(lake, sql):
    return select(open_views(lake), sql).pl().rows()


def test_every_dataset_and_every_derived_one_has_a_view(lake):
    sql = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1"

    assert [name for (name,) in rows(lake, sql)] == [
        "perpetuals_1d",
        "perpetuals_1d_0800",
        "perpetuals_1h",
        "perpetuals_ohlcv",
    ]


def test_an_empty_lake_has_no_views_and_still_answers(tmp_path):
    assert rows(Lake(tmp_path), "SELECT 1 + 1") == [(2,)]


def test_times_are_in_utc(lake):
    (schema,) = {select(open_views(lake), "SELECT timestamp FROM perpetuals_ohlcv").pl().dtypes[0]}

    assert schema == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("1h", [("01 07", 1, 1, 1), ("01 08", 2, 2, 1), ("02 00", 3, 3, 1)]),
        ("1d", [("01 00", 1, 2, 2), ("02 00", 3, 3, 1)]),
        ("1d_0800", [("31 08", 1, 1, 1), ("01 08", 2, 3, 2)]),
    ],
)
def test_minutes_are_resampled_by_hand(lake, view, expected):
    sql = f"""
        SELECT strftime(timestamp, '%d %H'), open, close, minutes, high, low, volume, cost
        FROM perpetuals_{view} WHERE instrument = '{BTC}' ORDER BY timestamp
    """

    found = rows(lake, sql)

    assert [row[:4] for row in found] == expected
    assert [row[4:] for row in found] == [
        (last, first, float(count), 10.0 * count) for _, first, last, count in expected
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{out}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "explain (analyze) copy (select 1) to '{out}'",
        "EXPLAIN (ANALYZE, FORMAT JSON) COPY (SELECT 1) TO '{out}'",
        "/* explain */ EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "-- explain\nEXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "CREATE TABLE t AS SELECT 1",
        "ATTACH '{out}'",
        "EXPORT DATABASE '{out}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "DROP VIEW perpetuals_ohlcv",
        "SET TimeZone = 'Europe/Berlin'",
        "PRAGMA database_list",
        "INSERT INTO perpetuals_ohlcv SELECT * FROM perpetuals_ohlcv",
    ],
)
def test_what_would_write_is_refused_and_writes_nothing(lake, tmp_path, sql):
    out = tmp_path / "written"

    with pytest.raises(QueryError):
        write(select(open_views(lake), sql.format(out=out)), "csv", tmp_path / "answer")
    assert not out.exists()


@pytest.mark.parametrize(
    "sql", ["EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1", "WITH a AS (SELECT 1) FROM a"]
)
def test_what_only_reads_is_answered(lake, sql):
    assert len(rows(lake, sql)) == 1


@pytest.mark.parametrize("sql", ["", ";", "SELECT 1; SELECT 2", "SELECT 1; DROP VIEW x"])
def test_exactly_one_query_is_answered(lake, sql):
    with pytest.raises(QueryError, match="expected one query, got"):
        rows(lake, sql)


@pytest.mark.parametrize(
    "sql", ["SELEKT 1", "SELECT nothing FROM perpetuals_ohlcv", "FROM nowhere"]
)
def test_a_wrong_query_is_one_line(lake, sql):
    with pytest.raises(QueryError) as caught:
        rows(lake, sql)

    assert "\n" not in str(caught.value)


def test_a_query_that_fails_while_it_runs_is_one_line(lake, tmp_path):
    answer = select(open_views(lake), "SELECT CAST(instrument AS INT) FROM perpetuals_ohlcv")

    with pytest.raises(QueryError, match="Conversion Error"):
        write(answer, "csv", tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


def test_a_corrupt_file_is_one_error_naming_it(lake):
    lake.clean(Partition("perpetuals_ohlcv", ETH, "2024")).write_bytes(b"no")

    with pytest.raises(CorruptFileError, match=r"ETH-PERPETUAL/2024\.parquet"):
        open_views(lake)


def test_quarantined_rows_have_a_view_of_their_own(lake):
    publish_table(candles(BTC, START), lake.quarantine(Partition("perpetuals_ohlcv", BTC, "2024")))

    assert rows(lake, "SELECT count(*) FROM quarantine_perpetuals_ohlcv") == [(1,)]


def test_a_file_set_aside_is_no_view(lake):
    aside = lake.root / "quarantine/files/clean/perpetuals_ohlcv/X/2024.parquet.corrupt"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"no")

    assert rows(lake, "SELECT count(*) FROM perpetuals_ohlcv") == [(4,)]


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("csv", lambda path: pl.read_csv(path, try_parse_dates=True)),
        ("json", lambda path: pl.DataFrame(json.loads(path.read_text()))),
        ("parquet", pl.read_parquet),
    ],
)
def test_an_answer_reads_back(lake, tmp_path, form, read):
    sql = "SELECT instrument, sum(volume) AS volume FROM perpetuals_ohlcv GROUP BY 1 ORDER BY 1"

    write(select(open_views(lake), sql), form, tmp_path / "answer")

    assert read(tmp_path / "answer").rows() == [(BTC, 3.0), (ETH, 1.0)]


def test_whole_numbers_and_decimals_survive_json(lake, tmp_path):
    write(select(open_views(lake), "SELECT sum(1) AS n, 1.25 AS d"), "json", tmp_path / "x")

    ((n, d),) = [tuple(row.values()) for row in json.loads((tmp_path / "x").read_text())]
    assert (int(n), Decimal(str(d))) == (1, Decimal("1.25"))


def test_a_table_shows_its_columns_and_values(lake, capsysbinary):
    write(select(open_views(lake), "SELECT 42 AS answer"), "table", None)

    assert b"answer" in (shown := capsysbinary.readouterr().out)
    assert b"42" in shown


def test_a_conversation_survives_a_wrong_query(lake, monkeypatch, capsysbinary):
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("\nSELEKT;\nSELECT\n count(*) FROM perpetuals_ohlcv;\n")
    )

    converse(lake)

    shown = capsysbinary.readouterr().out.decode()
    assert shown.startswith("views: ")
    assert "error: Parser Error" in shown
    assert "4" in shown.rpartition("error")[2]
