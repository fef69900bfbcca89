"""Thirty days of hourly tickers: all within their tolerance, and every wrong convention named."""

import json

import polars as pl
import pytest

from lake.paths import Lake
from tests import greek_tickers
from tests.acceptance.command import Product
from tests.etl.check.test_greeks import report
from tests.exchange.incidents import milliseconds

pytestmark = pytest.mark.slow
FIRST_MS = milliseconds("2025-10-01")
DAYS = 30


def test_a_month_of_hourly_tickers_passes_in_every_bucket_below_a_gigabyte(tmp_path):
    tickers = greek_tickers.publish(Lake(tmp_path / "lake"), "BTC", FIRST_MS, days=DAYS)
    product = Product(tmp_path / "lake", "http://127.0.0.1:9")
    done, peak_mb = product.run_measured("validate-greeks", "--out", tmp_path, "--json")
    told, table = json.loads(done.stdout), pl.read_csv(tmp_path / "greeks_errors.csv")

    assert (done.returncode, told["verdict"]) == (0, "PASS")
    assert told["rows"] == tickers > 500_000
    assert set(table["verdict"]) == {"pass"}
    assert table["outside"].sum() == 0
    assert table.select("source", "moneyness", "days").n_unique() > 60
    assert [(abs(age["seconds"]) < 1, age["is_old"]) for age in told["ages"]] == [(True, False)]
    assert peak_mb < 1_000


@pytest.mark.parametrize("words", greek_tickers.WRONG)
def test_a_month_by_a_wrong_convention_fails_and_is_named(tmp_path, words):
    lake = Lake(tmp_path)
    wrong = greek_tickers.WRONG[words]
    greek_tickers.publish(lake, "BTC", FIRST_MS, days=DAYS, every_hours=8, wrong=wrong)
    greek_tickers.publish(lake, "USDC", FIRST_MS, days=2, every_hours=12, wrong=wrong)
    found = report(lake)

    assert found.verdict == "FAIL"
    assert {hint.underlying for hint in found.hints} >= {"BTC", "BTC_USDC"}
    assert {(hint.convention, hint.explains) for hint in found.hints} == {(words, True)}
