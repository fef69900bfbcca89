from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from validators.contract import check, check_key, key_of, split
from validators.errors import ContractError
from validators.schemas.candles import candles_model
from validators.schemas.funding_rates import FundingRates
from validators.schemas.futures_basis import FuturesBasis
from validators.schemas.futures_curve import FuturesCurve
from validators.schemas.instruments import Instruments

MINUTE = candles_model("1")
START = datetime(2024, 2, 29, 7, 59, tzinfo=UTC)
NUMBERS = ("open", "high", "low", "close", "volume", "cost")
TYPES = {"timestamp": pl.Datetime("us", "UTC")} | dict.fromkeys(NUMBERS, pl.Float64)


def candles(*rows):
    """Rows of open, high, low, close, volume, cost; a minute apart."""
    times = [START + timedelta(minutes=i) for i in range(len(rows))]
    columns = dict(zip(NUMBERS, zip(*rows, strict=True), strict=True)) if rows else {}
    data = {"timestamp": times, "instrument": ["BTC-PERPETUAL"] * len(rows), **columns}
    return pl.DataFrame(data, schema_overrides=TYPES)


GOOD = (100.0, 110.0, 95.0, 105.0, 3.0, 310.0)
FILLER = (105.0, 105.0, 105.0, 105.0, 0.0, 0.0)
OFF_BAR = (105.0, 105.0, 105.0, 105.0, 3.0, 999.0)


def test_good_rows_pass_untouched():
    frame = candles(GOOD, FILLER, OFF_BAR)

    cut = split(frame, MINUTE)

    assert_frame_equal(cut.valid, frame)
    assert cut.rejected.is_empty()
    assert cut.rejected.columns == [*frame.columns, "failed_check"]


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        ((100.0, 99.0, 95.0, 98.0, 3.0, 310.0), "high_is_highest"),
        ((100.0, 110.0, 101.0, 105.0, 3.0, 310.0), "low_is_lowest"),
        ((100.0, 110.0, 95.0, 105.0, -1.0, 310.0), "volume:not_negative"),
        ((100.0, 110.0, 0.0, 105.0, 3.0, 310.0), "low:positive"),
        ((100.0, float("inf"), 95.0, 105.0, 3.0, 310.0), "high:finite"),
        ((100.0, 110.0, 95.0, 105.0, float("nan"), 310.0), "volume:not_nullable,volume:finite"),
        ((100.0, 110.0, 95.0, 105.0, 3.0, None), "cost:not_nullable"),
        ((100.0, 90.0, 95.0, 105.0, -3.0, -1.0), None),
    ],
)
def test_a_bad_row_is_rejected_with_every_failed_check(row, failed):
    cut = split(candles(GOOD, row, FILLER), MINUTE)

    several = "volume:not_negative,cost:not_negative,high_is_highest"
    assert cut.rejected["failed_check"].to_list() == [failed or several]
    assert_frame_equal(cut.valid, candles(GOOD, row, FILLER)[[0, 2]])


def test_a_row_off_the_grid_is_rejected():
    frame = candles(GOOD, GOOD)

    cut = split(frame, candles_model("1D"))

    assert cut.rejected["failed_check"].to_list() == ["timestamp:on_grid"]
    assert cut.valid["timestamp"].to_list() == [START + timedelta(minutes=1)]


def test_provenance_stays_with_its_rows():
    bad = (100.0, 99.0, 95.0, 98.0, 3.0, 310.0)
    frame = candles(GOOD, bad).with_columns(attempt_id=pl.Series(["a", "b"]))

    cut = split(frame, MINUTE)

    assert cut.valid["attempt_id"].to_list() == ["a"]
    assert cut.rejected["attempt_id"].to_list() == ["b"]


number = st.sampled_from([1.0, 2.0, 0.0, -1.0, float("nan"), float("inf"), None])


@settings(max_examples=40)
@given(st.lists(st.tuples(*[number] * 6), min_size=1, max_size=8))
def test_no_row_is_ever_lost(rows):
    frame = candles(*rows).with_row_index("row")

    cut = split(frame, MINUTE)

    assert sorted([*cut.valid["row"], *cut.rejected["row"]]) == list(range(len(rows)))
    assert (cut.rejected["failed_check"] != "").all()
    assert split(cut.valid, MINUTE).rejected.is_empty()


def test_an_empty_frame_is_split_into_two():
    cut = split(candles(GOOD).clear(), MINUTE)

    assert len(cut.valid) == len(cut.rejected) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop("high"), "column high is missing, expected Float64"),
        (
            lambda frame: frame.with_columns(pl.col("high").cast(pl.Int64)),
            "column high: expected Float64, found Int64",
        ),
        (
            lambda frame: frame.with_columns(pl.col("timestamp").dt.replace_time_zone(None)),
            "column timestamp: expected Datetime.*'UTC'.*found Datetime.*None",
        ),
    ],
)
def test_a_fault_of_the_frame_names_column_expected_and_found(change, message):
    with pytest.raises(ContractError, match=message):
        split(change(candles(GOOD)), MINUTE)


def test_a_published_frame_has_no_further_column():
    with pytest.raises(ContractError, match="column attempt_id is not expected"):
        check(candles(GOOD).with_columns(attempt_id=pl.lit(1)), MINUTE)


def test_a_published_frame_has_its_columns_in_order():
    with pytest.raises(ContractError, match="column instrument is out of order"):
        check(candles(GOOD).select("instrument", "timestamp", *NUMBERS), MINUTE)


def test_a_published_frame_holds_no_bad_row_and_the_message_shows_it():
    with pytest.raises(ContractError, match=r"1 rows break Candles_1.*\n.*high_is_highest"):
        check(candles(GOOD, (100.0, 99.0, 95.0, 98.0, 3.0, 310.0)), MINUTE)


@pytest.mark.parametrize("order", [[1, 0], [0, 0], [0, 1, 1]])
def test_a_published_frame_is_sorted_and_unique(order):
    with pytest.raises(ContractError, match="do not follow their predecessor"):
        check(candles(GOOD, FILLER)[order], MINUTE)


def test_two_instruments_may_share_a_time():
    both = pl.concat([candles(GOOD), candles(GOOD).with_columns(instrument=pl.lit("ETH-29MAR24"))])

    check(both, MINUTE)


def trades(*keys):
    """Rows of time in minutes, instrument and trade_seq."""
    frame = pl.DataFrame(keys, schema=["minute", "instrument", "trade_seq"], orient="row")
    time = START + pl.duration(minutes="minute")
    return frame.select(time.alias("timestamp"), "instrument", "trade_seq")


TRADE = ("timestamp", "instrument", "trade_seq")


def test_three_trades_of_one_millisecond_differ_by_their_sequence():
    frame = trades((0, "A", 7), (0, "A", 8), (0, "A", 10), (0, "B", 3), (1, "A", 1))

    check_key(frame, TRADE)
    with pytest.raises(ContractError, match=r"2 rows do not .* by timestamp, instrument;"):
        check_key(frame, TRADE[:2])


@pytest.mark.parametrize(
    "second", [(0, "A", 7), (0, "A", 6), (-1, "A", 8), (-1, "B", 8), (0, None, 8), (0, "A", None)]
)
def test_a_key_that_stays_falls_or_lacks_a_part_is_refused(second):
    with pytest.raises(
        ContractError, match=r"1 rows do not .* by timestamp, instrument, trade_seq"
    ):
        check_key(trades((0, "A", 7), second), TRADE)


def test_an_empty_frame_has_no_row_out_of_order():
    check_key(trades((0, "A", 7)).clear(), TRADE)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (MINUTE, ("timestamp", "instrument")),
        (FuturesBasis, ("instrument", "timestamp")),
        (FuturesCurve, ("timestamp", "underlying", "maturity_days")),
        (Instruments, ("instrument_id", "valid_from")),
    ],
)
def test_a_dataset_states_its_key_where_it_is_another_than_time_and_instrument(model, key):
    assert key_of(model) == key


def test_a_frame_is_held_to_the_key_of_its_own_dataset():
    point = {"timestamp": START, "underlying": "BTC", "carry": 0.05, "shorter": "a", "longer": "b"}
    frame = pl.DataFrame(
        [point | {"maturity_days": days, "status": "ok"} for days in (7.0, 30.0)],
        schema_overrides=TYPES,
    ).select(*FuturesCurve.to_schema().columns)

    check(frame, FuturesCurve)
    with pytest.raises(ContractError, match="by timestamp, underlying, maturity_days"):
        check(frame.reverse(), FuturesCurve)


def test_funding_is_of_perpetuals_and_on_the_hour():
    frame = pl.DataFrame(
        {
            "timestamp": [
                datetime(2024, 1, 1, 8, tzinfo=UTC),
                datetime(2024, 1, 1, 8, 1, tzinfo=UTC),
            ],
            "instrument": ["BTC-29MAR24", "BTC-PERPETUAL"],
            "index_price": [42_000.0, 42_000.0],
            "prev_index_price": [42_000.0, 0.0],
            "interest_1h": [1e-6, -1e-6],
            "interest_8h": [8e-6, float("inf")],
        },
        schema_overrides=TYPES,
    )

    assert split(frame, FundingRates).rejected["failed_check"].to_list() == [
        "instrument:str_endswith('-PERPETUAL')",
        "timestamp:on_grid,prev_index_price:positive,interest_8h:finite",
    ]
