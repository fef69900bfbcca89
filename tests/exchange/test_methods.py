import numpy as np
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import PERPETUALS
from tests.exchange.tape import RESOLUTIONS

MINUTE_MS = 60_000
BTC = "BTC-PERPETUAL"
START = milliseconds("2023-03-03")
CALL = {
    "instrument_name": BTC,
    "start_timestamp": START,
    "end_timestamp": START + 9 * MINUTE_MS,
    "resolution": "1",
}


def chart(client, start_ms, end_ms, name=BTC, resolution="1"):
    window = {"start_timestamp": start_ms, "end_timestamp": end_ms}
    return client.result(
        "get_tradingview_chart_data", instrument_name=name, resolution=resolution, **window
    )


def test_both_ends_of_a_chart_window_are_included(client):
    ticks = chart(client, START, START + 9 * MINUTE_MS)["ticks"]

    assert ticks == list(range(START, START + 10 * MINUTE_MS, MINUTE_MS))


def test_a_start_inside_a_bar_leaves_that_bar_out(client):
    assert chart(client, START + 1, START + MINUTE_MS)["ticks"] == [START + MINUTE_MS]


@pytest.mark.parametrize(("resolution", "count"), [("1", 5_001), ("60", 5_001), ("1D", 2_622)])
def test_of_too_many_bars_the_newest_5001_are_served(client, market, resolution, count):
    ticks = chart(client, 0, market.now_ms, resolution=resolution)["ticks"]

    assert len(ticks) == count
    assert market.now_ms - RESOLUTIONS[resolution] * MINUTE_MS <= ticks[-1] < market.now_ms


def test_a_capped_page_is_full_across_an_outage(client):
    end = milliseconds("2020-08-27T12:00")
    ticks = chart(client, 0, end)["ticks"]

    assert len(ticks) == 5_001
    assert ticks[-1] - ticks[0] == (5_000 + 252) * MINUTE_MS


@pytest.mark.parametrize(
    "window", [(0, START - 10**12), (2 * START, 2 * START + 9), (10**30, 10**31), (-(10**30), 0)]
)
def test_a_window_without_bars_is_no_data_with_empty_columns(client, window):
    answer = chart(client, *window)

    assert answer.pop("status") == "no_data"
    assert set(answer) == {"ticks", "open", "high", "low", "close", "volume", "cost"}
    assert not any(answer.values())


def test_the_bar_in_progress_is_served(open_exchange):
    client = open_exchange(now="2023-03-03T12:34:40Z")
    now = milliseconds("2023-03-03T12:34:40")

    assert chart(client, now - 2 * MINUTE_MS, now)["ticks"][-1] == milliseconds("2023-03-03T12:34")
    assert chart(client, 0, now, resolution="1D")["ticks"][-1] == milliseconds("2023-03-03T08:00")


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("name", [instrument.name for instrument in PERPETUALS])
def test_what_is_served_is_the_truth(client, market, name, resolution):
    end = START + 500 * RESOLUTIONS[resolution] * MINUTE_MS
    served = chart(client, START, end - 1, name, resolution)
    truth = market.candles(name, START, end, resolution)

    assert served.pop("status") == "ok"
    assert served == {column: values.tolist() for column, values in truth.items()}


def test_an_instrument_is_listed_from_its_creation_on(open_exchange):
    early = open_exchange(now="2019-01-01T00:00:00Z")

    listed = early.result("get_instruments", currency="BTC", kind="future")
    assert [each["instrument_name"] for each in listed if "PERP" in each["instrument_name"]] == [
        BTC
    ]
    assert all(each["base_currency"] == "BTC" for each in early.result("get_instruments"))
    assert early.error("ticker", instrument_name="ETH-PERPETUAL") == (400, -32602)


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"currency": "any", "kind": "future"}, 7 + 14),
        ({"kind": "future"}, 7 + 14),
        ({"currency": "BTC", "kind": "future"}, 1 + 7),
        ({"currency": "USDC", "kind": "future"}, 5),
        ({"currency": "SOL", "kind": "future"}, 0),
        ({"currency": "EURR"}, 0),
        ({"currency": "SOL", "kind": "option"}, 0),
        ({"currency": "BTC", "kind": "future", "expired": "true"}, 1),
    ],
)
def test_instruments_are_listed_by_currency_kind_and_expiry(client, params, count):
    assert len(client.result("get_instruments", **params)) == count


def test_about_as_many_options_live_as_on_record(client):
    found = client.result("get_instruments", currency="BTC", kind="option")

    assert 700 < len(found) < 1_500  # 746 in June 2025, 972 in September 2026
    assert len({one["expiration_timestamp"] for one in found}) > 8


def test_without_a_kind_and_a_currency_everything_is_listed(client):
    found = client.result("get_instruments")
    kinds = ("future", "option", "spot", "future_combo", "option_combo")
    by_kind = [client.result("get_instruments", kind=kind) for kind in kinds]

    assert found == [one for each in by_kind for one in each]
    assert all(by_kind)


def test_an_unknown_instrument_is_an_invalid_parameter_with_its_reason(client):
    answer = client.get("ticker", instrument_name="BTC-PERPETUA")

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": -32602,
        "message": "Invalid params",
        "data": {"reason": "instrument not found", "param": "instrument_name"},
    }


def test_what_settled_in_solana_is_on_the_history_host_alone(client):
    asked = CALL | {"instrument_name": "SOL-24JUN22", "start_timestamp": milliseconds("2022-06-01")}
    asked["end_timestamp"] = asked["start_timestamp"] + 9 * MINUTE_MS
    path = "/history/api/v2/public/get_tradingview_chart_data"

    assert client.error("get_tradingview_chart_data", **asked) == (400, -32602)
    assert len(client.send("GET", path, params=asked).json()["result"]["ticks"]) == 10


def test_every_number_in_exponent_form_says_the_same(open_exchange):
    plain, written = (open_exchange(faults=name) for name in ("none", "exponent"))
    answers = [
        (one.get("get_tradingview_chart_data", **CALL), one.get("get_instrument", **CALL),
         one.get("get_instrument", instrument_name="x"))
        for one in (plain, written)
    ]  # fmt: skip

    for said, again in zip(*answers, strict=True):
        assert again.json() == said.json()
        assert again.content != said.content
    assert b'"ticks":[1.677801600000e+12' in answers[1][0].content
    assert b'"code":-3.2602e+4' in answers[1][2].content


def test_real_records_of_the_inverse_perpetuals(client):
    btc, eth = (
        client.result("get_instrument", instrument_name=f"{coin}-PERPETUAL")
        for coin in ("BTC", "ETH")
    )

    assert (btc["creation_timestamp"], btc["tick_size"], btc["contract_size"]) == (
        1534242287000,
        0.5,
        10.0,
    )
    assert (eth["creation_timestamp"], eth["tick_size"], eth["contract_size"]) == (
        1552568454000,
        0.05,
        1.0,
    )


def test_a_ticker_tells_the_last_candle_and_a_book_around_the_mark(client, market):
    ticker = client.result("ticker", instrument_name=BTC)
    day = market.candles(BTC, market.now_ms - 86_400_000, market.now_ms)

    assert ticker["last_price"] == day["close"][-1]
    assert ticker["stats"]["high"] == day["high"].max()
    assert ticker["best_bid_price"] < ticker["best_ask_price"]
    assert ticker["mark_price"] == pytest.approx(ticker["index_price"], rel=2e-3)


def test_a_ticker_before_the_first_trade_has_nulls(open_exchange):
    client = open_exchange(now="2022-03-10T00:00:00Z")
    ticker = client.result("ticker", instrument_name="BTC_USDC-PERPETUAL")

    assert ticker["last_price"] is None
    assert ticker["stats"]["high"] is None
    assert ticker["stats"]["volume"] == 0.0


@pytest.mark.parametrize("depth", [1, 5, 20])
def test_an_order_book_is_sorted_and_as_deep_as_asked(client, depth):
    book = client.result("get_order_book", instrument_name=BTC, depth=depth)
    bids, asks = (np.array(book[side])[:, 0] for side in ("bids", "asks"))

    assert len(bids) == len(asks) == depth
    assert (np.diff(bids) < 0).all()
    assert (np.diff(asks) > 0).all()
    assert bids[0] == book["best_bid_price"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"instrument_name": "BTC-PERPETUA"}, -32602),
        ({"instrument_name": None}, -32602),
        ({"resolution": "240"}, -32602),
        ({"resolution": None}, -32602),
        ({"start_timestamp": "yesterday"}, -32602),
        ({"end_timestamp": None}, -32602),
        ({"end_timestamp": START - 1}, 11029),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_code_and_name(client, change, code):
    params = {name: value for name, value in (CALL | change).items() if value is not None}
    answer = client.get("get_tradingview_chart_data", **params)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["data"]["param"]


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("nope", {}, (400, -32601)),
        ("get_order_book", {"instrument_name": BTC, "depth": 7}, (400, -32602)),
        ("get_instruments", {"currency": "DOGE"}, (400, -32602)),
        ("get_instruments", {"expired": "maybe"}, (400, -32602)),
        ("get_index_price", {"index_name": "doge_usd"}, (400, -32602)),
        ("get_book_summary_by_currency", {}, (400, -32602)),
        ("test", {"expected_result": "exception"}, (400, 11094)),
    ],
)
def test_errors_have_the_codes_of_the_real_exchange(client, method, params, expected):
    assert client.error(method, **params) == expected


def test_an_answer_stands_in_the_envelope_with_the_frozen_present(client, market):
    body = client.get("test", id=5).json()
    us = market.now_ms * 1000

    assert body == {
        "jsonrpc": "2.0",
        "id": 5,
        "result": {"version": "1.2.26"},
        "usIn": us,
        "usOut": us,
        "usDiff": 0,
        "testnet": False,
    }


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/public/get_tradingview_chart_data"])
def test_a_posted_call_is_answered_like_a_query(client, path):
    call = {
        "jsonrpc": "2.0",
        "id": 9,
        "method": "public/get_tradingview_chart_data",
        "params": CALL,
    }
    posted = client.send("POST", path, json=call).json()

    assert posted["id"] == 9
    assert posted["result"] == client.result("get_tradingview_chart_data", **CALL)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", -32700),
        (b"[]", -32602),
        (b'{"method": "public/test", "params": [1]}', -32602),
        (b'{"method": "private/get_position", "params": {}}', 13009),
        (b'{"method": "public/test", "params": {"x": "' + b"y" * 33_000 + b'"}}', -32600),
    ],
)
def test_a_malformed_post_is_refused(client, content, code):
    assert client.send("POST", "/api/v2", content=content).json()["error"]["code"] == code
