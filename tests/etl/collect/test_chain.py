import msgspec

from etl.collect.chain import chain_at

AT_MS = 1_760_745_600_000
TICKER = {
    "timestamp": AT_MS - 500,
    "instrument_name": "BTC-27MAR26-100000-C",
    "mark_price": 0.1338,
    "mark_iv": 45.12,
    "bid_iv": 0.0,
    "best_bid_price": 0.0,
    "best_ask_price": 0.1342,
    "underlying_price": 107_911.22,
    "index_price": 107_725.31,
    "greeks": {"delta": 0.6, "gamma": 0.00001, "vega": 200.1, "theta": -20.5, "rho": 30.2},
    "stats": {"volume": 12.5},
}


def message(**other):
    return msgspec.json.encode({"params": {"data": TICKER | other}})


def test_the_newest_tickers_are_rows_of_a_snapshot_at_the_minute_that_ends():
    linear = "XRP_USDC-31OCT25-2d5-P"
    rows = chain_at(
        {
            "ticker.BTC-27MAR26-100000-C.agg2": message(),
            f"ticker.{linear}.agg2": message(instrument_name=linear),
        },
        AT_MS,
    )
    assert sorted(rows["instrument"]) == ["BTC-27MAR26-100000-C", linear]
    (row,) = rows.filter(rows["instrument"] == "BTC-27MAR26-100000-C").to_dicts()
    assert row["timestamp"].timestamp() * 1000 == AT_MS
    assert (row["mark_iv"], row["bid_iv"], row["bid_price"]) == (0.4512, None, None)
    assert (row["delta"], row["vega"], row["volume"]) == (0.6, 200.1, 12.5)


def test_a_ticker_of_before_and_one_of_no_option_are_no_rows():
    rows = chain_at(
        {
            "ticker.BTC-27MAR26-100000-C.agg2": message(timestamp=AT_MS - 600_000),
            "ticker.BTC-PERPETUAL.agg2": message(instrument_name="BTC-PERPETUAL"),
            "nonsense": message(),
        },
        AT_MS,
    )
    assert rows.is_empty()


def test_nothing_heard_is_no_rows():
    assert chain_at({}, AT_MS).is_empty()
