"""The exchange's own Black-76 gives the marks and Greeks that were recorded."""

import numpy as np
import pytest

from etl.instruments.names import parse_name
from tests.exchange.option_market import black76

# fresh quotes, exact moments: what DERIBIT_API.md recommends, for Greeks of the last day
TOLERANCES = {"delta": 2e-4, "gamma": 1e-5, "vega": 0.05, "theta": 2.0, "rho": 0.03}


def columns(rows, moment):
    names = [parse_name(one["instrument_name"]) for one in rows]
    expires = np.array([name.expiry.timestamp() * 1000 for name in names])
    return {
        "forward": np.array([one["underlying_price"] for one in rows]),
        "strike": np.array([float(name.strike) for name in names]),
        "years": (expires - np.array([one[moment] for one in rows])) / black76.YEAR_MS,
        "volatility": np.array([one["mark_iv"] / 100 for one in rows]),
        "sign": np.where([name.option_type == "call" for name in names], 1.0, -1.0),
    }


def test_marks_of_a_recorded_summary_follow_from_mark_iv(recorded):
    rows = recorded("book_summary_2025_06/BTC_option_book_summary_20250615_055819.json")
    of = columns(rows, "creation_timestamp")
    value = black76.price(
        of["forward"], of["strike"], of["volatility"] * np.sqrt(of["years"]), of["sign"]
    )
    miss = np.abs(value / of["forward"] - [one["mark_price"] for one in rows])

    assert len(rows) > 700
    assert np.median(miss) < 2e-5
    assert miss.max() < 6e-4


def test_greeks_of_recorded_tickers_follow_from_mark_iv(recorded):
    rows = list(recorded("rest_results_2026_09/option_tickers.json").values())
    found = black76.greeks(**columns(rows, "timestamp"))

    for name, values in found.items():
        told = [one["greeks"][name] for one in rows]
        is_gamma_of_xrp = name == "gamma"  # 0.1 per cent there, as its price has four decimals
        assert values == pytest.approx(
            told, abs=TOLERANCES[name], rel=2e-2 if is_gamma_of_xrp else 0
        ), name


def test_volatility_is_implied_by_recorded_quotes(recorded):
    """Where a mark has time value, the inversion finds the mark's own volatility again."""
    rows = recorded("book_summary_2025_06/BTC_option_book_summary_20250615_055819.json")
    of = columns(rows, "creation_timestamp")
    stdev = of["volatility"] * np.sqrt(of["years"])
    value = black76.price(of["forward"], of["strike"], stdev, of["sign"])
    found = black76.implied(
        value, of["forward"], of["strike"],
        years=of["years"], sign=of["sign"], guess=np.full(len(value), 0.5),
    )  # fmt: skip
    told = np.isfinite(found)

    assert told.mean() > 0.8
    assert found[told] == pytest.approx(of["volatility"][told], abs=1e-4)
