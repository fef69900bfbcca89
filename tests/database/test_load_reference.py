"""What is not a candle is loaded too: reference series, what is computed, and the instruments."""

import json
import os
from datetime import UTC, datetime

import polars as pl
import pytest

from etl.catalog import find
from etl.database.connection import connect, fetch
from etl.database.load import load
from etl.database.parts import loadable
from etl.database.tables import tables
from etl.database.verify import verify_database
from etl.instruments import history, table
from etl.progress import LogProgress
from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.database.conftest import made, named, shut
from tests.database.test_cookbook import OF_CANDLES, QUERIES
from tests.database.test_load_volatility import MADE
from tests.exchange.running import running

START, END = "2025-09-24", "2025-09-28"  # an expiry lies between
SPAN = ("--start", START, "--end", END)


ELSEWHERE = {"options_ohlcv", *MADE}  # in test_load_options and test_load_volatility
LOADED = [one.name for one in loadable() if one.name not in ELSEWHERE]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Return the folder of a lake with four days of everything there is to load."""
    with running(limits=False) as exchange:
        product = InProcess(Product(tmp_path_factory.mktemp("reference") / "lake", exchange.url))
        for words in (
            ("backfill", "perpetuals", *SPAN),
            ("backfill", "futures", *SPAN, "--currency", "BTC,ETH"),
            ("backfill", "index", *SPAN),
            ("backfill", "dvol", *SPAN),
            ("backfill", "deliveries", *SPAN),
            ("compute", "basis"),
            ("universe", "rebuild"),
        ):
            ran = product.run(*words)
            assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
    return product.lake


@pytest.fixture
def settings(database, lake):
    return database.model_copy(update={"root": lake})


@pytest.fixture(scope="module")
def whole(server, execute, template, lake):
    """Return the name of a database with all of the lake, to copy."""
    name = f"deribit_reference_{os.getpid()}"
    execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    bring(named(server, name).model_copy(update={"root": lake}))
    shut(execute, name)
    yield name
    execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def loaded(server, execute, whole, lake):
    """Return settings whose DSN is a database that holds all of the lake."""
    for own in made(server, execute, whole):
        yield own.model_copy(update={"root": lake})


def ask(settings, sql):
    with connect(settings) as connection:
        rows = fetch(connection, sql)
        connection.commit()
    return rows


def bring(settings, **options):
    return load(settings, Lake(settings.root), LogProgress(), **options)


def rows_of(lake, dataset):
    return sum(len(pl.read_parquet(file)) for file in Lake(lake).files(dataset))


def test_every_dataset_arrives_whole_and_verifies(settings, lake):
    done = bring(settings)
    compared, differences = verify_database(settings, Lake(settings.root))
    counts = {
        name: ask(settings, f"SELECT count(*) FROM {tables()[name].path}")[0][0] for name in LOADED
    }

    assert counts == {name: rows_of(lake, name) for name in LOADED}
    assert all(counts.values())
    assert compared == done.inserted == sum(counts.values())
    assert differences == []


def test_a_second_load_touches_nothing(settings):
    first = bring(settings)
    done = bring(settings)

    assert (done.inserted, done.updated, done.deleted, done.months_loaded) == (0, 0, 0, 0)
    assert done.months_unchanged == first.months_loaded


def test_nulls_and_their_reasons_come_through(settings, lake):
    bring(settings, datasets=[find("futures_basis")])
    counts = "count(*), count(basis), count(index_price), count(index_basis)"
    found = ask(settings, f"SELECT {counts} FROM reference.futures_basis WHERE status = 'ok'")
    rows = pl.concat(pl.read_parquet(file) for file in Lake(lake).files("futures_basis"))
    rows = rows.filter(pl.col("status") == "ok")
    names = ("timestamp", "basis", "index_price", "index_basis")

    assert found == [tuple(rows[name].is_not_null().sum() for name in names)]
    assert 0 < found[0][3] < found[0][0]


@pytest.mark.parametrize(
    ("dataset", "change", "expected"),
    [
        ("futures_basis", "SET basis = 1 WHERE timestamp = '2025-09-25 10:00Z'", "updated"),
        ("futures_curve", "SET maturity_days = 8 WHERE maturity_days = 7", "deleted"),
        ("volatility_index", "SET close = 1 WHERE timestamp = '2025-09-25 10:00Z'", "updated"),
        ("delivery_prices", "SET timestamp = timestamp + interval '1 hour'", "deleted"),
        ("instruments", "SET kind = 'option' WHERE instrument = 'BTC-26SEP25'", "updated"),
        ("instruments", """SET record = record || '{"tick_size": -1}'""", "updated"),
    ],
)
def test_what_was_altered_by_hand_is_found_and_made_the_lake_s(loaded, dataset, change, expected):
    touched = ask(loaded, f"UPDATE {tables()[dataset].path} {change} RETURNING 1")
    differences = verify_database(loaded, Lake(loaded.root), [find(dataset)])[1]
    done = bring(loaded, datasets=[find(dataset)], full=True)

    assert {one.dataset for one in differences} == {dataset}
    assert getattr(done, expected) == len(touched) > 0
    assert verify_database(loaded, Lake(loaded.root))[1] == []


def test_an_instrument_is_found_at_a_moment_with_its_record(settings):
    bring(settings, datasets=[find("instruments")])
    query = """
        SELECT instrument, (record ->> 'contract_size')::float8, valid_to
        FROM reference.instruments
        WHERE instrument = 'BTC-26SEP25' AND valid_from <= '2025-09-25Z'
            AND (valid_to > '2025-09-25Z' OR valid_to IS NULL)"""
    assert ask(settings, query) == [("BTC-26SEP25", 10.0, None)]


def test_a_changed_record_ends_one_interval_and_starts_the_next(settings, lake, tmp_path):
    bring(settings, datasets=[find("instruments")])
    told = table.read(Lake(lake))
    before = sum(map(len, told.intervals.values()))
    listed = next(held[-1] for held in told.intervals.values())
    record = json.dumps(json.loads(told.records[listed.record]) | {"tick_size": 0.25}).encode()
    heard = listed.last_us + 1_000_000
    body = b'{"result":[' + record + b"]}"
    history.fold(
        told, [history.ListAnswer("future", "BTC", is_expired=False, heard_us=heard, body=body)]
    )
    other = settings.model_copy(update={"root": tmp_path / "lake"})
    table.publish(Lake(other.root), told)
    done = bring(other, datasets=[find("instruments")])

    assert (done.inserted, done.updated, done.deleted) == (1, 1, 0)
    assert ask(other, "SELECT count(*) FROM reference.instruments") == [(before + 1,)]
    assert verify_database(other, Lake(other.root), [find("instruments")])[1] == []


def test_an_underlying_can_be_loaded_alone(settings):
    bring(settings, datasets=[find("futures_basis"), find("futures_curve")], parts=["ETH"])
    assert ask(settings, "SELECT DISTINCT underlying FROM reference.futures_curve") == [("ETH",)]
    found = ask(settings, "SELECT DISTINCT left(instrument, 4) FROM reference.futures_basis")
    assert found == [("ETH-",)]


def test_a_part_of_the_lake_is_no_stranger(loaded):
    assert bring(loaded, parts=["ETH"]).notes == []


def test_a_month_gone_from_the_lake_is_named_and_left(loaded, tmp_path):
    done = bring(
        loaded.model_copy(update={"root": tmp_path / "empty"}), datasets=[find("futures_curve")]
    )
    assert done.notes == [
        f"the database holds futures_curve {name} 2025-09, which this lake does not know"
        for name in ("BTC", "ETH")
    ]


def test_moments_are_where_they_belong(settings):
    bring(settings, datasets=[find("delivery_prices")])
    times = ask(settings, "SELECT DISTINCT timestamp FROM reference.delivery_prices ORDER BY 1")
    assert [time for (time,) in times] == [
        datetime(2025, 9, day, 8, tzinfo=UTC) for day in (24, 25, 26, 27)
    ]


def test_the_queries_of_the_cookbook_answer(loaded):
    answers = [ask(loaded, query) for query in QUERIES if query not in OF_CANDLES]

    assert len(answers) == 4
    assert all(answers)
    ((_, last, delivered),) = answers[2]
    assert abs(last / delivered - 1) < 1e-3
