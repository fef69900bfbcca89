"""What goes wrong with trades on purpose: it does, it is repeatable, and it ends."""

import json

import polars as pl
import pytest

from tests.exchange import trade_faults
from tests.exchange.faults import ALL, PAGE_FAULTS, Faults, named
from tests.exchange.incidents import milliseconds
from tests.exchange.option_market import vices
from tests.exchange.option_market.test_pages import as_frame, walked

DAY_MS = 86_400_000
START = milliseconds("2024-06-03T08:00")
WINDOW = {"start_timestamp": START, "end_timestamp": START + DAY_MS - 1}
ASK = {"currency": "BTC", "kind": "option", "count": 1_000, "sorting": "asc"}
OPTION = "BTC-27JUN25-100000-C"


def pages(client, tries=6, **params):
    """The same page asked for again and again."""
    return [client.trades("by_currency_and_time", **ASK, **WINDOW, **params) for _ in range(tries)]


@pytest.fixture
def healthy(opened):
    return pages(opened(), tries=1)[0]


@pytest.mark.parametrize(
    "name",
    [name for name in (*trade_faults.NAMES, *PAGE_FAULTS) if name != "beyond"],  # it moves little
)
def test_a_page_is_healthy_at_last_and_not_before(opened, healthy, name):
    *bad, fifth, sixth = pages(opened(faults=name, every=True))

    assert all(page != healthy for page in bad)
    assert fifth == sixth == healthy


def test_inversions_are_many_and_between_neighbours(opened, healthy):
    page = pages(opened(faults="inversions", every=True), tries=1)[0]
    found = [row["trade_id"] for row in page["trades"]]
    truth = [row["trade_id"] for row in healthy["trades"]]

    assert sorted(found) == sorted(truth)
    moved = sum(a != b for a, b in zip(found, truth, strict=True))
    assert moved > len(truth) / 5
    assert all(abs(truth.index(one) - at) <= 1 for at, one in enumerate(found))


@pytest.mark.parametrize("seed", range(4))
def test_a_range_of_trade_seq_lacks_some_and_has_some_beyond(opened, seed):
    client = opened(faults="beyond", every=True, fault_seed=seed)
    page = client.trades(
        "by_instrument", instrument_name=OPTION, start_seq=11, end_seq=60, count=100
    )
    seqs = {row["trade_seq"] for row in page["trades"]}
    asked = set(range(11, 61))

    assert 1 <= len(seqs - asked) <= 4
    assert len(asked - seqs) == len(seqs - asked)


def test_numbers_may_be_texts_and_say_the_same(opened, healthy):
    page = pages(opened(faults="texts", every=True), tries=1)[0]
    texts = [row for row in page["trades"] if isinstance(row["price"], str)]

    assert 0 < len(texts) < len(page["trades"])
    for row, truth in zip(page["trades"], healthy["trades"], strict=True):
        assert float(row["price"]) == truth["price"]
        assert int(row["trade_seq"]) == truth["trade_seq"]


def test_the_page_of_another_currency_looks_like_one(opened):
    page = pages(opened(faults="other_currency", every=True), tries=1)[0]

    assert {row["instrument_name"][:3] for row in page["trades"]} == {"ETH"}


@pytest.mark.parametrize("name", ["silent", "relabelled", "misfiled", "off_grid", "twice"])
def test_lies_are_told_of_trades_too(opened, healthy, name):
    page = pages(opened(faults=name, every=True), tries=1)[0]

    assert page["trades"] != healthy["trades"]


@pytest.mark.parametrize("name", ["html_502", "rate_limit", "http_429"])
def test_answers_that_are_no_pages_meet_trades_too(opened, name):
    client = opened(faults=name, every=True)
    path = "/history/api/v2/public/get_last_trades_by_currency"
    answer = client.send("GET", path, params=ASK)

    try:
        body = json.loads(answer.content)
    except ValueError:
        body = {}
    assert "result" not in body


def test_numbers_in_exponent_form_say_the_same(opened, healthy):
    assert pages(opened(faults="exponent"), tries=1)[0] == healthy


def test_all_faults_meet_trades_and_every_window_ends_whole(opened, quiet):
    whole_bodies = ",".join(name for name in ALL if name != "cut_body")
    client = opened(faults=whole_bodies, fault_seed=3)
    start, found = START, {}
    for hour in range(60):
        window = {"start_timestamp": start + hour * 3_600_000,
                  "end_timestamp": start + (hour + 1) * 3_600_000 - 1}  # fmt: skip
        for _ in range(4):
            answer = client.send(
                "GET", "/history/api/v2/public/get_last_trades_by_currency_and_time",
                params=ASK | window,
            )  # fmt: skip
        found |= {row["trade_id"]: row for row in json.loads(answer.content)["result"]["trades"]}

    truth = quiet.option_trades("BTC", start, start + 60 * 3_600_000)
    assert as_frame(list(found.values())).equals(truth)
    assert set(client.exchange.faults.met) >= set(trade_faults.NAMES)


@pytest.mark.parametrize("name", [name for name in ALL if name not in {"revised", "maintenance"}])
def test_each_meets_some_first_requests_for_trades(name):
    faults = Faults(named("all"), 3)
    for number in range(3_000):
        faults.meet("public/get_last_trades_by_currency_and_time", {"start_timestamp": number})

    assert 0.03 * 3_000 < faults.met[name] < 0.08 * 3_000


@pytest.mark.parametrize("lose", [5, 50])
def test_what_is_lost_for_good_is_known_and_everything_else_is_sent(opened, quiet, lose):
    client = opened(lose=lose)
    sent = as_frame(walked(client, "BTC", START, START + DAY_MS - 1))
    truth = quiet.option_trades("BTC", START, START + DAY_MS)
    lost = client.exchange.market.lost_trades("BTC", START, START + DAY_MS)

    assert truth.height / lose / 2 < lost.height < truth.height / lose * 2
    assert sent.equals(truth.join(lost, on=lost.columns, how="anti", maintain_order="left"))
    assert client.exchange.market.option_trades("BTC", START, START + DAY_MS).equals(truth)
    for name, seq in lost.head(5).iter_rows():
        page = client.trades("by_instrument", instrument_name=name, start_seq=seq, end_seq=seq)
        assert page["trades"] == []


def month(client):
    return as_frame(walked(client, "BTC", START, START + 30 * DAY_MS - 1, count=10_000))


def test_a_restarted_option_counts_from_one_again(opened, quiet):
    client = opened(option_vices=frozenset({"restarted"}))
    truth = quiet.option_trades("BTC", START, START + 30 * DAY_MS)
    sent = month(client)
    differ = sent.with_row_index().filter(sent["trade_seq"] != truth["trade_seq"])

    assert differ.height > 0
    for name in differ["instrument_name"].unique():
        begins = vices.at_seq(name, "restarted")
        rows = client.trades("by_instrument", instrument_name=name, start_seq=1, end_seq=2)[
            "trades"
        ]
        assert vices.is_met(name, "restarted")
        assert len(rows) == min(begins, 2) + min(2, _made(quiet, name) - begins)


def _made(market, name):
    last = market.last_seqs("BTC").filter(pl.col("instrument_name") == name)
    return last["trade_seq"][0]


def test_two_trades_of_one_trade_seq_differ_in_price(opened, quiet):
    sent = month(opened(option_vices=frozenset({"two_trades"})))
    doubled = (
        sent.group_by("instrument_name", "trade_seq")
        .agg(pl.len(), pl.col("price").n_unique().alias("prices"))
        .filter(pl.col("len") > 1)
    )

    assert doubled.height > 0
    assert (doubled["len"] == 2).all()
    assert (doubled["prices"] == 2).all()
    assert (
        sent.height
        == quiet.option_trades("BTC", START, START + 30 * DAY_MS).height + doubled.height
    )


def test_a_late_trade_comes_after_the_expiry_of_its_option(opened, quiet):
    client = opened(option_vices=frozenset({"late"}))
    truth = quiet.option_trades("BTC", START, START + 30 * DAY_MS)
    late = month(client).join(truth, on=["instrument_name", "trade_seq"], how="anti")

    assert late.height > 0
    for name, ms, seq in late.select("instrument_name", "timestamp", "trade_seq").iter_rows():
        record = client.send(
            "GET", "/history/api/v2/public/get_instrument", params={"instrument_name": name}
        ).json()["result"]
        assert 30_000 <= ms - record["expiration_timestamp"] < 60_000
        assert seq == _made(quiet, name) + 1
        rows = client.trades("by_instrument", instrument_name=name, count=1)["trades"]
        assert rows[0]["timestamp"] == ms


def test_a_fault_of_trades_is_refused_under_another_name():
    with pytest.raises(
        ValueError, match=r"unknown fault 'inverions'; known are .*inversions.*late"
    ):
        named("inverions")
