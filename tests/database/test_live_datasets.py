"""Every dataset whose rows have a time is sent live, and is the lake's after the next load."""

from datetime import timedelta

import polars as pl
import pytest

from etl.catalog import DATASETS
from etl.database.live import LiveWriter
from etl.database.load import load
from etl.database.parts import has_time, loadable
from etl.database.tables import table_of
from etl.database.verify import compare
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.paths import Lake
from tests.database import test_load_options, test_load_reference, test_load_volatility
from tests.database.conftest import made
from tests.database.test_live import assert_same, dump

of_markets = test_load_reference.lake
of_options = test_load_options.lake
of_volatility = test_load_volatility.lake
TIMED = [one.name for one in loadable() if has_time(table_of(one.model))]
SECOND = timedelta(seconds=1)  # the month stays


@pytest.fixture(params=["of_markets", "of_options", "of_volatility"])
def lake(request):
    """Return a lake; the three have something of everything together."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, Lake) else Lake(found)


def rows_of(lake):
    """Return all rows of the datasets a lake has, by name."""
    found = {name: lake.files(name) for name in TIMED}
    return {
        name: pl.concat(map(pl.read_parquet, files)).select(
            [*DATASETS[name].model.to_schema().columns]
        )
        for name, files in found.items()
        if files
    }


def bring(settings, lake):
    return load(settings, lake, LogProgress())


def test_there_is_a_lake_of_every_dataset(of_markets, of_options, of_volatility):
    lakes = (Lake(of_markets), of_options, of_volatility)
    assert set().union(*(rows_of(lake) for lake in lakes)) == set(TIMED)


def test_rows_sent_live_are_the_lake_s_after_a_load(database, server, execute, template, lake):
    with LiveWriter(database) as writer:
        for name, rows in rows_of(lake).items():
            half = rows.filter(pl.col("timestamp") >= pl.col("timestamp").median())
            later = half.with_columns(pl.col("timestamp") - timedelta(milliseconds=1))
            for part in (half, later.tail(50)):
                done = writer.send(DATASETS[name], arrow(part))
                assert (done.inserted, done.updated) == (len(part), 0)
    bring(database, lake)
    assert compare(database, lake).differences == []

    for other in made(server, execute, template):
        bring(other, lake)
        assert_same(dump(database), dump(other))


def test_rows_behind_those_of_the_lake_stay_and_are_counted(database, lake):
    bring(database, lake)
    behind = {
        name: rows.filter(pl.col("timestamp") == pl.col("timestamp").max())
        for name, rows in rows_of(lake).items()
    }
    with LiveWriter(database) as writer:
        for name, rows in behind.items():
            later = arrow(rows.with_columns(pl.col("timestamp") + SECOND))
            assert writer.send(DATASETS[name], later).inserted == len(rows)
    for _ in range(2):
        found = compare(database, lake)
        assert found.differences == []
        assert found.live == {name: len(rows) for name, rows in behind.items()}
        done = bring(database, lake)
        assert (done.deleted, done.live) == (0, sum(map(len, behind.values())))
