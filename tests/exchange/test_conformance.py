"""Answers conform to Deribit's OpenAPI document and to bodies recorded from the real exchange.

The document is wrong about the real exchange in places: what it says of a field of ours is let
pass only if it says the same of that field in a recorded body.
"""

import json

import jsonschema
import pytest

from tests.exchange.incidents import milliseconds

START = milliseconds("2025-10-10")
BTC = {"instrument_name": "BTC-PERPETUAL"}
USDC = {"instrument_name": "ETH_USDC-PERPETUAL"}
WINDOW = {"start_timestamp": START, "end_timestamp": START + 86_400_000}
OPTION = {"instrument_name": "BTC-26DEC25-100000-C"}
LINEAR = {"instrument_name": "SOL_USDC-26DEC25-200-P"}
CALLS = [
    ("test", {}),
    ("get_time", {}),
    ("status", {}),
    ("get_currencies", {}),
    ("get_instruments", {"currency": "any", "kind": "future"}),
    ("get_instruments", {"currency": "BTC", "kind": "future", "expired": "true"}),
    ("get_instruments", {"currency": "ETH", "kind": "option"}),
    ("get_instruments", {"currency": "BTC", "kind": "option", "expired": "true"}),
    ("get_instrument", BTC),
    ("get_instrument", USDC),
    ("ticker", BTC),
    ("ticker", USDC),
    ("get_order_book", BTC),
    ("get_order_book", USDC),
    ("get_book_summary_by_currency", {"currency": "BTC"}),
    ("get_book_summary_by_instrument", USDC),
    ("get_index_price", {"index_name": "btc_usd"}),
    ("get_index_price_names", {"extended": "true"}),
    ("get_tradingview_chart_data", BTC | WINDOW | {"resolution": "60"}),
    ("get_tradingview_chart_data", USDC | WINDOW | {"resolution": "1"}),
    ("get_funding_rate_history", BTC | WINDOW),
    ("get_funding_rate_value", USDC | WINDOW),
    ("get_instrument", OPTION),
    ("ticker", OPTION),
    ("ticker", LINEAR),
    ("get_order_book", OPTION),
    ("get_book_summary_by_instrument", LINEAR),
    ("get_book_summary_by_currency", {"currency": "ETH", "kind": "option"}),
    ("get_tradingview_chart_data", OPTION | WINDOW | {"resolution": "60"}),
    ("get_last_trades_by_currency", {"currency": "BTC", "kind": "option", "count": 200}),
    ("get_last_trades_by_currency", {"currency": "USDC", "kind": "option", "count": 200}),
    ("get_last_trades_by_instrument", OPTION),
    ("get_expirations", {"currency": "BTC", "kind": "option"}),
    ("get_expirations", {"currency": "any", "kind": "any"}),
    ("get_expirations", {"currency": "grouped", "kind": "any"}),
    ("get_delivery_prices", {"index_name": "btc_usd"}),
    ("get_last_settlements_by_currency", {"currency": "BTC"}),
    ("get_last_settlements_by_instrument", BTC),
    ("get_index_chart_data", {"index_name": "eth_usd", "range": "1h"}),
    ("get_volatility_index_data", {"currency": "BTC", "resolution": "60"} | WINDOW),
]
BODIES = [
    ("status", {}, "status"),
    ("get_time", {}, "server_time"),
    ("get_currencies", {}, "currencies"),
    ("get_instruments", {"currency": "BTC", "kind": "future"}, "instruments_future"),
    ("get_instrument", BTC, "instrument"),
    ("ticker", BTC, "ticker_future"),
    ("get_order_book", BTC, "order_book"),
    ("get_book_summary_by_instrument", BTC, "book_summary_instrument"),
    ("get_index_price", {"index_name": "btc_usd"}, "index_price"),
    ("get_index_price_names", {}, "index_price_names"),
    ("get_tradingview_chart_data", BTC | WINDOW | {"resolution": "1D"}, "tradingview_chart"),
    ("get_funding_rate_history", BTC | WINDOW, "funding_rate_history"),
    ("get_delivery_prices", {"index_name": "btc_usd"}, "delivery_prices"),
    ("get_last_settlements_by_currency", {"currency": "BTC"}, "settlements_currency"),
    ("get_last_settlements_by_instrument", BTC, "settlements_instrument"),
    ("get_index_chart_data", {"index_name": "btc_usd", "range": "1h"}, "index_chart_data"),
    (
        "get_volatility_index_data",
        {"currency": "BTC", "resolution": "43200"} | WINDOW,
        "volatility_index",
    ),
]


SAMPLE = 40  # records of a long list: they are made alike, and the document takes its time


def sampled(answer):
    """Return an answer with some records of a long list, from all over it."""
    result = answer["result"]
    if isinstance(result, list) and len(result) > SAMPLE:
        answer["result"] = result[:: -(-len(result) // SAMPLE)]
    return answer


@pytest.fixture(scope="module")
def document(recorded):
    return recorded("openapi/deribit-openapi-2.1.1.json")


def complaints(document, method, body):
    """Return (field, rule) of whatever the document has to say against a body."""
    (answer,) = document["paths"][f"/public/{method}"]["get"]["responses"].values()
    name = answer["$ref"].rsplit("/", 1)[-1]
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    problems = jsonschema.Draft202012Validator(schema).iter_errors(body)
    return {(str(problem.absolute_path[-1]), problem.validator) for problem in problems}


@pytest.fixture(scope="module")
def excused(recorded, document):
    """What the document has against real bodies: of 2026, and of linear perpetuals of 2022."""
    bodies = {
        "get_currencies": recorded("rest_results_2026_09/currencies.json"),
        "get_instruments": recorded("rest_results_2026_09/instruments_future.json"),
    }
    options = recorded("rest_results_2026_09/instruments_option.json")[:SAMPLE]
    found = complaints(document, "get_instruments", {"jsonrpc": "2.0", "result": options})
    for ticker in recorded("rest_results_2026_09/option_tickers.json").values():
        found |= complaints(document, "ticker", {"jsonrpc": "2.0", "result": ticker})
    summaries = recorded("book_summary_2025_06/BTC_option_book_summary_20250615_055819.json")
    bodies["get_book_summary_by_currency"] = summaries[:: len(summaries) // SAMPLE]
    bodies["get_expirations"] = recorded("rest_results_2026_09/expirations_flat.json")
    tagged = recorded("rest_and_ws_fixtures/http_get_last_trades_perpetual_with_combo_tags.json")
    bodies["get_last_trades_by_instrument"] = tagged["result"]
    for method, result in bodies.items():
        found |= complaints(document, method, {"jsonrpc": "2.0", "result": result})
    for line in recorded("ws_session_2021_07/DERIBIT.0").splitlines():
        if "get_instruments" in line:
            found |= complaints(document, "get_instruments", json.loads(line.partition(": ")[2]))
    return found


@pytest.mark.parametrize(("method", "params"), CALLS, ids=lambda value: str(value)[:40])
def test_an_answer_is_valid_under_the_openapi_document(client, document, excused, method, params):
    answer = sampled(client.get(method, **params).json())

    assert complaints(document, method, answer) - excused == set()


@pytest.mark.parametrize("kind", ["future", "option"])
@pytest.mark.parametrize("currency", ["BTC", "SOL", "USDC"])
def test_the_lists_of_all_that_expired_are_valid_too(client, document, excused, kind, currency):
    asked = {"currency": currency, "kind": kind, "expired": "true", "include_old": "true"}
    sent = client.send("GET", "/history/api/v2/public/get_instruments", params=asked).json()

    assert sent["result"] or (currency, kind) == ("SOL", "option")
    assert {one["state"] for one in sent["result"]} <= {"archivized"}
    assert complaints(document, "get_instruments", sampled(sent)) - excused == set()


def shape(value):
    """Return field names and JSON types, of a list those of its first element."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


@pytest.mark.parametrize(("method", "params", "body"), BODIES, ids=lambda value: str(value)[:40])
def test_fields_and_types_are_those_of_recorded_bodies(client, recorded, method, params, body):
    assert shape(client.result(method, **params)) == shape(
        recorded(f"rest_results_2026_09/{body}.json")
    )
