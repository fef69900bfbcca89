"""Surfaces of chains Deribit really quoted: June 2025 in one body, February 2021 as tickers."""

import json

import polars as pl
import pytest

from etl.compute.surface_quotes import of_tickers
from etl.compute.vol_slices import QUOTED, slices_of
from etl.instruments.names import with_name_parts
from etl.snapshots.fold import fold
from lake.partition import Partition
from tests.etl.snapshots.test_fold import attempt, lake_of
from tests.etl.snapshots.test_recorded import CHAIN, HEARD_MS
from tests.quant.recorded import RECORDED
from validators.contract import check
from validators.schemas.vol_slices import VolSlices

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)


@pytest.fixture(scope="module")
def of_2025(tmp_path_factory):
    sent = attempt(json.loads((RECORDED / CHAIN).read_text()), heard_ms=HEARD_MS)
    lake = lake_of(tmp_path_factory.mktemp("chain"), sent)
    kept = pl.DataFrame(fold(lake, Partition("option_tickers", "BTC", "2025-06-14")).rows)
    return slices_of(of_tickers(kept.select(QUOTED)))


def of_2021(coin):
    """Return the surfaces of tickers of 2021, as if all of them were of the newest moment."""
    rows = pl.read_csv(RECORDED / f"option_quotes_2021_02/{coin.lower()}_option_data.csv")
    named = with_name_parts(rows.select(pl.col("instrument_name").alias("instrument")))
    price = {"bid_price": "best_bid_price", "ask_price": "best_ask_price"}
    there = [
        pl.when(rows[name] > 0).then(rows[name].cast(pl.Float64)).alias(ours)
        for ours, name in price.items()
    ]
    frame = named.with_columns(
        there,
        timestamp=pl.lit(rows["timestamp"].max() * 1000).cast(pl.Datetime("us", "UTC")),
        underlying=pl.lit(coin),
        mark_price=rows["mark_price"],
        mark_iv=rows["mark_iv"] / 100,
        underlying_price=rows["underlying_price"],
    )
    return slices_of(of_tickers(frame.select(QUOTED)))


def sound(smiles):
    """Check what holds of every surface; return those of a source that have a smile."""
    check(smiles, VolSlices)
    known = smiles.filter(pl.col("status") == "ok")
    assert known["violations_after"].to_list() == [0] * len(known)
    assert (known["min_density"] >= 0).all()
    assert (known["calendar_margin"].drop_nulls() >= 0).all()
    return known


def test_the_chain_of_746_options_gives_a_surface_free_of_arbitrage(of_2025):
    known = sound(of_2025)
    mids = known.filter(pl.col("source") == "mids")

    assert len(mids) == 11
    assert mids["violations_before"].unique().to_list() == [7]
    assert mids["quotes"].sum() == 333
    assert mids["largest_residual"].max() < 5
    assert mids["rmse"].median() < 0.006
    assert mids.filter(pl.col("tenor") > 0.05)["atm_iv"].is_between(0.37, 0.48).all()


def test_marks_and_mids_of_one_chain_agree_at_the_money(of_2025):
    known = sound(of_2025)
    sides = [
        known.filter(pl.col("source") == source, pl.col("tenor") > 0.01).sort("expiry")
        for source in ("mids", "marks")
    ]

    assert (sides[0]["atm_iv"] - sides[1]["atm_iv"]).abs().max() < 0.005


def test_tickers_of_2021_give_a_surface_of_marks():
    marks = sound(of_2021("BTC")).filter(pl.col("source") == "marks")

    assert len(marks) == 9
    assert marks["atm_iv"].is_between(0.7, 1.8).all()


def test_marks_of_80_for_every_strike_are_told_and_make_no_smile():
    smiles = of_2021("ETH")
    sound(smiles)
    told = smiles.filter(pl.col("source") == "marks")["status"].to_list()

    assert told.count("flat_marks") == 6
    assert told.count("ok") == 1  # of 40 marks four are others
    assert told.count("few_quotes") == 1


def test_where_nothing_was_bid_there_is_no_surface_of_mids_and_the_reason_is_told():
    mids = of_2021("ETH").filter(pl.col("source") == "mids")

    assert set(mids["status"]) <= {"no_quotes", "near_expiry"}
    assert mids["theta"].null_count() == len(mids)
