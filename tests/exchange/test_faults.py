import httpx
import numpy as np
import pytest

from tests.exchange.faults import ALL, NAMES, PAGE_FAULTS, Faults, named
from tests.exchange.incidents import milliseconds
from tests.exchange.running import running

MINUTE_MS = 60_000
START = milliseconds("2023-03-03")
CHART = "public/get_tradingview_chart_data"
CODES = {"rate_limit": 10028, "maintenance": 11051, "settlement": 10041, "internal": 11094}


def window(number, bars=50):
    start = START + number * bars * MINUTE_MS
    return {
        "instrument_name": "BTC-PERPETUAL",
        "start_timestamp": start,
        "end_timestamp": start + (bars - 1) * MINUTE_MS,
        "resolution": "1",
    }


def first_met(faults, name, tries=500):
    """Return the parameters of the first chart call that meets `name` when first asked."""
    for number in range(tries):
        fault = faults.meet(CHART, window(number))
        if fault and fault.name == name:
            return window(number)
    raise AssertionError(name)


def test_names_are_none_all_or_a_list():
    assert named("none") == frozenset()
    assert named("all") == frozenset(ALL)
    assert named("shifted,latency") == {"shifted", "latency"}


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown fault 'shfted'; known are .*shifted"):
        named("shfted")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "revised"])
def test_each_fault_meets_at_least_a_twentieth_of_first_requests(name):
    faults = Faults(named("all"), 3)
    for number in range(4_000):
        faults.meet(CHART, window(number))

    assert faults.met[name] >= 0.05 * 4_000


def test_a_request_is_healthy_from_its_fourth_time_on():
    faults = Faults(named("all"), 3)
    for number in range(300):
        for _ in range(3):
            faults.meet(CHART, window(number))

    assert not any(faults.meet(CHART, window(number)) for number in range(300))


def test_a_fault_depends_on_the_seed_the_request_and_how_often_it_was_seen():
    def meetings(seed):
        faults = Faults(named("all") - {"maintenance"}, seed)
        return [faults.meet(CHART, window(number % 200)) for number in range(600)]

    first, second, third = np.split(np.array(meetings(3), dtype=object), 3)
    assert meetings(3) == meetings(3)
    assert meetings(3) != meetings(4)
    assert list(first) != list(second) != list(third)


def test_maintenance_meets_requests_in_a_row():
    faults = Faults(named("maintenance"), 3)
    met = "".join("x" if faults.meet(CHART, window(number)) else "." for number in range(2_000))

    assert "x" * 10 in met
    assert 0.05 < met.count("x") / 2_000 < 0.2


@pytest.mark.parametrize("name", CODES)
def test_a_refusing_fault_sends_its_code_at_first_and_the_answer_at_last(open_exchange, name):
    client = open_exchange(faults=name)
    params = first_met(Faults(named(name), 0), name)
    error = client.get(CHART[7:], **params).json()["error"]
    answers = [client.get(CHART[7:], **params).json() for _ in range(4)]

    assert error["code"] == CODES[name]
    assert "result" in answers[-1]


def test_rate_limits_come_as_http_429_and_otherwise(open_exchange):
    client = open_exchange(faults="rate_limit")
    statuses = {client.get(CHART[7:], **window(number)).status_code for number in range(100)}

    assert statuses == {200, 400, 429}


def test_html_502_is_a_page_of_the_cdn(open_exchange):
    client = open_exchange(faults="html_502")
    answer = client.get(CHART[7:], **first_met(Faults(named("html_502"), 0), "html_502"))

    assert answer.status_code == 502
    assert answer.text.startswith("<html>")


@pytest.fixture(params=PAGE_FAULTS)
def damaged(request, open_exchange, client):
    """The name of a page fault, the page it damaged, and the page as it should be."""
    params = first_met(Faults(named(request.param), 0), request.param)
    wrong = open_exchange(faults=request.param).result(CHART[7:], **params)
    return request.param, wrong, client.result(CHART[7:], **params)


def test_damaged_pages_differ_in_the_way_they_are_named_after(damaged):
    name, wrong, right = damaged
    ticks, expected = wrong["ticks"], right["ticks"]

    assert {
        "truncated": ticks in (expected[: len(ticks)], expected[-len(ticks) :]) and len(ticks) < 50,
        "shifted": len(ticks) == 50 and ticks[0] != expected[0],
        "duplicated": sorted(set(ticks)) == expected and len(ticks) > 50,
        "unordered": sorted(ticks) == expected and ticks != expected,
    }[name]


def test_damaged_rows_stay_whole(damaged, market):
    _, wrong, _ = damaged
    truth = market.candles("BTC-PERPETUAL", START, START + 10**9)
    at = np.searchsorted(truth["ticks"], wrong["ticks"])

    assert all(truth[name][at].tolist() == wrong[name] for name in ("close", "volume", "cost"))


def test_funding_pages_are_damaged_too(open_exchange, client):
    hours = {
        "instrument_name": "BTC-PERPETUAL",
        "start_timestamp": START,
        "end_timestamp": START + 10**9,
    }
    faulty = open_exchange(faults="unordered,truncated,duplicated,shifted")
    calls = [hours | {"end_timestamp": START + 10**9 + number} for number in range(20)]
    pages = [faulty.result("get_funding_rate_history", **call) for call in calls]

    assert any(page != client.result("get_funding_rate_history", **hours) for page in pages)


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "ETH_USDC-PERPETUAL"])
def test_recent_bars_are_provisional_once_and_consistent(open_exchange, client, market, name):
    faulty = open_exchange(faults="revised")
    recent = window(0) | {
        "instrument_name": name,
        "start_timestamp": market.now_ms - 180 * MINUTE_MS,
        "end_timestamp": market.now_ms,
    }
    first, second, third = (faulty.result(CHART[7:], **recent) for _ in range(3))
    settled = {key: np.array(column) for key, column in second.items() if key != "status"}
    early = {key: np.array(column) for key, column in first.items() if key != "status"}
    changed = early["volume"] != settled["volume"]

    assert second == third == client.result(CHART[7:], **recent)
    assert not changed[:60].any()
    assert changed[60:].sum() == (settled["volume"][60:] > 0).sum()
    assert (early["high"] >= np.maximum(early["open"], early["close"])).all()
    assert (early["low"] <= np.minimum(early["open"], early["close"])).all()
    assert ((early["volume"] == 0) == (early["cost"] == 0)).all()


def test_revisions_are_kept_per_resolution(open_exchange, market):
    faulty = open_exchange(faults="revised")
    recent = {"start_timestamp": market.now_ms - 60 * MINUTE_MS, "end_timestamp": market.now_ms}
    for resolution in ("1", "5"):
        call = window(0) | recent | {"resolution": resolution}
        assert faulty.result(CHART[7:], **call) != faulty.result(CHART[7:], **call)


def test_a_cut_body_ends_early_although_its_length_was_announced():
    call = first_met(Faults(named("cut_body"), 0), "cut_body")
    with running(faults="cut_body") as exchange:
        url = f"{exchange.url}/api/v2/{CHART}"
        with httpx.Client(trust_env=False) as client:
            with pytest.raises(
                httpx.RemoteProtocolError, match="without sending complete message body"
            ):
                client.get(url, params=call)
            for _ in range(3):
                answers = [_status(client, url, call) for _ in range(3)]
        assert answers[-1] == 200
        assert exchange.stats()["faults"]["cut_body"] >= 1


def _status(client, url, call):
    try:
        return client.get(url, params=call).status_code
    except httpx.RemoteProtocolError:
        return None


def test_a_contradictory_day_is_only_met_by_name(open_exchange):
    params = {"index_name": "btc_usd", "count": 20}
    honest = open_exchange(faults="none").result("get_delivery_prices", **params)["data"]
    liar = open_exchange(faults="contradictory").result("get_delivery_prices", **params)["data"]

    assert "contradictory" not in named("all")
    assert liar[:20] == honest
    assert {row["date"][-1] for row in liar[20:]} == {"0"}
    assert len(liar) > 20
