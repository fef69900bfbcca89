import io
import json
import math
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from lake.answers import write
from lake.errors import CorruptFileError, QueryError
from lake.partition import Partition
from lake.paths import Lake
from lake.read import scan
from lake.views import converse, open_views, select
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
        "WITH a AS (COPY (SELECT 1) TO '{out}') FROM a",
        "EXPLAIN ANALYZE WITH a AS (COPY (SELECT 1) TO '{out}') FROM a",
        "COPY (PIVOT perpetuals_ohlcv ON instrument USING sum(cost)) TO '{out}'",
        "EXPLAIN ANALYZE COPY (PIVOT perpetuals_ohlcv ON instrument USING sum(cost)) TO '{out}'",
        "CREATE TABLE t AS PIVOT perpetuals_ohlcv ON instrument USING sum(cost)",
    ],
)
def test_what_would_write_is_refused_and_writes_nothing(lake, tmp_path, sql):
    out = tmp_path / "written"

    with pytest.raises(QueryError):
        write(select(open_views(lake), sql.format(out=out)), "csv", tmp_path / "answer")
    assert not out.exists()


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("EXPLAIN SELECT 1", 1),
        ("EXPLAIN ANALYZE SELECT 1", 1),
        ("WITH a AS (SELECT 1) FROM a", 1),
        ("FROM perpetuals_ohlcv", 4),
        ("FROM perpetuals_ohlcv SELECT close", 4),
        ("TABLE perpetuals_ohlcv", 4),
        ("VALUES (1, 2), (3, 4)", 2),
        ("SHOW TABLES", 4),
        ("DESCRIBE perpetuals_ohlcv", 8),
        ("SUMMARIZE perpetuals_ohlcv", 8),
        ("SUMMARIZE SELECT 1", 1),
        ("UNPIVOT perpetuals_ohlcv ON open, close INTO NAME what VALUE price", 8),
        ("PIVOT perpetuals_ohlcv ON instrument USING sum(cost) GROUP BY timestamp", 3),
        ("PIVOT perpetuals_ohlcv ON instrument USING sum(cost) GROUP BY timestamp; -- é;", 3),
        ("FROM (PIVOT perpetuals_ohlcv ON instrument USING sum(cost) GROUP BY timestamp)", 3),
        ("WITH p AS (PIVOT perpetuals_1d ON instrument USING any_value(cost)) FROM p", 3),
        ("EXPLAIN PIVOT perpetuals_ohlcv ON instrument USING sum(cost)", 1),
        ("SELECT 'copy; delete' AS words", 1),
        ("SELECT 1 AS delete;", 1),
    ],
)
def test_what_only_reads_is_answered_in_every_form(lake, tmp_path, sql, count):
    connection = open_views(lake)

    for form in ("table", "csv", "json", "parquet"):
        write(select(connection, sql), form, tmp_path / form)

    assert len(pl.read_parquet(tmp_path / "parquet")) == count
    assert len(json.loads((tmp_path / "json").read_text())) == count


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

    assert converse(lake) == 1

    shown = capsysbinary.readouterr().out.decode()
    assert shown.startswith("views: ")
    assert "error: Parser Error" in shown
    assert "4" in shown.rpartition("error")[2]


@pytest.mark.parametrize(
    ("text", "failed", "said"),
    [("SELECT 40 + 2", 0, "42"), ("SELECT 42;\nSELEKT", 1, "error: Parser Error"), (" \n", 0, "")],
)
def test_the_last_query_ends_with_the_text(lake, monkeypatch, capsysbinary, text, failed, said):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    assert converse(lake) == failed

    assert said in capsysbinary.readouterr().out.decode()


ODD = [
    "lake[12]", "lake*", "lake?", "lake**", "[", "]", "[!l]*", "[^a]", "lake[", "a b", " ",
    "year=2020", "o'quote", 'do"uble', "-x", "{lake1,lake2}", "#h", "p%20q", "ünï☃", "back\\slash",
    "a\\*b", "\\[x\\]", "~", "s3:", "file:", "a;b", "$HOME", "(lake1|x)", "!x", "**",
]  # fmt: skip


@pytest.fixture(scope="module")
def among_others(tmp_path_factory):
    """Return a folder of lakes of the oddest names, each of which holds its own candle."""
    folder = tmp_path_factory.mktemp("odd")
    for number, name in enumerate([*ODD, "lake1", "lake2"]):
        table = candles(BTC, START + timedelta(minutes=number))
        for place in ("clean", "quarantine"):
            path = getattr(Lake(folder / name), place)(Partition("perpetuals_ohlcv", BTC, "2024"))
            publish_table(table, path)
    return folder


@pytest.mark.parametrize("is_relative", [False, True], ids=["absolute", "relative"])
@pytest.mark.parametrize("name", ODD)
def test_a_lake_of_an_odd_name_answers_with_its_own_rows(
    among_others, monkeypatch, name, is_relative
):
    monkeypatch.chdir(among_others)
    lake = Lake(Path(name) if is_relative else among_others / name)
    moment = START + timedelta(minutes=ODD.index(name))
    sql = "SELECT timestamp FROM perpetuals_ohlcv UNION ALL FROM (FROM quarantine_perpetuals_ohlcv"

    assert rows(lake, f"{sql} SELECT timestamp)") == [(moment,), (moment,)]
    assert scan(lake, "perpetuals_ohlcv").collect()["timestamp"].to_list() == [moment]
    assert "year" not in scan(lake, "perpetuals_ohlcv").collect_schema().names()


def test_no_link_to_a_lake_of_an_odd_name_is_left_behind(among_others, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    connection = open_views(Lake(among_others / "lake[12]"))
    assert len(list(tmp_path.iterdir())) == 1

    del connection

    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_temporary_files_that_is_a_pattern_is_refused_by_name(
    among_others, tmp_path, monkeypatch
):
    (tmp_path / "[t]").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "[t]"))

    with pytest.raises(QueryError, match="set TMPDIR"):
        open_views(Lake(among_others / "lake[12]"))


def test_a_folder_of_an_odd_name_inside_a_lake_is_what_it_says(lake):
    for part in ("B[TC]", "BT"):
        path = lake.root / "clean" / 'my "own" [x]' / part / "2024.parquet"
        publish_table(candles(part, START), path)

    found = rows(lake, 'SELECT instrument FROM "my ""own"" [x]" ORDER BY 1')

    assert found == [("BT",), ("B[TC]",)]


def test_columns_are_taken_by_name_whichever_file_has_them(lake):
    """One file of 2023 lacks a column, one of 2025 has one more, and an integer became a double."""
    table = candles(BTC, START)
    for year, other in {
        "2023": table.drop_columns("cost").set_column(6, "volume", pa.array([1])),
        "2025": table.append_column("trades", pa.array([7])).set_column(6, "volume", [[1.5]]),
    }.items():
        publish_table(other, lake.clean(Partition("perpetuals_ohlcv", BTC, year)))
    columns = ("instrument", "cost", "volume", "trades")
    expected = [
        (BTC, None, 1.0, None),
        *[(BTC, 10.0, 1.0, None)] * 3,
        (BTC, 10.0, 1.5, 7),
        (ETH, 10.0, 1.0, None),
    ]

    found = rows(lake, f"SELECT {', '.join(columns)} FROM perpetuals_ohlcv")
    scanned = scan(lake, "perpetuals_ohlcv").select(columns).collect().rows()

    assert sorted(found, key=repr) == sorted(scanned, key=repr) == sorted(expected, key=repr)
    sql = "SELECT sum(minutes)::INT, max(cost) FROM perpetuals_1d"
    assert rows(lake, sql) == [(6, 30.0)]


@pytest.fixture(scope="module")
def many_pieces(tmp_path_factory):
    """Return a lake whose files are of pieces small enough that threads meet them in any order."""
    lake = Lake(tmp_path_factory.mktemp("pieces"))
    amounts = np.random.default_rng(7).lognormal(size=14_401).round(8)
    for part, year in product((BTC, ETH), (2023, 2024)):
        start = START.replace(year=year)
        minutes = pl.datetime_range(start, start + timedelta(days=10), "1m", eager=True)
        frame = pl.DataFrame(candles(part, *minutes)).with_columns(
            volume=amounts, cost=amounts * 60_000.1
        )
        path = lake.clean(Partition("perpetuals_ohlcv", part, str(year)))
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path, row_group_size=2_048)
    return lake


@pytest.mark.parametrize("view", ["perpetuals_1h", "perpetuals_1d", "perpetuals_1d_0800"])
def test_ten_runs_of_a_resampled_view_are_one(many_pieces, view):
    connection = open_views(many_pieces)
    connection.execute("SET threads = 4")

    runs = {select(connection, f"FROM {view}").pl().write_csv() for _ in range(10)}

    assert len(runs) == 1


def test_volumes_of_a_resampled_view_are_the_sums_of_the_decimals_sent(many_pieces):
    sent = scan(many_pieces, "perpetuals_ohlcv").collect()
    expected = {
        (instrument, day): float(sum(Decimal(repr(one)) for one in minutes["volume"]))
        for (instrument, day), minutes in sent.group_by(
            "instrument", pl.col("timestamp").dt.truncate("1d")
        )
    }

    found = rows(many_pieces, "SELECT instrument, timestamp, volume FROM perpetuals_1d")

    assert {(instrument, day): volume for instrument, day, volume in found} == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("(0.1), (0.2)", 0.3),
        ("(1e29), (1e30)", 1.1e30),
        ("('inf'), ('1')", math.inf),
        ("(NULL), (1.0)", 1.0),
        ("(NULL)", None),
    ],
)
def test_an_exact_sum_is_one_of_decimals_where_they_are_some(lake, values, expected):
    sql = f"SELECT exact_sum(x::DOUBLE) FROM (VALUES {values}) AS t (x)"

    assert rows(lake, sql) == [(expected,)]


def test_an_exact_sum_with_nan_is_nan(lake):
    sql = "SELECT exact_sum(x::DOUBLE) FROM (VALUES ('nan'), ('1')) AS t (x)"

    assert math.isnan(rows(lake, sql)[0][0])


def test_a_bar_without_a_trade_has_no_price_of_its_turnover(tmp_path):
    """A filler's cost over its volume is 0/0, which is NaN to DuckDB and an error to PostgreSQL."""
    lake = Lake(tmp_path)
    table = candles(BTC, START, START + timedelta(minutes=1), START + timedelta(minutes=2))
    fillers = table.set_column(6, "volume", [[0.0, 0.0, 2.0]]).set_column(
        7, "cost", [[0.0, 0.0, 5.0]]
    )
    publish_table(fillers, lake.clean(Partition("perpetuals_ohlcv", BTC, "2024")))
    price = "sum(cost) / nullif(sum(volume), 0)"

    by_hour = f"SELECT {price} FROM perpetuals_1h GROUP BY timestamp ORDER BY timestamp"
    assert rows(lake, by_hour) == [(None,), (2.5,)]
    assert rows(lake, "SELECT avg(cost / nullif(volume, 0)) FROM perpetuals_ohlcv") == [(2.5,)]
