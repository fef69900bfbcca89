"""Surfaces of simulated snapshots against the surface the market has, in both its forms."""

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from etl.compute.surface_quotes import of_tickers
from etl.compute.vol_grid import COLUMNS, grid_of, svi_of
from etl.compute.vol_slices import slices_of
from quant.svi import total_variance
from tests.exchange.market import Market
from tests.exchange.option_market import surface
from tests.exchange.option_market.snapshot import snapshot_of
from tests.exchange.option_market.tickers import living
from tests.exchange.path import EPOCH_MS

START_MS, HOUR_MS, DAY_MS = 1_760_572_800_000, 3_600_000, 86_400_000
MOMENTS = [START_MS + hours * HOUR_MS for hours in (2, 11, 29)]
MOST = {  # weighted RMSE [vol points]
    ("ssvi", "marks"): 0.01,
    ("ssvi", "mids"): 0.15,
    ("mixture", "marks"): 0.1,
    ("mixture", "mids"): 0.22,
}


def tickers(market, at_ms):
    """Return the chain of BTC at a moment, as a snapshot has it."""
    chain = market.world.options.chain("BTC")
    rows = living(chain, at_ms)
    shot = snapshot_of(market.world.options, chain, rows, at_ms)
    frame = pl.DataFrame(
        {
            "timestamp": np.full(len(rows), at_ms * 1000),
            "expiry": chain.expiration_ms[rows] * 1000,
            "strike": chain.strike[rows],
            "option_type": np.where(chain.sign[rows] > 0, "call", "put"),
            "bid_price": shot.bid,
            "ask_price": shot.ask,
            "mark_price": np.round(shot.mark, 8),
            "mark_iv": np.round(shot.volatility, 4),
            "underlying_price": shot.quotes.published,
        }
    )
    there = [
        pl.when(pl.col(name) > 0).then(pl.col(name)).alias(name)
        for name in ("bid_price", "ask_price")
    ]
    moments = pl.col("timestamp", "expiry").cast(pl.Datetime("us", "UTC"))
    return frame.with_columns(moments, *there, underlying=pl.lit("BTC"))


def truth(market, at_ms, k, years):
    """Return the market's own volatility at log-moneyness."""
    tape = market.world.options
    chain = tape.chain("BTC")
    start, hours = tape.underlying(chain.family, (at_ms - EPOCH_MS) // DAY_MS)
    now = surface.at(hours, start.start_ms, np.full(len(k), at_ms))
    return surface.volatility(
        tape.form, now, forward=np.ones(len(k)), strike=np.exp(k), years=years,
        sign=np.where(k >= 0, 1.0, -1.0),
    )  # fmt: skip


@pytest.fixture(scope="module", params=["ssvi", "mixture"])
def made(request):
    """Return the market, the chains and the smiles of a few snapshots."""
    market = Market(7, START_MS + 60 * DAY_MS, surface=request.param)
    chains = [chain for at in MOMENTS for chain in of_tickers(tickers(market, at))]
    return market, chains, slices_of(chains)


def test_no_smile_of_a_snapshot_can_be_arbitraged(made):
    _, _, smiles = made
    known = smiles.filter(pl.col("status") == "ok")

    assert set(smiles["status"]) <= {"ok", "near_expiry"}
    assert known["violations_after"].max() == 0
    assert known["min_density"].min() >= 0
    assert known["calendar_margin"].drop_nulls().min() >= 0


@pytest.mark.parametrize("source", ["marks", "mids"])
def test_the_smiles_are_the_market_s_within_what_its_quotes_allow(made, source):
    market, chains, smiles = made
    squares, weights = 0.0, 0.0
    for chain in chains:
        if chain.source != source:
            continue
        at = pl.lit(chain.at).cast(pl.Datetime("us", "UTC"))
        mine = smiles.filter(pl.col("timestamp") == at, pl.col("source") == source)
        years = chain.tenor[chain.number]
        model = np.sqrt(total_variance(svi_of(mine), chain.number, chain.log_moneyness) / years)
        true = truth(market, chain.at // 1000, chain.log_moneyness, years)
        weight = (
            1.0 / chain.error**2 / np.bincount(chain.number, 1.0 / chain.error**2)[chain.number]
        )
        squares += float((weight * (model - true) ** 2).sum())
        weights += float(weight.sum())

    rmse = 100 * np.sqrt(squares / weights)

    assert rmse < MOST[market.surface, source]


def test_maturities_between_two_expiries_have_no_butterfly_either(made):
    _, _, smiles = made
    grid = grid_of(smiles.select(COLUMNS)).filter(pl.col("point").str.starts_with("K"))
    thirty = grid.filter(pl.col("days") == 30, pl.col("iv").is_not_null())

    for _, rows in thirty.group_by("timestamp", "source"):
        k = rows.sort("log_moneyness")
        call = _calls(k["log_moneyness"].to_numpy(), k["iv"].to_numpy() * np.sqrt(30 / 365))
        slope = np.diff(call) / np.diff(np.exp(k["log_moneyness"].to_numpy()))
        assert (np.diff(slope) > -1e-9).all()


def _calls(k, stdev):
    d1 = -k / stdev + stdev / 2
    return ndtr(d1) - np.exp(k) * ndtr(d1 - stdev)
