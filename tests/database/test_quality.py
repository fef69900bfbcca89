from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from etl.catalog import find
from etl.check.quality import REPORTS, check_lake, summary
from etl.check.quality_database import check_database
from etl.config import Settings
from etl.database.connection import connect, execute_script
from etl.errors import SchemaError, UsageError
from lake.arrow import arrow
from lake.partition import Partition
from lake.paths import Lake
from lake.write import publish_table
from tests.validators.candles import START, clean_candles
from validators.outages import load_outages

BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"
TABLE = "perpetuals_ohlcv"
AT = "WHERE instrument = 'BTC-PERPETUAL' AND timestamp"
FAULTS = {
    "a gap": f"DELETE FROM {TABLE} {AT} BETWEEN '2024-03-01 02:00Z' AND '2024-03-01 02:40Z'",
    "crossed": f"UPDATE {TABLE} SET high = low - 5 {AT} = '2024-03-01 03:00Z'",
    "negative volume": f"UPDATE {TABLE} SET volume = -1 {AT} = '2024-03-01 03:10Z'",
    "a price of zero": f"UPDATE {TABLE} SET low = 0 {AT} = '2024-03-01 03:20Z'",
    "NaN": f"UPDATE {TABLE} SET close = 'NaN' {AT} = '2024-03-01 03:30Z'",
    "infinity": f"UPDATE {TABLE} SET cost = 'Infinity' {AT} = '2024-03-01 03:40Z'",
    "an overflow": f"UPDATE {TABLE} SET cost = 1e300, volume = 1e-300 {AT} = '2024-03-01 03:50Z'",
    "off the tick": f"UPDATE {TABLE} SET high = high + 0.25 {AT} = '2024-03-01 04:00Z'",
    "off the grid": f"UPDATE {TABLE} SET timestamp = '2024-03-01 04:10:30Z' {AT} ="
    " '2024-03-01 04:10Z'",
    "half a filler": f"UPDATE {TABLE} SET volume = 0 {AT} = '2024-03-01 04:20Z'",
    "another unit": f"UPDATE {TABLE} SET volume = 3, cost = 3 {AT} = '2024-03-01 04:30Z'",
    "a little off": f"UPDATE {TABLE} SET volume = 1, cost = high * 1.0005 {AT} ="
    " '2024-03-01 04:40Z'",
    "a spike": f"UPDATE {TABLE} SET high = high * 2 {AT} = '2024-03-01 12:00Z'",
    "a silence": f"UPDATE {TABLE} SET open = 60000, high = 60000, low = 60000, close = 60000,"
    f" volume = 0, cost = 0 {AT} BETWEEN '2024-03-01 15:00Z' AND '2024-03-01 17:00Z'",
}


def put(database, frame, table=TABLE):
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, arrow(frame), mode="append")
        connection.commit()


def run(database, sql):
    with connect(database) as connection:
        execute_script(connection, sql)
        connection.commit()


def held(database, table=TABLE):
    """Return what the database holds, as the lake keeps it."""
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY timestamp, instrument")
        return pl.DataFrame(cursor.fetch_arrow_table())


def in_lake(root, frame, table=TABLE):
    for (instrument,), rows in frame.group_by("instrument", maintain_order=True):
        publish_table(arrow(rows), Lake(root).clean(Partition(table, instrument, "2024")))


def reports(report):
    return {Path(file).name: Path(file).read_bytes() for file in report.files}


def in_database(settings, table, **options):
    return check_database(settings, Lake(settings.root), find(table), load_outages(), **options)


def both(database, tmp_path, table=TABLE, **options):
    """Check the rows of a database there and in a lake; return both summaries."""
    in_lake(tmp_path / "lake", held(database, table), table)
    settings = database.model_copy(update={"root": tmp_path / "lake"})
    there = in_database(settings, table, out_dir=tmp_path / "db", **options)
    here = check_lake(
        Lake(settings.root), find(table), load_outages(), out_dir=tmp_path / "out", **options
    )
    assert reports(there) == reports(here)
    assert there.lines == here.lines
    return there


@pytest.fixture
def candles(database):
    put(database, pl.concat([clean_candles(1_440), clean_candles(500, seed=1, instrument=ETH)]))
    return database


def test_clean_candles_are_ok_and_both_sides_say_the_same(candles, tmp_path):
    report = both(candles, tmp_path)

    assert report.ok
    assert [(line.instrument, line.check, line.rows) for line in report.lines] == [
        (instrument, check, rows)
        for instrument, rows in ((BTC, 1_440), (ETH, 500))
        for check in REPORTS
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_both_sides_say_the_same(candles, tmp_path, fault):
    before = both(candles, tmp_path)
    run(candles, FAULTS[fault])

    after = both(candles, tmp_path)

    assert sum(line.findings for line in after.lines) > sum(line.findings for line in before.lines)


def test_all_faults_at_once_are_found_by_every_check(candles, tmp_path):
    for sql in FAULTS.values():
        run(candles, sql)

    report = both(candles, tmp_path)

    assert not report.ok
    assert {line.check for line in report.lines if line.findings} == set(REPORTS)
    assert (tmp_path / "db" / "gap_report.csv").read_text().splitlines()[1:] == [
        f"{BTC},2024-03-01T02:00:00Z,2024-03-01T02:41:00Z,41,unexplained,"
    ]


@pytest.mark.parametrize("gap_minutes", [0.5, 40, 41, 60])
def test_the_threshold_of_gaps_is_the_same_on_both_sides(candles, tmp_path, gap_minutes):
    run(candles, FAULTS["a gap"])

    assert both(candles, tmp_path, gap_minutes=gap_minutes).ok is (gap_minutes > 40)


def test_a_documented_outage_explains_a_gap_in_the_database_too(database, tmp_path):
    before = datetime(2020, 8, 27, 5, tzinfo=UTC)
    after = datetime(2020, 8, 27, 9, 27, tzinfo=UTC)
    put(database, pl.concat([clean_candles(15, start=before), clean_candles(15, start=after)]))

    gaps = both(database, tmp_path).lines[0]

    assert (gaps.check, gaps.findings, gaps.documented) == ("gaps", 1, 1)


def test_the_tick_is_that_of_the_time(database, tmp_path):
    quarter = datetime(2019, 1, 30, 8, tzinfo=UTC)
    frame = clean_candles(120, start=quarter - timedelta(minutes=60))
    put(database, frame.with_columns(pl.col("open", "high", "low", "close") + 0.25))

    both(database, tmp_path)

    listed = pl.read_csv(tmp_path / "db" / "sanity_report.csv", try_parse_dates=True)
    off = listed.filter(pl.col("check") == "off_tick")
    assert len(off) == 60
    assert off["timestamp"].max() < quarter


def test_funding_is_checked_for_gaps_only(database, tmp_path):
    stamps = pl.datetime_range(START, START + timedelta(hours=48), "1h", eager=True)
    rates = {"index_price": 1.0, "prev_index_price": 1.0, "interest_1h": 0.0, "interest_8h": 0.0}
    frame = pl.DataFrame({"timestamp": stamps, "instrument": BTC, **rates})
    put(database, frame.filter(pl.int_range(pl.len()) != 10), "funding_rates")

    report = both(database, tmp_path, "funding_rates")

    assert [(line.check, line.unexplained) for line in report.lines] == [("gaps", 1)]


def test_a_key_cannot_be_there_twice(candles):
    with connect(candles) as connection, pytest.raises(Exception, match="duplicate key value"):
        execute_script(connection, f"INSERT INTO {TABLE} SELECT * FROM {TABLE} LIMIT 1")


NUMBERS = {"open": 101.0, "high": 101.5, "low": 100.5, "close": 101.0, "volume": 1.0, "cost": 101.0}
odd = st.sampled_from([0.0, -1.0, 1e-300, 1e-13, 1e13, 1e300, float("nan"), float("inf")])
near = st.integers(400, 408).map(lambda quarters: quarters / 4)
slight = st.sampled_from([0.999, 1.001, 0.99, 1.01, 100.4, 100.49, 101.51, 101.52, 103.0])
changes = st.dictionaries(st.sampled_from(list(NUMBERS)), odd | near | slight, max_size=2)


@given(changed=st.lists(changes, min_size=40, max_size=60))
@profile(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_the_server_sieves_is_all_that_the_rules_find(database, tmp_path, changed):
    frame = pl.DataFrame([NUMBERS | change for change in changed])
    stamps = pl.lit(START).cast(pl.Datetime("us", "UTC")) + pl.duration(
        minutes=pl.int_range(pl.len())
    )
    run(database, f"TRUNCATE {TABLE}")
    put(
        database, frame.select(stamps.alias("timestamp"), pl.lit(BTC).alias("instrument"), *NUMBERS)
    )

    both(database, tmp_path)


def test_an_empty_table_is_one_clear_error(database, tmp_path):
    with pytest.raises(UsageError, match=f"holds nothing of {TABLE} yet: run load first"):
        in_database(database, TABLE, out_dir=tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("perpetuals_ohlcv_60", "never loaded into the database"),
        ("futures_curve", "no check of futures_curve"),
    ],
)
def test_a_table_the_database_does_not_have_is_one_clear_error(database, tmp_path, table, message):
    with pytest.raises(UsageError, match=message):
        in_database(database, table, out_dir=tmp_path)


def test_a_database_without_the_schema_is_one_clear_error(empty_database, tmp_path):
    run(empty_database, "CREATE EXTENSION IF NOT EXISTS timescaledb")

    with pytest.raises(SchemaError, match="db init"):
        in_database(empty_database, TABLE, out_dir=tmp_path)


def test_a_check_changes_nothing_and_needs_no_lake(candles, tmp_path):
    before = held(candles)

    settings = candles.model_copy(update={"root": tmp_path / "none"})
    told = summary(in_database(settings, TABLE, out_dir=tmp_path / "out"))

    assert told.splitlines()[-1].startswith(f"nothing unexplained in {TABLE}; see ")
    assert held(candles).equals(before)
    assert not Settings(root=tmp_path / "none").root.exists()
