"""Names of instruments: every recorded one, and every one the grammar has, comes back the same."""

import contextlib
import json
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import UsageError
from etl.instruments.names import Name, parse_name, with_name_parts

RECORDED = Path(__file__).parents[4] / "shared" / "data"
needs_recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
EIGHT = time(8, tzinfo=UTC)
BODIES = (
    "rest_results_2026_09/instruments_option.json",
    "rest_results_2026_09/instruments_future.json",
    "rest_results_2026_09/combo_ids.json",
    "rest_results_2026_09/combos.json",
)

words = st.from_regex(r"[A-Z][A-Z0-9]{1,6}", fullmatch=True)
moments = st.dates(date(2000, 1, 1), date(2099, 12, 31)).map(
    lambda day: datetime.combine(day, EIGHT)
)
strikes = st.one_of(
    st.integers(0, 10**7).map(Decimal),
    st.integers(1, 10**6).map(lambda n: Decimal(n).scaleb(-4)),
)
strategies = st.sampled_from(["CS", "PS", "CCAL", "STRG", "STRD", "BOX", "RR", "CDIAG", "ICOND"])
names = st.one_of(
    st.builds(Name, st.just("perpetual"), words, st.none() | words),
    st.builds(Name, st.just("spot"), words, words),
    st.builds(Name, st.just("future"), words, st.none() | words, moments),
    st.builds(
        Name, st.just("option"), words, st.none() | words, moments, strikes,
        st.sampled_from(["call", "put"]),
    ),
    st.builds(
        Name, st.just("future_combo"), words, strategy=st.just("FS"),
        expiries=st.tuples(moments, st.none() | moments),
    ),
    st.builds(
        Name, st.just("option_combo"), words, st.none() | words, strategy=strategies,
        expiries=st.lists(moments, min_size=1, max_size=3).map(tuple),
        strikes=st.lists(strikes, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(Name, st.just("option_combo"), words, number=st.integers(0, 10**6)),
)  # fmt: skip


@given(names)
def test_a_name_says_what_it_was_made_of(name):
    assert parse_name(str(name)) == name


@given(st.text(max_size=30) | st.from_regex(r"BTC-[0-9A-Z_d-]{1,20}", fullmatch=True))
def test_any_text_is_a_name_that_comes_back_or_is_refused(text):
    result = text
    with contextlib.suppress(UsageError):
        result = str(parse_name(text))

    assert result == text


@given(st.lists(names, min_size=1, max_size=20))
def test_a_column_of_names_says_the_same_as_one_at_a_time(names):
    rows = with_name_parts(pl.DataFrame({"instrument": [str(name) for name in names]}))

    assert rows["name_kind"].to_list() == [name.kind for name in names]
    assert rows["base"].to_list() == [name.base for name in names]
    assert rows["counter"].to_list() == [name.counter for name in names]
    assert rows["option_type"].to_list() == [name.option_type for name in names]
    strikes = [None if name.strike is None else float(name.strike) for name in names]
    assert rows["strike"].to_list() == strikes
    assert rows["expiry"].to_list() == [name.expiry for name in names]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTC-PERPETUAL", Name("perpetual", "BTC")),
        ("SOL_USDC-PERPETUAL", Name("perpetual", "SOL", "USDC")),
        ("BTC-3JAN25", Name("future", "BTC", None, datetime(2025, 1, 3, 8, tzinfo=UTC))),
        (
            "XRP_USDC-30JUN23-0d625-C",
            Name(
                "option", "XRP", "USDC", datetime(2023, 6, 30, 8, tzinfo=UTC), Decimal("0.625"),
                "call",
            ),
        ),
        ("BTC_USDC", Name("spot", "BTC", "USDC")),
        (
            "BTC-FS-27DEC24_PERP",
            Name(
                "future_combo", "BTC", strategy="FS",
                expiries=(datetime(2024, 12, 27, 8, tzinfo=UTC), None),
            ),
        ),
        ("BTC-COMBO-1", Name("option_combo", "BTC", number=1)),
    ],
)  # fmt: skip
def test_a_kind_of_name(text, expected):
    assert parse_name(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "BTC", "btc-perpetual", "BTC-03JAN25", "BTC-31FEB24", "BTC-3JAN2025", "BTC-27DEC24-1-X",
        "BTC-27DEC24-007-C", "BTC-27DEC24-1.5-C", "BTC-PERPETUAL\n", "BTC-27DEC24-100000", "BTC-",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_by_name(text):
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        parse_name(text)


def test_in_a_column_what_is_no_name_says_nothing():
    rows = with_name_parts(pl.DataFrame({"instrument": ["BTC-31FEB24", "x", "BTC-1MAR24"]}))

    assert rows["name_kind"].to_list() == [None, None, "future"]
    assert rows["base"].to_list() == [None, None, "BTC"]


@needs_recorded
def test_every_recorded_option_from_2016_to_2023_comes_back():
    text = (RECORDED / "option_names_2016_2023" / "instrument_names.csv").read_text()
    recorded = [line.strip() for line in text.splitlines() if line.strip()]

    assert len(recorded) > 10_000
    assert [str(parse_name(name)) for name in recorded] == recorded
    assert set(with_name_parts(pl.DataFrame({"instrument": recorded}))["name_kind"]) == {"option"}


@needs_recorded
@pytest.mark.parametrize("path", BODIES)
def test_every_recorded_instrument_comes_back_and_is_of_its_kind(path):
    body = json.loads((RECORDED / path).read_text())
    for one in body:
        record = {"instrument_name": one} if isinstance(one, str) else one
        text = record.get("instrument_name") or record["id"]
        name = parse_name(text)
        assert str(name) == text
        if "kind" in record:
            assert name.kind.removeprefix("perpetual") in {record["kind"], ""}
        if name.expiry and "expiration_timestamp" in record:
            assert name.expiry.timestamp() * 1000 == record["expiration_timestamp"]
        if name.strike is not None and "strike" in record:
            assert float(name.strike) == record["strike"]


@needs_recorded
def test_every_name_in_recorded_sessions_comes_back():
    found = set()
    for path in [
        *RECORDED.glob("ws_session_2021_07/*"),
        *RECORDED.glob("rest_and_ws_fixtures/**/*"),
    ]:
        if path.is_file():
            text = path.read_text(errors="ignore")
            found |= set(re.findall(r'"instrument_name": ?"([^"]+)"', text))

    assert len(found) > 100
    assert [str(parse_name(name)) for name in sorted(found)] == sorted(found)
