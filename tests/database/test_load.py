from datetime import UTC, datetime

import polars as pl
import pytest

from etl.database.connection import connect, fetch
from etl.database.load import empty, load
from etl.database.parts import loadable
from etl.database.verify import verify_database
from etl.errors import LoadError
from etl.progress import LogProgress
from etl.when import parse_moment
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.span import Span
from lake.write import publish_table

BTC = "BTC-PERPETUAL"
START, END = datetime(2024, 11, 29, tzinfo=UTC), datetime(2025, 2, 3, tzinfo=UTC)
MINUTES = 66 * 1440


def candles(start=START, end=END, instrument=BTC):
    times = pl.datetime_range(start, end, "1m", closed="left", time_zone="UTC", eager=True)
    price = 60_000.0 + (pl.int_range(pl.len()) % 97).cast(pl.Float64)
    return pl.DataFrame({"timestamp": times}).select(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
        instrument=pl.lit(instrument),
        open=price,
        high=price + 1.5,
        low=price - 0.5,
        close=price + 1.0,
        volume=pl.lit(0.25),
        cost=pl.lit(15_000.0),
    )


def publish(root, rows, dataset="perpetuals_ohlcv"):
    """Put rows into a lake as the pipeline does: a file and a ledger a year."""
    lake = Lake(root)
    for (instrument, year), part in rows.group_by(
        "instrument", pl.col("timestamp").dt.year(), maintain_order=True
    ):
        partition, table = Partition(dataset, instrument, str(year)), arrow(part)
        publish_table(table, lake.clean(partition))
        record = Record(rows=len(part), checksum=checksum(table))
        write_record(lake, partition, record)


@pytest.fixture
def settings(database, tmp_path):
    publish(tmp_path / "lake", candles())
    return database.model_copy(update={"root": tmp_path / "lake"})


def bring(settings, **options):
    return load(settings, Lake(settings.root), LogProgress(), **options)


def run(settings, sql):
    with connect(settings) as connection:
        rows = fetch(connection, sql)
        connection.commit()
    return rows


def written(settings):
    """Return how often rows of our tables were written, compressed ones too."""
    return run(
        settings,
        "SELECT relname::text, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
        " WHERE schemaname = '_timescaledb_internal' OR relname ~ '^perpetuals' ORDER BY 1",
    )


def changed(frame, day, **values):
    here = pl.col("timestamp").dt.date() == day
    return frame.with_columns(
        pl.when(here).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def test_a_first_load_brings_every_row_and_verifies(settings):
    done = bring(settings)

    assert (done.inserted, done.months_loaded) == (MINUTES, 4)
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_a_second_load_touches_no_row(settings):
    bring(settings)
    before = written(settings)
    done = bring(settings)

    assert (done.inserted, done.updated, done.deleted) == (0, 0, 0)
    assert (done.months_loaded, done.months_unchanged) == (0, 4)
    assert written(settings) == before


def test_a_revised_day_updates_exactly_its_rows(settings):
    bring(settings)
    day = datetime(2025, 1, 15, tzinfo=UTC).date()
    publish(settings.root, changed(candles(), day, close=pl.col("close") + 0.25))
    done = bring(settings)

    assert (done.inserted, done.updated, done.deleted) == (0, 1440, 0)
    assert (done.months_loaded, done.months_unchanged) == (1, 3)
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_rows_gone_from_the_lake_are_deleted_and_new_ones_inserted(settings):
    bring(settings)
    rows = candles().filter(pl.col("timestamp").dt.day() != 7)
    more = candles(END, datetime(2025, 2, 4, tzinfo=UTC))
    publish(settings.root, pl.concat([rows, more]))
    done = bring(settings)

    assert (done.inserted, done.updated, done.deleted) == (1440, 0, 2 * 1440)
    assert verify_database(settings, Lake(settings.root))[1] == []


def test_a_month_gone_from_the_lake_is_deleted(settings):
    bring(settings)
    publish(settings.root, candles().filter(pl.col("timestamp").dt.month() != 1))
    done = bring(settings)

    assert done.deleted == 31 * 1440
    assert verify_database(settings, Lake(settings.root))[1] == []


def test_rows_nobody_loaded_are_made_the_lake_s(settings):
    run(
        settings,
        "INSERT INTO perpetuals_ohlcv VALUES"
        " ('2025-01-05 00:00Z', 'BTC-PERPETUAL', 1, 1, 1, 1, 1, 1),"
        " ('2025-01-05 00:00:30Z', 'BTC-PERPETUAL', 1, 1, 1, 1, 1, 1) RETURNING 1",
    )
    done = bring(settings)

    assert (done.updated, done.deleted) == (1, 1)
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_only_the_months_and_instruments_asked_for_are_loaded(settings):
    publish(settings.root, candles(instrument="ETH-PERPETUAL"))
    span = Span(parse_moment("2025-01-10", "start"), parse_moment("2025-01-20", "end"))
    done = bring(settings, parts=[BTC], span=span)

    assert done.inserted == 31 * 1440
    assert run(settings, "SELECT DISTINCT instrument FROM perpetuals_ohlcv") == [(BTC,)]


def test_after_a_part_the_rest_is_loaded_too(settings):
    span = Span(parse_moment("2025-01-10", "start"), parse_moment("2025-01-20", "end"))
    bring(settings, span=span)
    bring(settings)

    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_a_database_that_lacks_a_year_differs_in_every_month_of_it(settings):
    bring(settings)
    run(settings, "DELETE FROM perpetuals_ohlcv WHERE timestamp >= '2025-01-01Z' RETURNING 1")
    differences = verify_database(settings, Lake(settings.root))[1]

    assert [(one.month, one.database) for one in differences] == [
        ("2025-01", "no rows"),
        ("2025-02", "no rows"),
    ]


def test_a_reload_starts_from_nothing(settings):
    bring(settings)
    empty(settings, loadable())
    assert run(settings, "SELECT count(*) FROM perpetuals_ohlcv") == [(0,)]
    done = bring(settings)

    assert done.inserted == MINUTES


def test_a_full_load_finds_what_was_altered_behind_its_back(settings):
    bring(settings)
    run(settings, "UPDATE perpetuals_ohlcv SET close = 1 WHERE close = 60002 RETURNING 1")
    (difference, *_) = verify_database(settings, Lake(settings.root))[1]
    assert difference.instrument == BTC
    done = bring(settings, full=True)

    assert done.updated > 0
    assert verify_database(settings, Lake(settings.root)) == (MINUTES, [])


def test_rows_of_another_lake_are_reported_and_left_alone(settings, tmp_path):
    bring(settings)
    other = settings.model_copy(update={"root": tmp_path / "other"})
    publish(other.root, candles(instrument="ETH-PERPETUAL"))
    done = bring(other)

    assert done.notes == [
        f"the database holds perpetuals_ohlcv {BTC} {year}, which this lake does not know"
        for year in (2024, 2025)
    ]
    assert {one.instrument for one in verify_database(other, Lake(other.root))[1]} == {BTC}


def test_a_file_that_is_not_what_its_ledger_says_is_refused(settings):
    bring(settings)
    partition = Partition("perpetuals_ohlcv", BTC, "2025")
    lake = Lake(settings.root)
    write_record(lake, partition, Record(rows=34 * 1440, checksum="0" * 32))

    with pytest.raises(LoadError, match=r"2025.parquet is not what its ledger says"):
        bring(settings)


def test_a_second_loader_is_told_who_loads(settings):
    with connect(settings) as first:
        ((pid,),) = fetch(first, "SELECT pg_backend_pid()")
        fetch(first, f"SELECT pg_try_advisory_lock({0x64657269})")
        with pytest.raises(LoadError, match=f"server process {pid} holds the loader's lock"):
            bring(settings)


def test_funding_rates_are_loaded_too(settings):
    hours = pl.datetime_range(START, END, "1h", closed="left", time_zone="UTC", eager=True)
    rates = pl.DataFrame({"timestamp": hours}).select(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
        instrument=pl.lit(BTC),
        index_price=pl.lit(60_000.25),
        prev_index_price=pl.lit(60_000.0),
        interest_1h=pl.lit(1e-5),
        interest_8h=pl.lit(8e-5),
    )
    publish(settings.root, rates, "funding_rates")
    bring(settings)

    assert run(settings, "SELECT count(*) FROM funding_rates") == [(66 * 24,)]
    assert verify_database(settings, Lake(settings.root)) == (MINUTES + 66 * 24, [])
