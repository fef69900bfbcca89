"""From trades to surfaces on the command line: computed, proved, killed, queried, verified."""

import json
import random
import shutil
import signal
import time

import polars as pl
import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import running
from validators.contract import check
from validators.schemas.forward_curve import ForwardCurve
from validators.schemas.vol_grid import ConstantMaturityVol, VolGrid
from validators.schemas.vol_slices import VolSlices

START, END = "2025-10-16", "2025-10-17"
WORDS = ("options", "--currency", "BTC,USDC", "--start", START, "--end", END)
ACTIVITY, SINCE = 0.3, "2025-10-14"
MADE = {
    "forward_curve": ForwardCurve,
    "vol_slices": VolSlices,
    "vol_grid": VolGrid,
    "constant_maturity_vol": ConstantMaturityVol,
}


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    with running(option_activity=ACTIVITY, limits=False, options_since=SINCE) as exchange:
        product = Product(tmp_path_factory.mktemp("surface") / "lake", exchange.url)
        inside = InProcess(product)
        for words in (("backfill", *WORDS), ("snapshot", "options", "--currency", "BTC")):
            done = inside.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        done = inside.run("compute", "surface")
        assert done.returncode == 0, done.stdout + done.stderr
        yield inside


def held(product, dataset):
    files = sorted(product.lake.glob(f"derived/{dataset}/*/*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in files])


def test_every_trade_has_a_row_with_a_volatility_or_a_reason(product):
    trades = pl.concat(
        [
            pl.read_parquet(path)
            for path in sorted(product.lake.glob("clean/option_trades/*/*.parquet"))
        ]
    )
    found = held(product, "option_iv")

    key = ["instrument", "trade_seq"]
    assert found.select(key).sort(key).equals(trades.select(key).sort(key))
    assert (found["status"] == "ok").mean() > 0.95
    assert found.filter(pl.col("status") == "ok")["iv"].null_count() == 0


def test_our_volatilities_are_the_exchange_s_to_a_hundredth_of_a_point_for_most(product):
    differences = (
        held(product, "option_iv")
        .filter(~pl.col("is_near_expiry"), pl.col("forward_source") == "trade")["iv_difference"]
        .drop_nulls()
        .abs()
    )

    assert differences.median() < 1e-4
    assert differences.quantile(0.9) < 5e-4


@pytest.mark.parametrize("dataset", MADE)
def test_what_is_made_keeps_its_contract_and_its_key(product, dataset):
    for path in product.lake.glob(f"derived/{dataset}/*/*.parquet"):
        check(pl.read_parquet(path), MADE[dataset])


def test_no_published_smile_can_be_arbitraged(product):
    smiles = held(product, "vol_slices").filter(pl.col("status") == "ok")

    assert set(smiles["source"]) == {"trades", "mids", "marks"}
    assert set(smiles["underlying"]) >= {"BTC", "BTC_USDC", "ETH_USDC"}
    assert smiles["violations_after"].max() == 0
    assert smiles["min_density"].min() >= 0
    assert smiles["calendar_margin"].drop_nulls().min() >= -1e-12


def test_the_surface_of_trades_is_the_true_one_within_its_errors(product):
    market = Market(7, milliseconds("2025-11-01"), option_activity=ACTIVITY)
    smiles = held(product, "vol_slices").filter(
        pl.col("status") == "ok", pl.col("source") == "trades", pl.col("underlying") == "BTC"
    )
    true = [
        market.option_vol("BTC", at, tenor)
        for at, tenor in smiles.select(pl.col("timestamp").dt.epoch("ms"), "tenor").iter_rows()
    ]
    off = (smiles["atm_iv"] - pl.Series(true)).abs() / smiles["atm_error"]

    assert (off < 2).mean() > 0.9
    assert (off < 4).mean() > 0.98


def test_nothing_is_computed_twice_and_a_deleted_month_comes_back_the_same(product):
    before = digests(product.lake, "derived")
    path = product.lake / "derived/vol_slices/BTC/2025-10.parquet"
    path.unlink()

    again = product.run("compute", "surface")

    assert "1 partitions computed" in again.stdout
    assert digests(product.lake, "derived") == before
    assert "0 partitions computed" in product.run("compute", "surface").stdout


def test_verify_covers_what_was_made_and_finds_an_altered_digit(product):
    path = product.lake / "derived/option_iv/BTC/2025-10.parquet"
    sound = path.read_bytes()
    assert product.run("verify").returncode == 0
    pl.read_parquet(path).with_columns(pl.col("iv") + 1e-9).write_parquet(path)

    found = product.run("verify")
    path.write_bytes(sound)

    assert found.returncode == 1
    assert "option_iv" in found.stdout + found.stderr


def test_status_lists_it_with_what_it_was_made_from(product):
    told = json.loads(product.run("status", "--dataset", "vol_slices", "--json").stdout)

    assert {one["instrument"] for one in told["instruments"]} == {"BTC", "USDC"}
    assert all(one["verdict"] == "COMPLETE" for one in told["instruments"])


def test_the_lake_answers_for_it_in_sql(product):
    sql = (
        "SELECT days, count(*) AS hours FROM constant_maturity_vol "
        "WHERE source = 'trades' AND underlying = 'BTC' AND status = 'ok' "
        "GROUP BY days ORDER BY days"
    )

    rows = json.loads(product.run("query", sql, "--format", "json").stdout)

    assert [row["days"] for row in rows] == [7, 14, 30, 60, 90, 120, 180]
    assert min(row["hours"] for row in rows) > 12


def test_an_option_no_dataset_takes_is_refused(product):
    done = product.run("compute", "surface", "--tolerance", "5")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_killed_at_any_moment_a_computation_ends_with_the_same_bytes(product, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(product.lake, lake)
    shutil.rmtree(lake / "derived")
    for name in ("forward_curve", "option_iv", "vol_slices", "vol_grid", "constant_maturity_vol"):
        shutil.rmtree(lake / "ledger" / name)
    killed = Product(lake, product.product.host)
    dice = random.Random(3)  # noqa: S311  (moments, not secrets)
    for _ in range(10):
        process = killed.start("compute", "surface")
        time.sleep(dice.uniform(1.5, 8.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in lake.glob("derived/**/*.parquet"):
            pl.read_parquet_schema(path)
    done = InProcess(killed).run("compute", "surface")

    assert done.returncode == 0, done.stderr
    names = ("forward_curve", "option_iv", "vol_slices", "vol_grid", "constant_maturity_vol")
    made, expected = digests(lake, "derived"), digests(product.lake, "derived")
    assert made == {
        path: digest for path, digest in expected.items() if path.split("/")[1] in names
    }
