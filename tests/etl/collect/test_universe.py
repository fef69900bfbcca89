"""Which instruments are collected, and what the settings may name."""

import logging
from datetime import datetime

import pytest

from etl.collect.universe import Universe
from etl.config import Collect
from etl.errors import UsageError
from etl.instruments.record import Instrument

NOW_MS = round(datetime.fromisoformat("2025-10-24T09:00:00Z").timestamp() * 1000)
PERPETUAL = Instrument("BTC-PERPETUAL", "future", 0, 0.5, "perpetual", "BTC")


@pytest.mark.parametrize("expired", ["BTC-24OCT25", "BTC-25JUL25"])
def test_a_future_that_expired_since_it_was_named_leaves_the_others_alone(caplog, expired):
    """One is on a list still, the other on none."""
    listed = Instrument(
        "BTC-24OCT25", "future", 0, 0.5, "week", "BTC", expiration_timestamp=NOW_MS - 3_600_000
    )
    universe = Universe(Collect(instruments=("BTC-PERPETUAL", expired)))
    with caplog.at_level(logging.WARNING):
        universe.fill([PERPETUAL, listed], NOW_MS)
    assert [*universe.instruments] == ["BTC-PERPETUAL"]
    assert f"{expired} has expired" in caplog.text


@pytest.mark.parametrize("named", [("BTC-25JUL25",), ("BTC-PERPETUAL", "BTC-31DEC99X")])
def test_where_all_expired_or_one_never_was_the_settings_are_refused(named):
    universe = Universe(Collect(instruments=named))
    with pytest.raises(UsageError, match="is not listed"):
        universe.fill([PERPETUAL], NOW_MS)


def test_a_new_listing_brings_the_index_it_follows():
    new = Instrument(
        "DOGE_USDC-PERPETUAL", "future", 0, 0.5, "perpetual", "USDC", None, "doge_usdc"
    )
    universe = Universe(Collect(kinds=("candles", "index")))
    assert [one.name for one in universe.channels_about(new)] == ["deribit_price_index.doge_usdc"]
