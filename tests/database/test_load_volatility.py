"""Forwards, volatilities and surfaces in the database: loaded, verified, seen through the view."""

import pytest

from etl.catalog import DATASETS
from etl.compute.run import Ask, compute
from etl.database.load import load
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
from tests.priced_trades import priced
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

MADE = (
    "forward_curve", "option_iv", "vol_slices", "vol_grid", "constant_maturity_vol",
    "variance_swap",
)  # fmt: skip
MONTH = Partition("option_trades", "BTC", "2025-10")


@pytest.fixture
def lake(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    blocks = [row | {"block_trade_id": "BLOCK-1", "iv": 0.9} for row in chain(601)]
    trades = arrow(priced([*HOUR, *blocks]))
    publish_table(trades, lake.clean(MONTH), **layout_of(OptionTrades))
    write_record(lake, MONTH, Record(rows=trades.num_rows, checksum=checksum(trades)))
    for name in MADE:
        compute(lake, DATASETS[name], Listing(0, {}), LogProgress(), Ask())
    return lake


def test_everything_that_is_made_of_trades_is_loaded_and_verifies(database, lake):
    chosen = [DATASETS[name] for name in MADE]

    done = load(database, lake, LogProgress(), datasets=chosen)

    held = {name: ask(database, f"SELECT count(*) FROM reference.{name}")[0][0] for name in MADE}
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
