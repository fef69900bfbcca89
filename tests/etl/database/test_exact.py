from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.catalog import find
from etl.database.exact import exact
from etl.database.parts import schema_of
from etl.errors import ExactError

SCHEMA = schema_of(find("perpetuals_ohlcv").model)
TYPES = [
    pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64(),
    pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(),
    pa.string_view(), pa.binary(), pa.date32(), pa.time64("us"), pa.duration("us"),
    pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"),
    pa.timestamp("ns", "UTC"), pa.timestamp("us", "Asia/Tokyo"), pa.decimal128(20, 4),
    pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.float64()), pa.null(),
]  # fmt: skip


@pytest.fixture
def candles():
    row = [datetime(2025, 1, 1, tzinfo=UTC), "BTC-PERPETUAL", 1.0, 2.0, 0.5, 1.5, 0.25, 0.375]
    return pa.table([[value] for value in row], schema=SCHEMA)


def replaced(table, name, column):
    return table.set_column(table.column_names.index(name), name, column)


def test_what_is_exact_already_passes_untouched(candles):
    assert exact(candles, SCHEMA).equals(candles)


def test_columns_are_put_in_order(candles):
    assert exact(candles.select(SCHEMA.names[::-1]), SCHEMA).equals(candles)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([3], pa.int64()), 3.0),
        (pa.array([2**53], pa.uint64()), float(2**53)),
        (pa.array([0.1], pa.float32()), 0.10000000149011612),
    ],
)
def test_numbers_a_double_holds_exactly_are_cast(candles, column, expected):
    assert exact(replaced(candles, "open", column), SCHEMA)["open"].to_pylist() == [expected]


def test_other_units_and_zones_are_the_same_moment(candles):
    tokyo = candles["timestamp"].cast(pa.timestamp("ns", "Asia/Tokyo"))

    assert exact(replaced(candles, "timestamp", tokyo), SCHEMA).equals(candles)


def test_names_may_come_as_categories(candles):
    coded = candles["instrument"].dictionary_encode()

    assert exact(replaced(candles, "instrument", coded), SCHEMA).equals(candles)


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        (
            "timestamp",
            pa.array([1_735_689_600_000_000]),
            "timestamp is int64, which is not exactly",
        ),
        ("timestamp", pa.array([datetime(2025, 1, 1)]), "timestamp is timestamp.us., which is not"),  # noqa: DTZ001
        ("timestamp", pa.array([1], pa.timestamp("ns", "UTC")), "a value that is not exactly"),
        ("open", pa.array([2**53 + 1]), "open holds a value that is not exactly double"),
        ("open", pa.array([None], pa.float64()), "open holds 1 nulls, expected none"),
        ("open", pa.array([float("nan")]), "open holds NaN"),
        ("open", pa.array(["1.0"]), "open is string, which is not exactly double"),
        ("open", pa.array([True]), "open is bool, which is not exactly double"),
        ("instrument", pa.array([7]), "instrument is int64, which is not exactly string"),
    ],
)
def test_what_cannot_be_cast_exactly_is_refused_by_name(candles, name, column, message):
    with pytest.raises(ExactError, match=message):
        exact(replaced(candles, name, column), SCHEMA)


@pytest.mark.parametrize("fault", ["missing", "unknown", "twice"])
def test_other_columns_are_refused(candles, fault):
    faulty = {
        "missing": candles.drop_columns(["low"]),
        "unknown": candles.append_column("extra", [[1]]),
        "twice": candles.append_column("low", [[1.0]]),
    }[fault]

    with pytest.raises(ExactError, match="expected columns"):
        exact(faulty, SCHEMA)


@given(st.data())
def test_whatever_comes_is_exact_or_refused(data):
    length = data.draw(st.integers(0, 3))
    kinds = data.draw(st.lists(st.sampled_from(TYPES), min_size=8, max_size=8))
    numbers = data.draw(st.lists(st.integers(0, 100), min_size=length, max_size=length))
    columns = [cast_or_null(numbers, kind) for kind in kinds]
    table = pa.table(dict(zip(SCHEMA.names, columns, strict=True)))
    try:
        made = exact(table, SCHEMA)
    except ExactError:
        return

    assert made.schema.equals(SCHEMA)
    for name in SCHEMA.names[2:]:
        assert made[name].to_pylist() == [float(number) for number in numbers]


def cast_or_null(numbers, kind):
    try:
        return pa.array(numbers, pa.int64()).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(numbers), kind)
