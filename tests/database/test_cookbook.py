"""The queries of docs/sql.md answer, read only the chunks they need, and use the primary key."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from etl.database.connection import connect, execute_script, fetch
from etl.database.load import load
from etl.progress import LogProgress
from lake.paths import Lake
from tests.database.conftest import named
from tests.database.test_load import BTC, candles, publish

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
QUERIES = re.findall(r"^```sql\n(.*?);\n```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
OF_CANDLES = [query for query in QUERIES if not re.search(r"reference\.(?!load_)", query)]
BOUNDED = [query for query in OF_CANDLES if "timestamp >" in query]
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
QUIET = datetime(2025, 3, 1, tzinfo=UTC)  # a day of fillers of one, an hour of the other
CHUNKS = 6  # of 90 days, that the span above lies in


@pytest.fixture(scope="module")
def settings(server, execute, template, tmp_path_factory):
    """Return a database that holds fifteen months of two perpetuals and their funding."""
    root = tmp_path_factory.mktemp("cookbook") / "lake"
    for instrument, quiet in ((BTC, timedelta(days=1)), ("ETH-PERPETUAL", timedelta(hours=1))):
        publish(root, without_trades(candles(START, END, instrument), QUIET, QUIET + quiet))
    publish(root, funding(), "funding_rates")
    name = "deribit_cookbook"
    execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    settings = named(server, name).model_copy(update={"root": root})
    load(settings, Lake(settings.root), LogProgress())
    with connect(settings, autocommit=True) as connection:
        execute_script(connection, "ANALYZE")
    yield settings
    execute(f"DROP DATABASE {name} WITH (FORCE)")


def without_trades(rows, start, end):
    is_filler = pl.col("timestamp").is_between(start, end, closed="left")
    return rows.with_columns(
        pl.when(is_filler).then(0.0).otherwise(pl.col(name)).alias(name)
        for name in ("volume", "cost")
    )


def funding():
    hours = pl.datetime_range(START, END, "1h", closed="left", time_zone="UTC", eager=True)
    return pl.DataFrame({"timestamp": hours}).select(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
        instrument=pl.lit(BTC),
        index_price=pl.lit(60_000.0),
        prev_index_price=pl.lit(60_000.0),
        interest_1h=pl.lit(1e-5),
        interest_8h=pl.lit(8e-5),
    )


def ask(settings, sql):
    with connect(settings, autocommit=True) as connection:
        return fetch(connection, sql)


def plan(settings, query):
    with connect(settings, autocommit=True) as connection, connection.cursor() as cursor:
        # The driver reads by COPY, which takes no EXPLAIN.
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_the_page_has_queries_with_bounds_and_one_without():
    assert (len(QUERIES), len(OF_CANDLES), len(BOUNDED)) == (13, 9, 8)


@pytest.mark.parametrize("query", OF_CANDLES, ids=range(len(OF_CANDLES)))
def test_every_query_answers(settings, query):
    rows = ask(settings, query)

    assert rows or "previous" in query  # the one that looks for holes finds none


def test_a_bar_without_a_trade_has_no_volume_weighted_price(settings):
    by_hour, of_day = (query for query in OF_CANDLES if "AS vwap" in query)

    prices = [row[-1] for row in ask(settings, by_hour)]

    assert [number for number, price in enumerate(prices) if price is None] == [0]
    assert prices[1] == pytest.approx(60_000.0)
    assert ask(settings, of_day) == [(None, 1_440)]


@pytest.mark.parametrize("query", BOUNDED, ids=range(len(BOUNDED)))
def test_a_bounded_query_reads_only_the_chunks_it_needs_by_the_primary_key(settings, query):
    told = plan(settings, query)
    tables = 2 if "JOIN" in query else 1
    chunks = set(re.findall(r"on (_hyper_\d+_\d+_chunk)", told))

    assert 1 <= len(chunks) <= tables, told
    assert "Seq Scan" not in told, told
    assert re.search(r"_pkey.*\n.*Index Cond: .*instrument = ", told), told


def test_without_a_bound_every_chunk_would_be_read(settings):
    told = plan(settings, f"SELECT count(*) FROM perpetuals_ohlcv WHERE instrument = '{BTC}'")

    assert len(set(re.findall(r"_hyper_\d+_\d+_chunk", told))) >= CHUNKS
