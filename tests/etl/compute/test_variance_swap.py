"""A variance swap beside the exchange's own index: listed strikes, and which index of when."""

from datetime import timedelta

import polars as pl
import pytest

from etl.compute.surface_quotes import of_tickers
from etl.compute.variance_swap import swaps_of
from etl.compute.vol_grid import COLUMNS
from etl.compute.vol_slices import slices_of
from tests.etl.compute.test_vol_slices import quotes
from tests.priced_trades import NOON
from validators.contract import check
from validators.schemas.variance_swap import VarianceSwap

RATIOS = [0.5 + 0.05 * n for n in range(31)]


@pytest.fixture(scope="module")
def slices():
    made = slices_of(of_tickers(quotes(ratios=RATIOS)))
    return made.filter(pl.col("source") == "marks").select(COLUMNS)


def listed(slices, since=NOON, ratios=RATIOS):
    strikes = pl.DataFrame({"strike": [100_000 * ratio for ratio in ratios]})
    each = slices.select("underlying", "expiry").join(strikes, how="cross")
    return each.with_columns(pl.lit(since).cast(pl.Datetime("us", "UTC")).alias("since"))


def index(hours_ago, close=0.5):
    moment = pl.Series([NOON - timedelta(hours=hours_ago)]).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"timestamp": moment, "close": [close], "rank": [0]})


def swap(slices, strikes, told=()):
    made = swaps_of(slices, strikes, told)
    check(made, VarianceSwap)
    return made.row(0, named=True)


def test_strikes_replicate_more_than_the_volatility_at_the_money_of_a_smile(slices):
    found = swap(slices, listed(slices))

    assert found["status"] == "ok"
    assert 0.5 < found["volatility"] < 0.56
    assert found["near_volatility"] < found["volatility"] + 0.02
    assert [found["near_expiry"], found["next_expiry"]] == slices["expiry"].to_list()[:2]


def test_strikes_that_were_not_listed_yet_do_not_count(slices):
    late = listed(slices, NOON + timedelta(minutes=1), RATIOS[1::2])
    known = listed(slices, ratios=RATIOS[::2])

    assert swap(slices, pl.concat([known, late])) == swap(slices, known)


def test_the_exchange_s_index_stands_beside_it_with_the_difference(slices):
    found = swap(slices, listed(slices), [index(1, 0.52)])

    assert found["dvol"] == 0.52
    assert found["difference"] == pytest.approx(found["volatility"] - 0.52)


def test_an_index_older_than_two_hours_is_none(slices):
    assert swap(slices, listed(slices), [index(2.1)])["dvol"] is None


def test_linear_options_have_no_index_of_their_own(slices):
    linear = slices.with_columns(underlying=pl.lit("BTC_USDC"))

    found = swap(linear, listed(linear), [index(1)])

    assert found["status"] == "ok"
    assert (found["dvol"], found["difference"]) == (None, None)
