"""The chain as of a moment: equal to a loop over the trades, and a line where there is none."""

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from etl.check.chain import chain_at, table
from etl.errors import UsageError
from etl.instruments.names import parse_name
from lake.arrow import arrow
from lake.partition import Partition
from lake.paths import open_lake
from lake.views import open_views, select
from lake.write import publish_table
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.option_trades import made_up_trades
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

AT = datetime(2024, 7, 1, 6, tzinfo=UTC)
AT_MS = round(AT.timestamp() * 1000)
BLOCKS = ("block_trade_id", "block_rfq_id", "combo_id")


@pytest.fixture(scope="module")
def trades():
    june, july = (made_up_trades(20_000, options=240, seed=seed) for seed in (6, 7))
    after = (pl.col("timestamp") + timedelta(days=30), pl.col("trade_seq") + 20_000)
    return [june, july.with_columns(after)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory, trades):
    lake = open_lake(tmp_path_factory.mktemp("chain") / "lake", create=True)
    for month, rows in zip(("2024-06", "2024-07"), trades, strict=True):
        path = lake.clean(Partition("option_trades", "BTC", month))
        publish_table(arrow(rows), path, **layout_of(OptionTrades))
    return lake


def by_hand(trades, tolerance):
    """Return the last trade of each option, a plain loop over all of them."""
    found = {}
    for one in pl.concat(trades).sort("timestamp", "trade_seq").to_dicts():
        is_block = any(one[name] is not None for name in BLOCKS)
        is_alive = parse_name(one["instrument"]).expiry > AT
        if AT - tolerance <= one["timestamp"] <= AT and is_alive and not is_block:
            found[one["instrument"]] = one
    return found


def test_a_tolerance_may_be_longer_than_the_time_there_are_trades_of(lake):
    whole = chain_at(lake, "BTC", AT_MS, tolerance_ms=AT_MS)

    assert chain_at(lake, "BTC", AT_MS, tolerance_ms=10**18).equals(whole)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_at_a_moment_at_the_end_of_the_calendar_nothing_is_found(lake, moment):
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    with pytest.raises(UsageError, match="no trade of options in BTC in the 24 hours before"):
        chain_at(lake, "BTC", round(at.timestamp() * 1000))


@pytest.mark.parametrize("hours", [1, 24])
def test_each_option_has_its_last_trade_over_the_end_of_a_month(lake, trades, hours):
    expected = by_hand(trades, timedelta(hours=hours))
    found = chain_at(lake, "BTC", AT_MS, tolerance_ms=hours * 3_600_000)

    assert len(expected) > 10
    assert {row["instrument"]: row["price"] for row in found.to_dicts()} == {
        name: one["price"] for name, one in expected.items()
    }
    assert all(
        (row["expiry"], row["strike"], row["option_type"])
        == (said.expiry, float(said.strike), said.option_type)
        for row in found.to_dicts()
        for said in [parse_name(row["instrument"])]
    )


def test_the_macro_of_duckdb_says_the_same(lake):
    sql = "FROM chain_at(TIMESTAMPTZ '2024-07-01 06:00:00+00', INTERVAL 24 HOUR)"
    found = select(open_views(lake), sql).pl()

    assert found.equals(chain_at(lake, "BTC", AT_MS).select(found.columns))


def test_an_expiry_nobody_knows_is_answered_with_the_nearest(lake):
    with pytest.raises(UsageError, match=r"expires on 2024-07-10; nearest: .*2024-07-09"):
        chain_at(lake, "BTC", AT_MS, expiries=[date(2024, 7, 10)])


def test_nothing_within_the_tolerance_is_said(lake):
    with pytest.raises(UsageError, match=r"in the 24 hours before 2025-02-01 00:00"):
        chain_at(lake, "BTC", 1_738_368_000_000)


def test_a_currency_without_trades_is_answered_with_those_there_are(lake):
    with pytest.raises(UsageError, match=r"settle in XRP; there are: BTC"):
        chain_at(lake, "XRP", AT_MS)


def test_calls_stand_to_the_left_of_the_strike():
    moment = datetime(2024, 7, 5, 8, tzinfo=UTC)
    chain = pl.DataFrame(
        {
            "expiry": [moment] * 3,
            "strike": [50_000.0, 60_000.0, 60_000.0],
            "option_type": ["put", "call", "put"],
            "price": [0.0005, 0.0125, 0.02],
            "iv": [0.555, None, 0.6],
            "age_s": [12.0, 600.0, 7_500.0],
        }
    )

    assert table(chain, AT_MS).splitlines() == [
        "2024-07-05 08:00, in 4.1 days",
        "  call  iv  age  strike     put     iv   age",
        "     -   -    -  50,000  0.0005  55.50   12s",
        "0.0125   -  10m  60,000    0.02  60.00  2h05",
    ]


def test_the_command_prints_a_chain_or_one_line_and_fails(lake):
    product = InProcess(Product(lake.root, "http://127.0.0.1:9"))
    words = ("chain", "--currency", "BTC", "--at", "2024-07-01T06:00")
    shown = json.loads(product.run(*words, "--json").stdout)
    failed = product.run(*words, "--expiry", "2024-07-10")

    assert len(shown) == len(chain_at(lake, "BTC", AT_MS))
    assert product.run(*words).stdout.count("in ") > 1
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: no option of BTC")


def test_an_option_is_in_the_chain_until_it_expires(lake):
    expiry = datetime(2024, 7, 9, 8, tzinfo=UTC)
    at_ms = round(expiry.timestamp() * 1000)

    before, then = (chain_at(lake, "BTC", ms)["expiry"].min() for ms in (at_ms - 1, at_ms))

    assert (before, then > expiry) == (expiry, True)
