from datetime import UTC, datetime, timedelta
from itertools import product

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import CorruptFileError
from lake.live import (
    drop_live,
    key_of_live,
    live_datasets,
    live_files,
    publish_live,
    read_live,
    tidy_live,
)
from lake.partition import Partition
from lake.paths import Lake
from lake.verify import verify
from lake.views import open_views, select
from lake.write import publish_table

BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"
NAME, KEY = "quotes", ("timestamp", "instrument")
DAY = datetime(2026, 3, 14, tzinfo=UTC)
SCHEMA = {
    "timestamp": pl.Datetime("us", "UTC"),
    "instrument": pl.String,
    "close": pl.Float64,
}


def minutes(*told):
    """Rows of ``(minute of the day, instrument, close)``."""
    rows = [(DAY + timedelta(minutes=minute), name, close) for minute, name, close in told]
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def clean(lake, table, period="2026", part=BTC):
    publish_table(table, lake.clean(Partition(NAME, part, period)))


def live(lake, *told, day="2026-03-14"):
    return publish_live(lake, NAME, day, minutes(*told), KEY)


def closes(lake, where="true"):
    sql = f"SELECT close FROM {NAME} WHERE {where} ORDER BY timestamp, instrument"
    return [close for (close,) in select(open_views(lake), sql).pl().rows()]


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def test_a_live_day_is_one_file_of_all_parts_in_key_order(lake):
    path = live(lake, (1, ETH, 4.0), (1, BTC, 3.0), (0, ETH, 2.0))

    assert path == lake.root / "live" / NAME / "2026-03-14.parquet"
    assert read_live(lake, NAME)["close"].to_pylist() == [2.0, 3.0, 4.0]
    assert (key_of_live(path), live_datasets(lake)) == (KEY, [NAME])


def test_publishing_a_live_day_again_replaces_it(lake):
    live(lake, (0, BTC, 1.0), (1, BTC, 1.0))
    live(lake, (0, BTC, 2.0))

    assert read_live(lake, NAME)["close"].to_pylist() == [2.0]


def test_a_live_day_without_rows_is_no_file(lake):
    live(lake, (0, BTC, 1.0))

    assert live(lake) is None
    assert (live_files(lake, NAME), live_datasets(lake)) == ([], [])
    assert read_live(lake, NAME) is None


def test_live_days_of_a_dataset_read_as_one(lake):
    live(lake, (1440, BTC, 2.0), day="2026-03-15")
    live(lake, (0, BTC, 1.0))

    assert read_live(lake, NAME)["close"].to_pylist() == [1.0, 2.0]
    drop_live(lake, NAME, "2026-03-14")
    assert read_live(lake, NAME)["close"].to_pylist() == [2.0]


def test_dropping_a_live_day_that_is_not_there_does_no_harm(lake):
    drop_live(lake, NAME, "2026-03-14")

    assert live_datasets(lake) == []


def test_what_a_killed_process_left_is_removed(lake):
    path = live(lake, (0, BTC, 1.0))
    left = path.with_name("2026-03-13.parquet.tmp")
    left.write_bytes(b"half")

    tidy_live(lake)

    assert (left.exists(), live_files(lake, NAME)) == (False, [path])


def test_live_rows_are_in_the_view_behind_the_clean_ones(lake):
    clean(lake, minutes((0, BTC, 1.0), (1, BTC, 2.0)))
    live(lake, (1, BTC, -1.0), (1, ETH, 3.0), (2, BTC, 4.0))

    assert closes(lake) == [1.0, 2.0, 3.0, 4.0]


def test_a_dataset_with_live_rows_alone_has_a_view(lake):
    live(lake, (0, BTC, 1.0))

    assert closes(lake) == [1.0]


def test_views_made_of_a_view_have_its_live_rows(lake):
    told = minutes((0, BTC, 1.0), (59, BTC, 2.0))
    bars = told.append_column("open", told["close"]).append_column("high", told["close"])
    bars = bars.append_column("low", told["close"])
    for name in ("volume", "cost"):
        bars = bars.append_column(name, pa.array([1.0, 1.0]))
    publish_live(lake, "perpetuals_ohlcv", "2026-03-14", bars, KEY)

    found = select(open_views(lake), "SELECT open, close, minutes FROM perpetuals_1h").pl()
    assert found.rows() == [(1.0, 2.0, 2)]


@pytest.mark.parametrize("period", ["2025", "2026-02", "2026-03-13"])
def test_files_of_periods_before_the_live_rows_are_not_compared(lake, period):
    clean(lake, minutes((-70_000, BTC, 1.0)), period)
    live(lake, (0, BTC, 2.0))

    sql = f"SELECT sql FROM duckdb_views() WHERE view_name = '{NAME}'"
    assert "ANTI" not in open_views(lake).sql(sql).fetchall()[0][0]
    assert closes(lake) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("bound", "is_read"), [("< '2026-03-13'", False), (">= '2026-03-13'", True)]
)
def test_live_rows_are_read_only_where_they_may_answer(lake, bound, is_read):
    clean(lake, minutes((-9000, BTC, 1.0), (0, BTC, 2.0)))
    live(lake, (0, BTC, 2.0), (1, BTC, 3.0))

    sql = f"EXPLAIN ANALYZE SELECT sum(close) FROM {NAME} WHERE timestamp {bound}"
    plan = open_views(lake).sql(sql).fetchall()[0][1]

    assert ("/live/" in plan) == is_read
    assert "/clean/" in plan


def test_a_connection_sees_a_live_day_that_is_published_again(lake):
    live(lake, (0, BTC, 1.0))
    connection = open_views(lake)
    sql = f"SELECT sum(close) FROM {NAME}"
    seen = [select(connection, sql).pl().item()]

    for more in (2.0, 30.0):
        live(lake, (0, BTC, 1.0), (1, BTC, more))
        seen.append(select(connection, sql).pl().item())

    assert seen == [1.0, 3.0, 31.0]


def test_columns_are_taken_by_name_where_a_live_day_has_others(lake):
    clean(lake, minutes((0, BTC, 1.0)))
    table = minutes((1, BTC, 2.0)).append_column("trades", pa.array([7]))
    publish_live(lake, NAME, "2026-03-14", table, KEY)

    found = select(open_views(lake), f"SELECT close, trades FROM {NAME} ORDER BY ALL").pl()
    assert found.rows() == [(1.0, None), (2.0, 7)]


def test_a_key_without_a_time_is_compared_with_all_that_is_clean(lake):
    table = minutes((0, BTC, 1.0), (1, ETH, 2.0)).drop_columns("timestamp")
    publish_table(table.slice(0, 1), lake.clean(Partition(NAME, "all", "all")))
    publish_live(lake, NAME, "2026-03-14", table, ("instrument",))

    found = select(open_views(lake), f"SELECT instrument FROM {NAME} ORDER BY 1").pl()
    assert found.rows() == [(BTC,), (ETH,)]


def test_verify_reads_live_days_and_expects_no_ledger_of_them(lake):
    path = live(lake, (0, BTC, 1.0))
    assert list(verify(lake)) == []

    path.write_bytes(b"PAR1")

    assert [(fault.path, fault.is_corrupt) for fault in verify(lake, NAME)] == [(path, True)]


def test_a_live_file_that_does_not_say_its_key_is_named(lake):
    path = lake.root / "live" / NAME / "2026-03-14.parquet"
    publish_table(minutes((0, BTC, 1.0)), path)

    with pytest.raises(CorruptFileError, match=r"2026-03-14\.parquet is corrupt \(it does not say"):
        open_views(lake)


places = st.sets(st.tuples(st.integers(-3, 3), st.sampled_from([BTC, ETH])))


@settings(max_examples=40)
@given(places, places, places)
def test_no_row_is_lost_and_none_is_twice(tmp_path_factory, clean_at, today, tomorrow):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for part, year in product((BTC, ETH), ("2026", "2025")):
        mine = [(m, one, 1.0) for m, one in sorted(clean_at) if one == part and year == "2026"]
        if mine:
            clean(lake, minutes(*mine), year, part)
    live(lake, *((m, one, 2.0) for m, one in today))
    later = {(m + 10, one) for m, one in tomorrow}
    live(lake, *((m, one, 2.0) for m, one in later), day="2026-03-15")
    told = dict.fromkeys(today | later, 2.0) | dict.fromkeys(clean_at, 1.0)

    found = closes(lake) if told else []

    assert found == [told[one] for one in sorted(told)]


def test_a_live_file_has_no_column_but_those_it_was_given(lake):
    path = live(lake, (0, BTC, 1.0))

    assert pq.read_schema(path).names == list(SCHEMA)
