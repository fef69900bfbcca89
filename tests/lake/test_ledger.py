import contextlib
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import CorruptFileError, LakeError, LakeFormatError
from lake.ledger import SETTLED, Gap, Reading, Reason, Record, read_record, records, write_record
from lake.partition import Partition
from lake.paths import FORMAT, Lake
from lake.span import Span

PARTITION = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")
moments = st.integers(-(2**53), 2**53)
maybe = st.none() | moments
counts = st.integers(0, 2**53)
gaps = st.builds(
    Gap, moments, moments, st.sampled_from(get_args(Reason)), counts, maybe, st.none() | st.text()
)
anything = st.builds(
    Record,
    wanted=st.lists(st.builds(Span, moments, moments), max_size=3).map(tuple),
    rows=counts,
    fillers=counts,
    first_ms=maybe,
    last_ms=maybe,
    checksum=st.none() | st.text(),
    quarantined=counts,
    attempts=counts,
    gaps=st.lists(gaps, max_size=4).map(tuple),
    provisional=st.lists(st.builds(Reading, moments, moments, moments), max_size=3).map(tuple),
    segments=st.lists(st.text(), max_size=3).map(tuple),
)


def written(root, data):
    lake = Lake(root)
    path = lake.ledger(PARTITION)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return lake


@given(record=anything)
def test_a_record_reads_back_as_it_was_written(tmp_path_factory, record):
    lake = Lake(tmp_path_factory.mktemp("lake"))

    write_record(lake, PARTITION, record)

    assert read_record(lake, PARTITION) == record
    assert list(records(lake)) == [(PARTITION, record)]


def test_where_no_ledger_is_there_is_no_record(tmp_path):
    assert read_record(Lake(tmp_path), PARTITION) is None
    assert list(records(Lake(tmp_path))) == []


def test_a_ledger_of_a_newer_version_is_refused_whatever_else_is_in_it(tmp_path):
    data = msgspec.json.encode({"format": FORMAT + 1, "wanted": "another shape"})

    with pytest.raises(LakeFormatError, match=f"has format {FORMAT + 1}; .* upgrade it"):
        read_record(written(tmp_path, data), PARTITION)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"format": "1"}', b'{"format": 1, "rows": "x"}', b"\xff"]
)
def test_what_is_no_ledger_is_a_corrupt_file_named(tmp_path, data):
    with pytest.raises(CorruptFileError, match=r"2024\.json is corrupt .* rebuilds it"):
        read_record(written(tmp_path, data), PARTITION)


@given(data=st.binary(max_size=60))
def test_random_bytes_end_in_our_errors_only(tmp_path_factory, data):
    lake = written(tmp_path_factory.mktemp("lake"), data)

    with contextlib.suppress(LakeError):
        assert isinstance(read_record(lake, PARTITION), Record)


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_flipped_byte_ends_in_our_errors_only(tmp_path_factory, place, byte):
    whole = Record(gaps=(Gap(0, 60, "outage", 2, 5, "https://…"),), wanted=(Span(0, 60),))
    data = bytearray(msgspec.json.encode(whole))
    data[int(place * len(data))] = byte
    lake = written(tmp_path_factory.mktemp("lake"), bytes(data))

    with contextlib.suppress(LakeError):
        assert isinstance(read_record(lake, PARTITION), Record)


def test_missing_rows_are_counted_by_reason():
    holes = (Gap(0, 120, "absent"), Gap(180, 240, "outage"), Gap(300, 360, "absent"))

    assert Record(gaps=holes).gap_rows(60) == {"absent": 3, "outage": 1}


@pytest.mark.parametrize("reason", get_args(Reason))
def test_a_record_is_complete_when_all_its_gaps_are_settled(reason):
    assert Record(gaps=(Gap(0, 60, reason),)).is_complete == (reason in SETTLED)


def test_a_record_without_gaps_is_complete():
    assert Record().is_complete


def test_a_ledger_is_text_people_can_read(tmp_path):
    write_record(Lake(tmp_path), PARTITION, Record(gaps=(Gap(0, 60, "absent"),)))

    assert '"reason": "absent"' in Lake(tmp_path).ledger(PARTITION).read_text()
