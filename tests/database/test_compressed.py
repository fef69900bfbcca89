"""What a server that compresses does: rows filled compressed, revised in place, keys kept."""

import os
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from etl.catalog import find
from etl.database.connection import connect, execute_script, fetch
from etl.database.fill import Order, fillable
from etl.database.live import LiveWriter, Sent
from etl.database.parts import Entry, batches
from etl.database.tables import table_of
from etl.database.verify import verify_database
from etl.errors import LoadError
from lake.arrow import arrow
from lake.paths import Lake
from tests.database.conftest import GIVEN
from tests.database.test_bars import assert_bars_are_the_lake_s, uneven
from tests.database.test_load import BTC, bring, candles, changed, publish, run

ETH = "ETH-PERPETUAL"
START, END = datetime(2024, 12, 16, tzinfo=UTC), datetime(2025, 1, 20, tzinfo=UTC)
MINUTES = 35 * 1440
CANDLES = find("perpetuals_ohlcv")
CHUNKS = (
    "SELECT count(*) FILTER (WHERE is_compressed), count(*) FROM timescaledb_information.chunks"
    " WHERE hypertable_name = 'perpetuals_ohlcv'"
)
OTHER_POLICY = """SELECT remove_compression_policy('perpetuals_ohlcv');
    SELECT add_compression_policy('perpetuals_ohlcv', {})"""
LOOSE = "SELECT count(*) FROM ONLY {chunk}"


@pytest.fixture
def community(request, tmp_path):
    """Return settings of a server that compresses what COPY brings, and of a lake to load."""
    found = request.getfixturevalue("database" if GIVEN in os.environ else "community")
    with connect(found) as connection:
        if fillable(connection, CANDLES) is None:
            pytest.skip(
                f"the server of {GIVEN} does not compress what COPY brings: needs TimescaleDB 2.21"
                " or newer under the licence timescale"
            )
    publish(tmp_path / "lake", uneven(START, END))
    return found.model_copy(update={"root": tmp_path / "lake"})


def loose(settings):
    """Return how many rows of perpetuals lie outside of what is compressed."""
    chunks = run(
        settings,
        "SELECT format('%I.%I', chunk_schema, chunk_name)"
        " FROM timescaledb_information.chunks WHERE hypertable_name = 'perpetuals_ohlcv'",
    )
    with connect(settings) as connection:
        execute_script(connection, "SET timescaledb.enable_transparent_decompression = off")
        return sum(fetch(connection, LOOSE.format(chunk=chunk))[0][0] for (chunk,) in chunks)


def is_verified(settings, rows=MINUTES):
    return verify_database(settings, Lake(settings.root)) == (rows, [])


@pytest.mark.parametrize("full", [False, True])
def test_a_first_load_is_compressed_has_its_key_and_is_the_lake_s(community, full):
    done = bring(community, full=full)
    assert (done.inserted, done.months_loaded, done.months_unchanged) == (MINUTES, 2, 0)

    ((compressed, chunks),) = run(community, CHUNKS)
    assert compressed == chunks > 0
    assert loose(community) == 0
    assert run(community, "SELECT conname::text FROM pg_constraint WHERE contype = 'p'"
                          " AND conrelid = 'perpetuals_ohlcv'::regclass") == [
        ("perpetuals_ohlcv_pkey",)
    ]  # fmt: skip
    assert is_verified(community)
    assert_bars_are_the_lake_s(community)
    assert bring(community).months_unchanged == 2


def test_rows_filled_compressed_are_found_by_every_filter(community):
    publish(community.root, uneven(START, END, ETH))
    bring(community)

    for day in (date(2024, 12, 16), date(2024, 12, 31), date(2025, 1, 1), date(2025, 1, 19)):
        bounds = f"timestamp >= '{day} 00:00Z' AND timestamp < '{day} 24:00Z'"
        sql = f"SELECT instrument, count(*) FROM perpetuals_ohlcv WHERE {bounds} GROUP BY 1"
        assert sorted(run(community, sql)) == [(BTC, 1440), (ETH, 1440)]
    latest = "SELECT max(timestamp)::text FROM perpetuals_ohlcv WHERE instrument = '{}'"
    assert {run(community, latest.format(one))[0] for one in (BTC, ETH)} == {
        ("2025-01-19 23:59:00+00",)
    }


def test_a_row_sent_twice_to_a_compressed_table_is_refused(community):
    bring(community)
    again = "INSERT INTO perpetuals_ohlcv SELECT * FROM perpetuals_ohlcv LIMIT 1 RETURNING 1"
    with pytest.raises(Exception, match="duplicate key"):
        run(community, again)


def test_rows_younger_than_what_the_policy_compresses_stay_as_they_are(community):
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = uneven(now - timedelta(days=240), now, ETH).gather_every(30)
    publish(community.root, rows)
    bring(community)

    youngest = (
        "SELECT is_compressed FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'perpetuals_ohlcv' ORDER BY range_end DESC LIMIT 1"
    )
    assert run(community, youngest) == [(False,)]
    assert 60 * 48 < loose(community) < 200 * 48
    assert verify_database(community, Lake(community.root))[1] == []


def test_a_day_revised_in_a_compressed_chunk_decompresses_only_what_it_lies_in(community):
    bring(community)
    publish(
        community.root, changed(uneven(START, END), date(2025, 1, 15), close=pl.col("close") + 0.25)
    )
    done = bring(community)

    assert (done.inserted, done.updated, done.deleted) == (0, 1440, 0)
    assert 1440 <= loose(community) <= 1440 + 2 * 1000  # a batch has at most 1,000 rows
    assert is_verified(community)
    assert_bars_are_the_lake_s(community)


def test_a_full_load_of_what_is_the_same_decompresses_nothing(community):
    bring(community)
    done = bring(community, full=True)

    assert (done.months_loaded, done.inserted + done.updated + done.deleted) == (2, 0)
    assert loose(community) == 0


def test_live_rows_the_same_as_compressed_ones_decompress_nothing(community):
    bring(community)
    with LiveWriter(community) as writer:
        assert writer.send(CANDLES, arrow(uneven(START, END))) == Sent()

    assert loose(community) == 0


def test_live_rows_in_and_behind_compressed_chunks_are_the_lake_s_after_a_load(community):
    noon, rows = END - timedelta(hours=12), uneven(START, END)
    publish(community.root, rows.filter(pl.col("timestamp") < noon))
    bring(community)
    here = pl.col("timestamp").dt.date() >= date(2025, 1, 19)
    with LiveWriter(community) as writer:
        late = rows.filter(here)
        assert writer.send(CANDLES, arrow(late)) == Sent(inserted=720, marked=1)
        revised = late.with_columns(pl.col("close") + 0.25)
        assert writer.send(CANDLES, arrow(revised)) == Sent(updated=1440)
    publish(community.root, rows)
    assert bring(community).updated == 1440

    assert is_verified(community)
    assert_bars_are_the_lake_s(community)


def test_a_month_new_in_a_compressed_chunk_is_appended(community):
    publish(community.root, uneven(START, END).filter(pl.col("timestamp").dt.month() != 1))
    bring(community)
    publish(community.root, uneven(START, END))
    bring(community)

    assert is_verified(community)


def test_a_reload_puts_compressed_rows_in_place_of_what_was_there(community):
    bring(community)
    publish(community.root, uneven(START, END, ETH))
    done = bring(community, anew=True)

    assert done.inserted == 2 * MINUTES
    assert loose(community) == 0
    assert is_verified(community, 2 * MINUTES)


def test_a_reload_that_fails_leaves_what_was_there_and_its_key(community):
    bring(community)
    publish(community.root, uneven(START, END, ETH))
    lake = Lake(community.root)
    *_, last = batches(lake, CANDLES)
    lake.clean(last.partition).unlink()
    with pytest.raises(LoadError, match="is gone"):
        bring(community, anew=True)

    assert run(community, "SELECT count(*) FROM perpetuals_ohlcv") == [(MINUTES,)]
    with connect(community) as connection:
        assert fillable(connection, CANDLES) is not None


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE perpetuals_ohlcv SET (timescaledb.compress_orderby = 'timestamp DESC')",
        "ALTER TABLE perpetuals_ohlcv SET (timescaledb.compress_segmentby = '')",
        "SELECT remove_compression_policy('perpetuals_ohlcv')",
        "ALTER TABLE perpetuals_ohlcv REPLICA IDENTITY USING INDEX perpetuals_ohlcv_pkey",
        """CREATE TABLE refers (i text, t timestamptz,
            FOREIGN KEY (i, t) REFERENCES perpetuals_ohlcv (instrument, timestamp))""",
        """CREATE VIEW groups AS SELECT instrument, timestamp, open
            FROM perpetuals_ohlcv GROUP BY instrument, timestamp""",
        OTHER_POLICY.format("compress_created_before => INTERVAL '60 days'"),
        OTHER_POLICY.format("compress_after => INTERVAL '9000 years'"),
        """CREATE TABLE refers (i text, t timestamptz,
            FOREIGN KEY (i, t) REFERENCES reference.perpetuals_1d (instrument, timestamp))""",
        "ALTER TABLE perpetuals_ohlcv CLUSTER ON perpetuals_ohlcv_pkey",
        "COMMENT ON INDEX perpetuals_ohlcv_pkey IS 'ours'",
        "ALTER INDEX perpetuals_ohlcv_pkey SET (fillfactor = 70)",
        "CREATE UNIQUE INDEX theirs ON perpetuals_ohlcv (timestamp, instrument)",
        """CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
            CREATE TRIGGER theirs BEFORE INSERT ON perpetuals_ohlcv
            FOR EACH ROW EXECUTE FUNCTION same()""",
    ],
)
def test_a_table_somebody_else_set_up_is_not_filled_compressed(community, change, execute):
    execute(change, community)
    with connect(community) as connection:
        assert fillable(connection, CANDLES) is None


def test_where_a_table_is_not_filled_compressed_rows_go_in_as_everywhere(community, execute):
    execute("SELECT remove_compression_policy('perpetuals_ohlcv')", community)
    bring(community)

    assert run(community, CHUNKS)[0][0] == 0
    assert is_verified(community)


def test_a_policy_for_rows_of_the_future_compresses_all_that_is_past(community, execute):
    execute(OTHER_POLICY.format("compress_after => INTERVAL '-9000 years'"), community)
    assert bring(community).inserted == MINUTES
    assert loose(community) == 0


def test_a_key_of_any_name_is_dropped_and_added_back(community, execute):
    name = '"our ""key""; {0}"'
    execute(
        f"ALTER TABLE perpetuals_ohlcv RENAME CONSTRAINT perpetuals_ohlcv_pkey TO {name}", community
    )
    bring(community)
    assert run(community, "SELECT conname::text FROM pg_constraint WHERE contype = 'p'"
                          " AND conrelid = 'perpetuals_ohlcv'::regclass") == [
        ('our "key"; {0}',)
    ]  # fmt: skip
    assert loose(community) == 0


def test_a_loader_that_does_not_own_the_tables_loads_all_the_same(community, execute):
    role = f"loader_{os.getpid()}"
    execute(f"CREATE ROLE {role} IN ROLE deribit_loader", community)
    mark = "&" if "?" in community.dsn else "?"
    theirs = community.model_copy(update={"dsn": f"{community.dsn}{mark}options=-crole%3D{role}"})
    try:
        assert bring(theirs).inserted == MINUTES
        publish(
            community.root,
            changed(uneven(START, END), date(2025, 1, 15), close=pl.col("close") + 0.25),
        )
        assert bring(theirs).updated == 1440
        assert bring(theirs, anew=True).inserted == MINUTES
        assert is_verified(theirs)
    finally:
        execute(f"DROP OWNED BY {role}; DROP ROLE {role}", community)


def test_the_loader_does_not_claim_an_order_that_is_not_there():
    month = Entry("perpetuals_ohlcv", BTC, date(2025, 1, 1))
    rows = candles(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC)).to_arrow()
    order = Order(table_of(CANDLES.model))
    order.prove({month: rows.slice(0, 700)})

    for wrong in (
        rows.slice(699),  # begins with the row that was the last
        rows.slice(800).take([1, 0, 2]),
        rows.slice(800).take([0, 1, 1, 2]),
        candles(instrument=ETH).to_arrow(),
    ):
        with pytest.raises(LoadError, match=f"perpetuals_ohlcv {BTC} 2025-01 is not sorted"):
            Order(order.table, dict(order.last)).prove({month: wrong})
    order.prove({month: rows.slice(700)})
