"""Forwards, volatilities, Greeks and surfaces in the database: loaded, verified, and as views."""

from datetime import timedelta

import polars as pl
import pytest

from etl.catalog import DATASETS
from etl.compute.run import Ask, compute
from etl.database.load import load
from etl.database.tables import tables
from etl.database.verify import verify_database
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum
from lake.views import open_views, select
from lake.write import publish_table
from tests.database.test_load_options import ask
from tests.etl.compute.test_vol_slices import HOUR, chain
from tests.priced_trades import NOON, priced
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades
from validators.schemas.treasury_bills import TENORS, TreasuryBills

MADE = (
    "forward_curve", "option_iv", "options_greeks", "vol_slices", "vol_grid",
    "constant_maturity_vol", "variance_swap",
)  # fmt: skip
MONTH = Partition("option_trades", "BTC", "2025-10")


def publish_rates(lake):
    """Publish curves of the days around the trades, as a backfill of rates does."""
    midnight = NOON.replace(hour=0)
    days = pl.DataFrame({"timestamp": [midnight - timedelta(days=n) for n in (2, 1, 0)]})
    bills = days.with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
        published_on=pl.col("timestamp"), currency=pl.lit("USD"), source=pl.lit("treasury"),
        is_carried=pl.lit(value=False), **dict.fromkeys(TENORS, pl.lit(0.04)),
    )  # fmt: skip
    year, table = Partition("treasury_bills", "USD", "2025"), arrow(bills)
    publish_table(table.select([*TreasuryBills.to_schema().columns]), lake.clean(year))
    write_record(lake, year, Record(rows=table.num_rows, checksum=checksum(table)))


@pytest.fixture
def lake(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    blocks = [row | {"block_trade_id": "BLOCK-1", "iv": 0.9} for row in chain(601)]
    trades = arrow(priced([*HOUR, *blocks]))
    publish_table(trades, lake.clean(MONTH), **layout_of(OptionTrades))
    write_record(lake, MONTH, Record(rows=trades.num_rows, checksum=checksum(trades)))
    publish_rates(lake)
    for name in MADE:
        compute(lake, DATASETS[name], Listing(0, {}), LogProgress(), Ask())
    return lake


def test_everything_that_is_made_of_trades_is_loaded_and_verifies(database, lake):
    chosen = [DATASETS[name] for name in MADE]

    done = load(database, lake, LogProgress(), datasets=chosen)

    counts = {name: f"SELECT count(*) FROM {tables()[name].path}" for name in MADE}
    held = {name: ask(database, sql)[0][0] for name, sql in counts.items()}
    assert all(held.values()), held
    assert done.inserted == sum(held.values())
    assert verify_database(database, lake, chosen)[1] == []
    assert load(database, lake, LogProgress(), datasets=chosen).inserted == 0


def test_the_view_of_minutes_is_that_of_the_lake_and_shows_no_blocks(database, lake):
    load(database, lake, LogProgress(), datasets=[DATASETS["option_iv"]])
    columns = (
        "instrument, timestamp, close_timestamp, price, iv, iv_low, iv_high, status, trade_seq"
    )
    sql = f"SELECT {columns} FROM option_iv_1m ORDER BY instrument, timestamp"

    found = ask(database, sql)

    assert len(found) == len(HOUR)
    assert found == select(open_views(lake), sql).pl().rows()


def test_greeks_are_those_of_the_lake_to_the_last_bit(database, lake):
    load(database, lake, LogProgress(), datasets=[DATASETS["options_greeks"]])
    sql = "SELECT * FROM options_greeks ORDER BY instrument, timestamp"

    found = ask(database, sql)

    assert len(found) == len(HOUR)
    assert found == select(open_views(lake), sql).pl().rows()
    with_greeks = ask(database, "SELECT count(iv), count(price_disc), count(vega_coin) FROM "
                      "options_greeks")[0]  # fmt: skip
    assert len({*with_greeks}) == 1
    assert with_greeks[0] > 0.9 * len(HOUR)
