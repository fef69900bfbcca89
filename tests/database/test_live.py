"""Live rows come in micro-batches, and a later load ends where it would have without them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest

from etl.catalog import find
from etl.database.connection import connect
from etl.database.live import LiveWriter, Sent
from etl.database.tables import tables
from etl.database.verify import Comparison, compare
from etl.errors import ExactError, UsageError
from lake.arrow import arrow
from lake.paths import Lake
from tests.database.test_bars import assert_bars_are_the_lake_s, of_database, uneven
from tests.database.test_load import BTC, bring, candles, publish, run

ETH = "ETH-PERPETUAL"
CANDLES = find("perpetuals_ohlcv")
START, NOON = datetime(2025, 1, 30, tzinfo=UTC), datetime(2025, 2, 1, 12, tzinfo=UTC)
END = datetime(2025, 2, 2, tzinfo=UTC)
MINUTES, LIVE = 2 * 1440 + 720, 720
HOUR = timedelta(hours=1)


@pytest.fixture
def settings(database, tmp_path):
    """Return settings of a database and of a lake that reaches to noon."""
    publish(tmp_path / "lake", uneven(START, NOON))
    return database.model_copy(update={"root": tmp_path / "lake"})


@pytest.fixture
def writer(settings):
    with LiveWriter(settings) as made:
        yield made


def dump(settings):
    """Return all rows of every table, and what the loader's books say but for when."""
    found = {}
    with connect(settings) as connection, connection.cursor() as cursor:
        for table in tables().values():
            columns = ", ".join(one.name for one in table.columns if not one.name.endswith("ed_at"))
            order = ", ".join(table.key)
            cursor.execute(f"SELECT {columns} FROM {table.path} ORDER BY {order}")
            found[table.name] = pl.DataFrame(cursor.fetch_arrow_table())
    return found


def assert_same(one, other):
    for name, rows in one.items():
        assert rows.equals(other[name]), name


def places(settings):
    """Return where rows lie, and by which transaction they were written."""
    return [
        run(settings, f"SELECT tableoid, ctid::text, xmin::text FROM {table.path} ORDER BY 1, 2")
        for table in tables().values()
    ]


def bars_of_minutes(settings, tmp_path):
    """Hold the bars of the database against those of a lake that has just its minutes."""
    minutes = of_database(settings, "perpetuals_ohlcv")
    publish(tmp_path / "minutes", minutes.select(uneven().columns))
    assert_bars_are_the_lake_s(settings.model_copy(update={"root": tmp_path / "minutes"}))


def test_rows_are_inserted_and_sent_again_touch_nothing(settings, writer):
    rows = arrow(uneven(NOON, END))
    first = writer.send(CANDLES, rows)
    before = places(settings)
    again = writer.send(CANDLES, rows)

    assert first == Sent(inserted=LIVE, updated=0, marked=1)
    assert again == Sent()
    assert places(settings) == before
    assert of_database(settings, "perpetuals_ohlcv").equals(uneven(NOON, END))


def test_the_ledger_no_longer_says_of_a_month_that_it_is_as_it_was_loaded(settings, writer):
    bring(settings)
    writer.send(CANDLES, arrow(uneven(NOON, END)))
    lines = "SELECT dataset, month::text, rows, checksum FROM reference.load_ledger"

    assert run(settings, f"{lines} WHERE source = 'live' ORDER BY 1") == [
        (name, "2025-02-01", 0, "")
        for name in ("perpetuals_1d", "perpetuals_1h", "perpetuals_ohlcv")
    ]
    assert len(run(settings, lines)) == 6


def test_rows_that_differ_are_replaced_and_all_others_stay(settings, writer):
    bring(settings)
    writer.send(CANDLES, arrow(uneven(NOON, END)))
    rows = uneven(NOON, END).with_columns(
        close=pl.col("close") + pl.when(pl.col("timestamp").dt.minute() == 7).then(1).otherwise(0)
    )
    done = writer.send(CANDLES, arrow(rows))

    assert done == Sent(updated=12)
    expected = pl.concat([uneven(START, NOON), rows])
    assert of_database(settings, "perpetuals_ohlcv").equals(expected)


def test_hours_and_days_are_those_of_all_minutes_the_table_holds(settings, writer, tmp_path):
    bring(settings)
    for minute in range(0, 90, 9):
        start = NOON + timedelta(minutes=minute)
        rows = [uneven(start, start + timedelta(minutes=9), name) for name in (BTC, ETH)]
        writer.send(CANDLES, arrow(pl.concat(rows)))
        bars_of_minutes(settings, tmp_path)


def test_a_load_of_the_rows_ends_where_it_would_have_without_them(settings, writer):
    bring(settings)
    writer.send(CANDLES, arrow(uneven(NOON, END).with_columns(pl.col("close") + 0.25)))
    extra = uneven(NOON, NOON + timedelta(minutes=1)).with_columns(
        pl.col("timestamp") + timedelta(seconds=30)
    )
    writer.send(CANDLES, arrow(extra))
    publish(settings.root, uneven(START, END))
    done = bring(settings)
    after = dump(settings)
    bring(settings, anew=True)

    assert (done.inserted, done.updated, done.deleted, done.live) == (0, LIVE, 1, 0)
    assert_same(after, dump(settings))
    assert compare(settings, Lake(settings.root)) == Comparison(MINUTES + LIVE, [], {})
    assert bring(settings).months_unchanged == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_first_load_beside_live_rows_brings_everything(settings, writer, known):
    reach = uneven(NOON, END) if known else uneven(START, END, ETH)
    writer.send(CANDLES, arrow(reach))
    bring(settings)
    publish(settings.root, uneven(START, END))
    publish(settings.root, uneven(START, END, ETH))
    bring(settings)
    after = dump(settings)
    bring(settings, anew=True)

    assert_same(after, dump(settings))


def test_live_rows_behind_the_lake_survive_a_load_and_are_counted_not_faults(
    settings, writer, tmp_path
):
    bring(settings)
    writer.send(CANDLES, arrow(uneven(NOON, END)))
    writer.send(CANDLES, arrow(uneven(NOON, END, ETH)))
    expected = Comparison(MINUTES, [], {"perpetuals_ohlcv": 2 * LIVE})
    assert compare(settings, Lake(settings.root)) == expected

    for options in ({}, {"full": True}):
        done = bring(settings, **options)
        assert (done.inserted, done.updated, done.deleted, done.bars) == (0, 0, 0, 0)
        assert (done.live, done.notes) == (LIVE, [])
        assert compare(settings, Lake(settings.root)) == expected
    bars_of_minutes(settings, tmp_path)
    assert writer.send(CANDLES, arrow(uneven(NOON, END))) == Sent()


def test_a_load_that_brings_a_part_of_the_live_rows_leaves_the_rest(settings, writer, tmp_path):
    writer.send(CANDLES, arrow(uneven(NOON, END)))
    middle = NOON + timedelta(hours=5, minutes=30)
    publish(settings.root, uneven(START, middle))
    done = bring(settings)

    assert (done.inserted, done.deleted, done.live) == (MINUTES, 0, 390)
    assert compare(settings, Lake(settings.root)).live == {"perpetuals_ohlcv": 390}
    bars_of_minutes(settings, tmp_path)


def test_live_rows_of_a_month_the_lake_has_passed_without_any_go(settings, writer):
    writer.send(CANDLES, arrow(uneven(NOON, END)))
    march = datetime(2025, 3, 1, tzinfo=UTC)
    around = [uneven(START, datetime(2025, 2, 1, tzinfo=UTC)), uneven(march, march + HOUR)]
    publish(settings.root, pl.concat(around))
    done = bring(settings)
    after = dump(settings)
    bring(settings, anew=True)

    assert (done.deleted, done.live) == (LIVE, 0)
    assert_same(after, dump(settings))


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("DELETE FROM {} WHERE timestamp = '2025-02-01 03:00Z'", "perpetuals_ohlcv"),
        ("UPDATE {} SET close = 1 WHERE timestamp = '2025-02-01 03:00Z'", "perpetuals_ohlcv"),
        (
            "UPDATE reference.{} SET close = 1 WHERE timestamp = '2025-02-01 13:00Z'",
            "perpetuals_1h",
        ),
        ("DELETE FROM reference.{} WHERE timestamp = '2025-02-01 13:00Z'", "perpetuals_1h"),
        ("UPDATE reference.{} SET minutes = 1 WHERE timestamp >= '2025-02-01Z'", "perpetuals_1d"),
    ],
)
def test_what_is_wrong_beside_live_rows_is_a_fault(settings, writer, change, table):
    bring(settings)
    writer.send(CANDLES, arrow(uneven(NOON, END)))
    run(settings, f"{change.format(table)} RETURNING 1")
    found = compare(settings, Lake(settings.root))

    assert [(one.dataset, one.month) for one in found.differences] == [(table, "2025-02")]
    assert found.live == {"perpetuals_ohlcv": LIVE}


def test_rows_behind_the_lake_that_no_micro_batch_brought_are_a_fault(settings):
    bring(settings)
    run(settings, "INSERT INTO perpetuals_ohlcv SELECT timestamp + interval '1 day', instrument,"
                  " open, high, low, close, volume, cost FROM perpetuals_ohlcv"
                  " WHERE timestamp >= '2025-02-01 06:00Z' RETURNING 1")  # fmt: skip
    found = compare(settings, Lake(settings.root))

    assert found.live == {}
    assert [one.month for one in found.differences] == ["2025-02"]


def test_a_row_between_those_of_the_lake_is_a_fault_until_the_next_load(settings, writer):
    bring(settings)
    between = uneven(START, START + timedelta(minutes=1)).with_columns(
        pl.col("timestamp") + timedelta(seconds=30)
    )
    writer.send(CANDLES, arrow(between))
    assert {one.month for one in compare(settings, Lake(settings.root)).differences} == {"2025-01"}
    assert bring(settings).deleted == 1
    assert compare(settings, Lake(settings.root)) == Comparison(MINUTES, [], {})


def test_a_batch_after_a_reload_says_that_its_month_is_new(settings, writer):
    later = NOON + timedelta(minutes=1)
    assert writer.send(CANDLES, arrow(uneven(NOON, later))).marked == 1
    assert writer.send(CANDLES, arrow(uneven(later, later + timedelta(minutes=1)))).marked == 0
    bring(settings, anew=True)
    assert writer.send(CANDLES, arrow(uneven(later, later + timedelta(minutes=2)))).marked == 1


def test_a_key_that_comes_twice_is_named_and_nothing_is_sent(settings, writer):
    rows = arrow(uneven(NOON, END))
    with pytest.raises(
        ExactError, match=r"\(BTC-PERPETUAL, 2025-02-01 12:00:00\+00:00\) comes twi"
    ):
        writer.send(CANDLES, pa.concat_tables([rows, rows.slice(0, 1)]))
    assert run(settings, "SELECT count(*) FROM perpetuals_ohlcv") == [(0,)]


def test_a_value_of_another_type_is_refused(writer):
    rows = uneven(NOON, END)
    with pytest.raises(ExactError, match="column close is string"):
        writer.send(CANDLES, arrow(rows.with_columns(pl.col("close").cast(pl.String))))
    with pytest.raises(ExactError, match="column close holds NaN"):
        writer.send(CANDLES, arrow(rows.with_columns(close=pl.lit(float("nan")))))


@pytest.mark.parametrize("name", ["instruments", "option_trades"])
def test_what_has_no_table_or_no_time_is_refused(writer, name):
    with pytest.raises(UsageError, match=name):
        writer.send(find(name), arrow(candles(NOON, END)))


def test_no_rows_are_sent_without_a_connection(settings):
    nowhere = settings.model_copy(update={"dsn": "postgresql://nobody@127.0.0.1:1/none"})
    with LiveWriter(nowhere) as writer:
        assert writer.send(CANDLES, arrow(uneven(NOON, NOON))) == Sent()
