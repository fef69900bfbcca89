"""Pages of trades: put together they are the truth, within what each host gives."""

import polars as pl
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.option_market.frames import SCHEMA

DAY_MS = 86_400_000
NOW_MS = milliseconds("2025-10-18")
OPTION = "BTC-27JUN25-100000-C"


def as_frame(rows):
    found = pl.DataFrame(rows, schema=SCHEMA)
    return found.with_columns(pl.col("mark_price").cast(pl.Float64))


def walked(client, currency, start, end, count=500):
    """All trades of a window, page by page from its start, each once."""
    found = {}
    while True:
        page = client.trades(
            "by_currency_and_time",
            currency=currency, kind="option", start_timestamp=start, end_timestamp=end,
            count=count, sorting="asc",
        )  # fmt: skip
        found |= {row["trade_id"]: row for row in page["trades"]}
        if not page["has_more"]:
            return list(found.values())
        start = page["trades"][-1]["timestamp"]


@pytest.mark.parametrize("currency", ["BTC", "ETH", "USDC"])
def test_pages_put_together_are_the_truth(opened, quiet, currency):
    start = milliseconds("2024-06-03T10:11:12.345")
    rows = walked(opened(), currency, start, start + 3 * DAY_MS - 1)

    assert as_frame(rows).equals(quiet.option_trades(currency, start, start + 3 * DAY_MS))


def test_what_settled_in_solana_is_on_the_history_host_alone(opened, quiet):
    start = milliseconds("2022-07-01")
    ask = {"currency": "SOL", "kind": "option", "start_timestamp": start}
    rows = walked(opened(), "SOL", start, start + 20 * DAY_MS - 1)
    on_www = opened(now="2022-07-01T12:00").trades(
        "by_currency_and_time", host="www", **ask, end_timestamp=start + DAY_MS
    )

    assert rows
    assert as_frame(rows).equals(quiet.option_trades("SOL", start, start + 20 * DAY_MS))
    assert on_www == {"trades": [], "has_more": False}


def test_both_ends_of_a_window_are_included(opened, quiet):
    truth = quiet.option_trades("BTC", NOW_MS - DAY_MS // 2, NOW_MS - DAY_MS // 4)
    first, last = truth["timestamp"][0], truth["timestamp"][-1]
    rows = walked(opened(), "BTC", first, last)

    assert as_frame(rows).equals(truth)


@pytest.fixture(scope="module")
def whole_life(quiet):
    """Every trade of one option."""
    trades = quiet.option_trades("BTC", milliseconds("2024-06-28"), milliseconds("2025-06-28"))
    return trades.filter(pl.col("instrument_name") == OPTION)


@pytest.mark.parametrize(("first", "last"), [(1, 40), (17, 17), (30, 90), (1, 9_999)])
def test_a_range_of_trade_seq_is_exact(opened, whole_life, first, last):
    page = opened().trades(
        "by_instrument", instrument_name=OPTION, start_seq=first, end_seq=last, count=10_000,
        sorting="asc",
    )  # fmt: skip
    truth = whole_life.filter(pl.col("trade_seq").is_between(first, last))

    assert whole_life.height > 70
    assert as_frame(page["trades"]).equals(truth)
    assert page["has_more"] is False


def test_one_trade_without_bounds_is_the_last(opened, quiet):
    last = dict(quiet.last_seqs("BTC").iter_rows())
    client = opened()
    traded = [name for name, seq in last.items() if seq][:: len(last) // 15]
    never = next(name for name, seq in last.items() if not seq)

    for name in traded:
        page = client.trades("by_instrument", instrument_name=name, count=1)
        assert page["trades"][0]["trade_seq"] == last[name]
        assert page["has_more"] is (last[name] > 1)
    assert client.trades("by_instrument", instrument_name=never, count=1) == {
        "trades": [],
        "has_more": False,
    }


@pytest.mark.parametrize("sorting", ["asc", "desc", "default"])
def test_of_too_many_the_count_keeps_one_end(opened, quiet, sorting):
    start = milliseconds("2024-06-03")
    truth = quiet.option_trades("BTC", start, start + DAY_MS)["trade_seq"].to_list()
    page = opened().trades(
        "by_currency_and_time", currency="BTC", kind="option", count=25, sorting=sorting,
        start_timestamp=start, end_timestamp=start + DAY_MS - 1,
    )  # fmt: skip
    seqs = [row["trade_seq"] for row in page["trades"]]

    expected = {"asc": truth[:25], "desc": truth[-25:][::-1], "default": truth[:25][::-1]}
    assert seqs == expected[sorting]
    assert page["has_more"] is True


def test_ids_bound_a_page_too(opened, quiet):
    ids = quiet.option_trades("ETH", NOW_MS - 40_000_000, NOW_MS - 20_000_000)["trade_id"].to_list()
    page = opened().trades(
        "by_currency", currency="ETH", kind="option", start_id=ids[3], end_id=ids[-3],
        count=10_000, sorting="asc",
    )  # fmt: skip

    assert [row["trade_id"] for row in page["trades"]] == ids[3:-2]


def test_www_reaches_back_a_day_and_answers_an_older_start_with_nothing(opened, quiet):
    client = opened()
    ask = {"currency": "BTC", "kind": "option", "end_timestamp": NOW_MS, "count": 1_000}
    inside, older = (
        client.trades("by_currency_and_time", "www", **ask, start_timestamp=NOW_MS - back)
        for back in (DAY_MS, DAY_MS + 1)
    )
    of_option = client.trades("by_instrument", "www", instrument_name=OPTION, count=100)

    assert len(inside["trades"]) == min(
        1_000, quiet.option_trades("BTC", NOW_MS - DAY_MS, NOW_MS).height
    )
    assert older == of_option == {"trades": [], "has_more": False}


@pytest.mark.parametrize(("host", "most"), [("www", 1_000), ("history", 10_000)])
def test_more_than_a_host_gives_is_refused(opened, host, most):
    ask = {"currency": "BTC", "kind": "option"}
    client = opened()

    assert client.trades("by_currency", host, **ask, count=most)["trades"]
    for count in (0, most + 1):
        assert client.trades("by_currency", host, **ask, count=count)["code"] == -32602


@pytest.mark.parametrize("currency", ["BTC", "ETH", "USDC"])
def test_a_currency_with_routed_spot_needs_a_kind(opened, currency):
    client = opened()

    assert client.trades("by_currency", currency=currency)["code"] == 11060
    assert client.trades("by_currency", currency=currency, kind="any")["code"] == 11060
    assert client.trades("by_currency", currency=currency, kind="future")["trades"] == []
    assert client.trades("by_currency", currency="EURR")["trades"] == []


def test_ten_come_where_no_count_is_given_the_newest_first(opened, quiet):
    rows = opened().trades("by_currency", "www", currency="BTC", kind="option")["trades"]

    truth = quiet.option_trades("BTC", NOW_MS - DAY_MS, NOW_MS)
    assert [row["trade_id"] for row in rows] == truth["trade_id"].to_list()[-10:][::-1]


def test_the_history_host_is_five_seconds_late(opened, quiet):
    last = quiet.option_trades("BTC", NOW_MS - DAY_MS, NOW_MS).row(-1, named=True)
    ask = {"instrument_name": last["instrument_name"], "count": 1}
    early, later = (
        opened(now=moment).trades("by_instrument", **ask)["trades"]
        for moment in ("2025-10-18T00:00:00", "2025-10-18T00:00:05")
    )

    assert last["timestamp"] < NOW_MS
    late_by = NOW_MS - last["timestamp"]
    assert (early[0]["trade_seq"] == last["trade_seq"]) is (late_by > 5_000)
    assert later[0]["trade_seq"] == last["trade_seq"]


def test_a_liquidation_is_not_told_within_an_hour(opened, quiet):
    then = milliseconds("2025-10-17T12:00")
    trades = quiet.option_trades("BTC", then - 5 * DAY_MS, then)
    one = trades.filter(pl.col("liquidation").is_not_null()).row(-1, named=True)
    asked = (
        {"method": "by_instrument_and_time", "instrument_name": one["instrument_name"]},
        {"method": "by_currency_and_time", "currency": "BTC", "kind": "option"},
    )
    for ask in asked:
        window = {"start_timestamp": one["timestamp"], "end_timestamp": one["timestamp"]}
        told = []
        for after in (3_599_999, 3_600_000):
            moment = pl.from_epoch(pl.Series([one["timestamp"] + after]), "ms")[0].isoformat()
            rows = opened(now=moment).trades(**ask, **window)["trades"]
            mine = [x for x in rows if x["trade_id"] == one["trade_id"]]
            told += [x.get("liquidation") for x in mine]

        assert told == [None, one["liquidation"]]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("by_instrument", {"instrument_name": "BTC-27JUN25-100001-C"}, -32602),
        ("by_instrument", {"instrument_name": "BTC-27JUN25-100000-C", "start_seq": "one"}, -32602),
        ("by_instrument_and_time", {"instrument_name": OPTION}, -32602),
        (
            "by_instrument_and_time",
            {"instrument_name": OPTION, "start_timestamp": 2, "end_timestamp": 1},
            11029,
        ),
        ("by_currency", {"currency": "DOGE", "kind": "option"}, -32602),
        ("by_currency", {"currency": "BTC", "kind": "options"}, -32602),
        ("by_currency", {"currency": "BTC", "kind": "option", "start_id": "BTC-x"}, -32602),
        ("by_currency", {"currency": "BTC", "kind": "option", "sorting": "up"}, -32602),
    ],
)
def test_what_is_wrong_is_refused(opened, method, params, code):
    assert opened().trades(method, **params)["code"] == code


def test_an_option_has_a_record_of_its_own(opened):
    answer = opened().send(
        "GET", "/history/api/v2/public/get_instrument", params={"instrument_name": OPTION}
    )
    record = answer.json()["result"]

    assert (record["strike"], record["option_type"], record["state"]) == (
        100_000, "call", "archivized",
    )  # fmt: skip
