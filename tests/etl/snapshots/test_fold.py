"""Snapshots of chains: what is kept of an answer, what is set aside and why, and the same twice."""

import itertools
import random
from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from etl.snapshots.answers import check_chain, check_ticker
from etl.snapshots.fold import day_of, fold, is_folded, refresh, segments
from etl.snapshots.sent import CHAIN, TICKER, folder_of
from lake import raw
from lake.arrow import arrow
from lake.errors import CorruptFileError
from lake.partition import Partition
from lake.paths import open_lake
from lake.write import publish_table

NOW = int(datetime(2025, 6, 15, 5, 58, 19, tzinfo=UTC).timestamp() * 1000)
PARTITION = Partition("option_tickers", "BTC", "2025-06-15")
CALL, PUT = "BTC-27JUN25-100000-C", "BTC-27JUN25-100000-P"
_numbers = itertools.count(1)


def summary(name=CALL, **members):
    return {
        "instrument_name": name,
        "creation_timestamp": NOW,
        "bid_price": 0.061,
        "ask_price": None,
        "mark_price": 0.06214512,
        "mark_iv": 37.88,
        "underlying_price": 105390.25163184035,
        "underlying_index": "BTC-27JUN25",
        "estimated_delivery_price": 105383.56,
        "open_interest": 0.0,
        "volume": 0.0,
        **members,
    }


def ticker(name=CALL, **members):
    return {
        "instrument_name": name,
        "timestamp": NOW + 900,
        "best_bid_price": 0.0615,
        "best_bid_amount": 12.5,
        "best_ask_price": 0.0,
        "best_ask_amount": 0.0,
        "mark_price": 0.0622,
        "bid_iv": 36.5,
        "ask_iv": 0.0,
        "mark_iv": 37.9,
        "underlying_price": 105400.0,
        "index_price": 105390.0,
        "stats": {"volume": 3.0},
        "greeks": {"delta": 0.7, "gamma": 0.00002, "vega": 60.0, "theta": -80.0, "rho": 25.0},
        **members,
    }


def attempt(result, *, outcome="ok", heard_ms=NOW + 500, of_ms=0):
    number = next(_numbers)
    return raw.Attempt(
        attempt_id=f"{number:06}",
        fetched_at=heard_ms * 1000 + number,
        host="https://sim",
        params="{}",
        window_start=of_ms * 1000,
        window_end=of_ms * 1000,
        outcome=outcome,
        us_out=heard_ms * 1000,
        body=msgspec.json.encode({"jsonrpc": "2.0", "result": result}),
    )


def lake_of(root, *chains, tickers=()):
    lake = open_lake(root, create=True)
    for method, attempts in ((CHAIN, chains), (TICKER, tickers)):
        for one in attempts:
            raw.stage([one], folder_of(lake, method, "BTC", day_of(one)))
    return lake


def folded(root, *rows, tickers=()):
    """Return the rows of one chain that are kept, and those set aside."""
    asked = [attempt(one, of_ms=NOW) for one in tickers]
    content = fold(lake_of(root, attempt(rows), tickers=asked), PARTITION)
    return pl.DataFrame(content.rows), pl.DataFrame(content.rejected)


def test_a_row_has_what_its_name_says_fractions_and_nulls_where_there_is_no_quote(tmp_path):
    kept, aside = folded(tmp_path, summary(bid_price=0.0, last=0.065))

    (row,) = kept.to_dicts()
    assert aside.is_empty()
    assert (row["instrument"], row["underlying"], row["option_type"]) == (CALL, "BTC", "call")
    assert (row["strike"], row["expiry"]) == (100_000.0, datetime(2025, 6, 27, 8, tzinfo=UTC))
    assert (row["bid_price"], row["ask_price"], row["last_price"]) == (None, None, 0.065)
    assert (row["mark_iv"], row["mark_price"]) == (0.3788, 0.06214512)
    assert (row["underlying_price"], row["index_price"]) == (105390.25163184035, 105383.56)
    assert (row["open_interest"], row["delta"], row["bid_iv"]) == (0.0, None, None)


def test_all_rows_of_a_chain_have_the_instant_of_its_newest_quote(tmp_path):
    kept, _ = folded(tmp_path, summary(), summary(PUT, creation_timestamp=NOW - 8))

    newest = datetime.fromtimestamp(NOW / 1000, UTC)
    assert kept["timestamp"].to_list() == [newest, newest]
    assert (kept["timestamp"] - kept["quoted_at"]).dt.total_milliseconds().to_list() == [0, 8]


def test_a_ticker_stands_for_the_row_of_its_chain(tmp_path):
    kept, aside = folded(tmp_path, summary(), summary(PUT), tickers=[ticker()])

    call, put = kept.to_dicts()
    assert aside.is_empty()
    assert call["timestamp"] == put["timestamp"]
    assert call["quoted_at"].microsecond == 900_000
    assert (call["bid_price"], call["bid_amount"], call["bid_iv"]) == (0.0615, 12.5, 0.365)
    assert (call["ask_price"], call["ask_amount"], call["ask_iv"]) == (None, None, None)
    assert (call["delta"], call["rho"], call["volume"]) == (0.7, 25.0, 3.0)
    assert (call["index_price"], call["mark_iv"]) == (105390.0, 0.379)
    assert (put["delta"], put["bid_price"]) == (None, 0.061)


def test_flat_marks_are_kept_as_they_are(tmp_path):
    kept, aside = folded(tmp_path, *(summary(name, mark_iv=80.0) for name in (CALL, PUT)))

    assert (kept["mark_iv"].to_list(), len(aside)) == ([0.8, 0.8], 0)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (summary("ETH-27JUN25-2500-C"), "instrument:other_currency"),
        (summary("BTC_USDC-27JUN25-90000-C"), "instrument:other_currency"),
        (summary("BTC-27JUN25"), "instrument:no_option"),
        (summary(CALL, bid_price="0.061"), "bid_price:type"),
        (summary(CALL, mark_iv=-1.0), "mark_iv:not_negative"),
        (summary(CALL, underlying_price=0.0), "underlying_price:positive"),
        (summary("BTC-15JUN25-100000-C", creation_timestamp=NOW - 61_000),
         "quoted_at:other_instant"),
        (summary("BTC-15JUN25-100000-C", creation_timestamp=NOW + 3 * 3_600_000),
         "quoted_at:other_instant"),
        (summary("BTC-14JUN25-100000-C"), "after_expiry"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_set_aside_with_the_reason_and_no_other_is(tmp_path, odd, reason):
    kept, aside = folded(tmp_path, summary(PUT), odd)

    assert kept["instrument"].to_list() == [PUT]
    assert aside["instrument"].to_list() == [odd["instrument_name"]]
    assert aside["failed_check"].to_list() == [reason]
    assert aside["attempt_id"].null_count() == 0


def test_of_an_option_that_comes_twice_neither_row_is_believed_unless_they_are_the_same(tmp_path):
    twice = [summary(CALL), summary(CALL, bid_price=0.05), summary(PUT), summary(PUT)]
    kept, aside = folded(tmp_path, *twice)

    assert kept["instrument"].to_list() == [PUT]
    assert aside["failed_check"].to_list() == ["came_twice", "came_twice"]


def test_a_ticker_that_breaks_the_contract_leaves_the_row_of_its_chain(tmp_path):
    kept, aside = folded(tmp_path, summary(), tickers=[ticker(best_bid_price=-0.1)])

    assert kept["bid_price"].to_list() == [0.061]
    assert aside["failed_check"].to_list() == ["bid_price:positive"]


def test_numbers_may_come_in_exponent_form(tmp_path):
    chain = attempt([summary()])
    body = chain.body.replace(str(NOW).encode(), f"{NOW / 1e12!r}e12".encode())
    lake = lake_of(tmp_path, msgspec.structs.replace(chain, body=body))

    assert fold(lake, PARTITION).rows.num_rows == 1


def test_an_answer_that_came_twice_is_one_snapshot(tmp_path):
    lake = lake_of(tmp_path, attempt([summary()]), attempt([summary()], heard_ms=NOW + 1_500))

    assert fold(lake, PARTITION).rows.num_rows == 1


def test_an_answer_without_a_usable_result_is_not_folded(tmp_path):
    lake = lake_of(tmp_path, attempt([summary()]), attempt([summary(PUT)], outcome="HTTP 500"))

    assert fold(lake, PARTITION).rows["instrument"].to_pylist() == [CALL]


def test_what_came_a_moment_before_midnight_is_of_that_day():
    midnight = int(datetime(2025, 6, 16, tzinfo=UTC).timestamp() * 1000)
    late = attempt([summary(creation_timestamp=midnight - 1)], heard_ms=midnight + 1_400)

    assert day_of(late) == "2025-06-15"
    assert day_of(attempt([], outcome="HTTP 500", heard_ms=midnight)) == "2025-06-16"
    assert day_of(attempt(ticker(), heard_ms=midnight, of_ms=midnight - 1)) == "2025-06-15"


def test_a_second_fold_changes_nothing_and_more_raw_is_seen(tmp_path):
    lake = lake_of(tmp_path, attempt([summary()]))
    first = refresh(lake, PARTITION)
    content = lake.clean(PARTITION).read_bytes()
    refresh(lake, PARTITION, anew=True)

    assert lake.clean(PARTITION).read_bytes() == content
    assert is_folded(first, segments(lake, PARTITION))
    by_other_rules = msgspec.structs.replace(first, judged=first.judged - 1)
    assert not is_folded(by_other_rules, segments(lake, PARTITION))
    raw.stage([attempt([summary(PUT)])], folder_of(lake, CHAIN, "BTC", PARTITION.period))
    assert not is_folded(first, segments(lake, PARTITION))
    assert refresh(lake, PARTITION).rows == 2


@pytest.mark.parametrize("seed", range(8))
def test_folded_as_it_comes_or_all_at_once_the_same_bytes_come_out(tmp_path, seed):
    dice = random.Random(seed)  # noqa: S311  (answers, not secrets)
    odd = [summary(bid_price="0"), summary("ETH-27JUN25-2500-C"), summary(mark_iv=-1.0)]
    came, instants = [], [NOW]
    for number in range(12):
        at = dice.choice([*instants, NOW + number * 60_000])
        instants.append(at)
        if dice.random() < 0.4:
            came.append((TICKER, attempt(ticker(timestamp=at + 900), of_ms=at)))
        else:
            rows = [summary(), summary(PUT), *dice.sample(odd, dice.randrange(3))]
            rows = [row | {"creation_timestamp": at, "volume": number} for row in rows]
            came.append((CHAIN, attempt(rows, heard_ms=at + 500)))
    lake = lake_of(tmp_path)
    for method, one in came:
        raw.stage([one], folder_of(lake, method, "BTC", PARTITION.period))
        record = refresh(lake, PARTITION)
    paths = [lake.clean(PARTITION), lake.quarantine(PARTITION), lake.ledger(PARTITION)]
    held = [path.read_bytes() if path.exists() else None for path in paths]

    assert refresh(lake, PARTITION, anew=True) == record
    assert [path.read_bytes() if path.exists() else None for path in paths] == held
    assert record.rows >= 2


def test_what_comes_later_is_added_to_what_is_held_without_reading_it_again(tmp_path):
    lake = lake_of(tmp_path, attempt([summary()]))
    first = refresh(lake, PARTITION)
    (path,) = folder_of(lake, CHAIN, "BTC", PARTITION.period).glob("*.parquet")
    path.write_bytes(b"no longer Parquet")
    late = attempt([summary(creation_timestamp=NOW + 60_000)], heard_ms=NOW + 60_500)
    raw.stage([late], path.parent)

    assert (first.rows, refresh(lake, PARTITION).rows) == (1, 2)
    with pytest.raises(CorruptFileError):
        refresh(lake, PARTITION, anew=True)


def test_what_is_held_and_was_altered_is_made_anew(tmp_path):
    lake = lake_of(tmp_path, attempt([summary()]))
    refresh(lake, PARTITION)
    held = pl.read_parquet(lake.clean(PARTITION))
    publish_table(arrow(held.with_columns(bid_price=pl.lit(9.0))), lake.clean(PARTITION))
    late = attempt([summary(creation_timestamp=NOW + 60_000)], heard_ms=NOW + 60_500)
    raw.stage([late], folder_of(lake, CHAIN, "BTC", PARTITION.period))
    refresh(lake, PARTITION)

    assert pl.read_parquet(lake.clean(PARTITION))["bid_price"].to_list() == [0.061, 0.061]


def judged(check, result):
    return check(msgspec.Raw(msgspec.json.encode(result)))


def test_a_chain_of_another_currency_is_refused_by_name():
    rows = [summary("ETH-27JUN25-2500-C"), summary("ETH-27JUN25-2500-P")]

    with pytest.raises(msgspec.ValidationError, match="settled in BTC, it sent ETH"):
        judged(check_chain("BTC"), rows)
    assert judged(check_chain("ETH"), rows) == 2


def test_an_empty_chain_and_one_whose_rows_have_no_name_are_refused():
    with pytest.raises(msgspec.ValidationError, match="settled in BTC, it sent an empty chain"):
        judged(check_chain("BTC"), [])
    with pytest.raises(msgspec.ValidationError, match="instrument_name"):
        judged(check_chain("BTC"), [{"creation_timestamp": NOW}])


def test_a_ticker_of_another_option_is_refused():
    with pytest.raises(msgspec.ValidationError, match=f"asked for {PUT}, it sent {CALL}"):
        judged(check_ticker(PUT), ticker(CALL))
