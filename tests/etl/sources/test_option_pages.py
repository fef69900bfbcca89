"""Pages of option trades: read at once where plain, row by row where not, and never half."""

import json

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.sources import option_pages
from etl.sources.option_trades import OPTION_TRADES, transform
from lake.span import Span
from validators.contract import split
from validators.schemas.option_trades import OptionTrades

AT = 1_717_200_003_046  # 2024-06-01
TRADE = {
    "timestamp": AT, "instrument_name": "BTC-4JUN24-51000-C", "trade_seq": 243,
    "trade_id": "965935595", "price": 0.0285, "amount": 0.3, "direction": "sell",
    "contracts": 0.3, "tick_direction": 3, "iv": 46.54, "mark_price": 0.02870996,
    "index_price": 51972.96,
}  # fmt: skip


def result(*rows, **members):
    return msgspec.Raw(json.dumps({"trades": rows, "has_more": False, **members}).encode())


def body(*rows, **members):
    return b'{"jsonrpc":"2.0","result":' + bytes(result(*rows, **members)) + b"}"


def kept(*rows, currency="BTC"):
    """Rows after decode, transform and contract: those that stay, and why others do not."""
    return kept_of(body(*rows), currency)


def kept_of(text, currency="BTC"):
    """The same of a page as it was sent."""
    page = option_pages.decode(text).with_columns(attempt=pl.lit(0, pl.UInt32))
    frame = transform(page.lazy(), currency).collect()
    refused = frame.filter(pl.col("refused").is_not_null())["refused"].to_list()
    split_ = split(frame.filter(pl.col("refused").is_null()).drop("refused"), OptionTrades)
    return split_.valid, refused + split_.rejected["failed_check"].to_list()


def test_a_trade_is_kept_with_every_member_and_its_volatility_as_a_fraction():
    block = {
        "liquidation": "MT", "block_trade_id": "BLOCK-423", "block_trade_leg_count": 2,
        "block_rfq_id": "17", "combo_id": "BTC-CS-4JUN24-51000_52000", "combo_trade_id": "9",
        "starbase_match_id": 227538549002481664, "starbase_timestamp": 1789939017544100459,
    }  # fmt: skip

    valid, refused = kept(TRADE | block)

    (row,) = valid.to_dicts()
    renamed = {"instrument": TRADE["instrument_name"], "iv": 0.4654, "other": None}
    expected = {**TRADE, **block, **renamed}
    assert refused == []
    assert {name: row[name] for name in row if name not in {"timestamp", "attempt"}} == {
        name: expected[name] for name in expected if name not in {"timestamp", "instrument_name"}
    }
    assert row["timestamp"].timestamp() * 1000 == AT


@pytest.mark.parametrize("trade", [TRADE, TRADE | {"price": "0.0285"}])
@pytest.mark.parametrize(("sent", "read"), [(True, True), (False, False), (None, False)])
def test_a_page_keeps_whether_it_says_that_there_are_more(trade, sent, read):
    assert option_pages.decode(body(trade, has_more=sent))["has_more"].to_list() == [read]


def test_members_nobody_knows_yet_are_kept_as_json():
    valid, _ = kept(TRADE | {"new_member": {"a": [1]}, "newer": None})

    assert json.loads(valid["other"][0]) == {"new_member": {"a": [1]}, "newer": None}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"timestamp": float(AT)}, {}),
        ({"trade_seq": 2.43e2}, {}),
        ({"price": 1, "amount": 3e-1}, {"price": 1.0}),
        ({"trade_id": 965935595}, {}),
        ({"block_rfq_id": 17}, {"block_rfq_id": "17"}),
        ({"combo_trade_id": 244365193.0}, {"combo_trade_id": "244365193"}),
        ({"iv": None, "mark_price": None}, {"iv": None, "mark_price": None}),
    ],
)
def test_numbers_in_other_forms_are_the_same_numbers(sent, read):
    valid, refused = kept(TRADE | sent)

    assert refused == []
    assert valid.select(*read).row(0, named=True) == read if read else len(valid) == 1


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"price": "0.0285"}, "price:type"),
        ({"price": "cheap"}, "price:type"),
        ({"trade_seq": "243"}, "trade_seq:type"),
        ({"timestamp": str(AT)}, "timestamp:type"),
        ({"direction": 1}, "direction:type"),
        ({"amount": True}, "amount:type"),
        ({"index_price": "51972.96", "iv": "46.54"}, "iv:type,index_price:type"),
        ({"price": 0}, "price:positive"),
        ({"amount": -1.0}, "amount:positive"),
        ({"direction": "up"}, "direction:isin(('buy', 'sell'))"),
        ({"trade_seq": 0}, "trade_seq:greater_than_or_equal_to(1)"),
        ({"instrument_name": "BTC-PERPETUAL"}, "instrument:no_option"),
        ({"instrument_name": "nonsense"}, "instrument:no_option"),
        ({"instrument_name": "ETH-4JUN24-4000-C"}, "instrument:other_currency"),
        ({"instrument_name": "BTC-31MAY24-51000-C"}, "timestamp:after_expiry"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_itself_with_the_reason(sent, reason):
    valid, refused = kept(TRADE | sent, TRADE | {"trade_seq": 244})

    assert (valid["trade_seq"].to_list(), refused) == ([244], [reason])


@pytest.mark.parametrize(
    ("member", "number", "reasons"),
    [
        ("price", "1e400", ["price:finite"]),
        ("amount", "9" * 400, ["amount:type"]),
        ("starbase_match_id", str(2**64 - 1), ["starbase_match_id:type"]),
        ("unknown", "1e400", []),
    ],
)
def test_a_number_too_large_to_hold_is_refused_with_its_row(member, number, reasons):
    text = body(TRADE | {member: "HERE"}).replace(b'"HERE"', number.encode())

    assert kept_of(text)[1] == reasons


@pytest.mark.parametrize("member", ["trade_seq", "timestamp"])
def test_a_page_with_a_key_too_large_to_hold_is_refused(member):
    page = result(TRADE | {member: 10**30})

    with pytest.raises(msgspec.ValidationError, match=f"a trade without a {member} that can be"):
        option_pages.check(page)


def test_a_row_that_lacks_what_every_trade_has_is_refused():
    without = {name: value for name, value in TRADE.items() if name != "price"}

    assert kept(without)[1] == ["price:not_nullable"]


def test_before_2019_a_volatility_may_be_a_fraction():
    early = {"timestamp": 1_500_000_000_000, "instrument_name": "BTC-28JUL17-2000-C"}

    valid, refused = kept(TRADE | early | {"iv": 0.7549}, TRADE | early | {"iv": 75.49})

    assert (valid["iv"].to_list(), refused) == ([0.7549, 0.7549], [])


def test_the_first_options_of_all_traded_until_fifteen_hours():
    first = {"instrument_name": "BTC-15JUL16-660-C", "timestamp": 1_468_594_800_000 - 1}

    assert kept(TRADE | first)[1] == []
    assert kept(TRADE | first | {"timestamp": 1_468_594_800_000 + 60_000})[1] == [
        "timestamp:after_expiry"
    ]


@pytest.mark.parametrize(
    "page",
    [
        b"[]", b"{}", b'{"trades":null}', b'{"trades":[1]}', b'{"trades":[{}]}',
        b'{"trades":[{"timestamp":1,"trade_seq":1}]}',
        b'{"trades":[{"timestamp":1.5,"trade_seq":1,"instrument_name":"X"}]}',
        b'{"trades":[{"timestamp":1,"trade_seq":"one","instrument_name":"X"}]}',
    ],
)  # fmt: skip
def test_what_is_no_page_of_trades_is_refused_whole(page):
    with pytest.raises(msgspec.ValidationError):
        option_pages.check(msgspec.Raw(page))


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False),
    st.text(max_size=8), st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*TRADE, "liquidation", "x"]), values))
def test_whatever_a_row_holds_it_is_kept_or_refused_and_the_next_one_is_read(odd):
    rows = [TRADE | odd, TRADE | {"trade_seq": 244}]
    try:
        option_pages.check(result(*rows))
    except msgspec.ValidationError:
        return

    valid, refused = kept(*rows)

    assert len(valid) + len(refused) == 2
    assert 244 in valid["trade_seq"].to_list()


def params(window):
    return OPTION_TRADES.params("BTC", window, 0)


def page_at(*moments, has_more=False):
    rows = [TRADE | {"timestamp": ms, "trade_seq": n + 1} for n, ms in enumerate(moments)]
    return option_pages.check(result(*rows, has_more=has_more))


def test_the_next_page_begins_at_the_last_moment_of_this_one_however_it_is_sorted():
    window = Span(AT, AT + 1_000)
    onward = OPTION_TRADES.onward

    assert onward(params(window), page_at(AT, AT + 9, AT + 3), window) is None
    following = onward(params(window), page_at(AT, AT + 9, AT + 3, has_more=True), window)
    assert following["start_timestamp"] == AT + 9
    # A page that says there is more and brings nothing new ends it: that is a lie.
    assert onward(following, page_at(AT + 9, has_more=True), window) is None
    assert onward(following, page_at(has_more=True), window) is None


def test_a_full_page_of_one_millisecond_is_passed_over():
    window = Span(AT, AT + 1_000)
    full = page_at(*[AT] * 10_000)

    assert OPTION_TRADES.onward(params(window), full, window)["start_timestamp"] == AT + 1
    short = Span(AT, AT + 1)
    assert OPTION_TRADES.onward(params(short), full, short) is None
