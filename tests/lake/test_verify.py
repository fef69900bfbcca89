import threading
import time

import polars as pl
import pyarrow as pa
import pytest

from lake import raw
from lake.ledger import Record, write_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.verify import set_aside, verify, verify_partitions
from lake.write import publish_bytes, publish_table

PARTITION = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")
ROWS = pa.table({"close": [1.0, 2.0, 3.0]})


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    publish_table(ROWS, lake.clean(PARTITION))
    publish_table(ROWS, lake.quarantine(PARTITION))
    write_record(lake, PARTITION, Record(rows=3, checksum=checksum(ROWS)))
    sent = raw.Attempt(
        attempt_id="1", fetched_at=1, host="", params="", window_start=0, window_end=1, outcome="ok"
    )
    raw.stage([sent], lake.raw("get_x", year=2024))
    return lake


def segment(lake):
    return next(lake.raw("get_x", year=2024).iterdir())


PLACES = {
    "raw": segment,
    "quarantine": lambda lake: lake.quarantine(PARTITION),
    "clean": lambda lake: lake.clean(PARTITION),
    "ledger": lambda lake: lake.ledger(PARTITION),
}


def test_a_sound_lake_has_no_fault(lake):
    assert list(verify(lake)) == []


def test_no_lake_has_no_fault(tmp_path):
    assert list(verify(Lake(tmp_path / "none"))) == []


@pytest.mark.parametrize("look", [verify, lambda lake: verify_partitions(lake, [PARTITION])])
def test_whoever_is_between_rows_and_their_line_is_no_fault(lake, look):
    rows = pa.table({"close": [1.0, 2.0, 3.0, 4.0]})
    has_begun = threading.Event()

    def publishes():
        with locked(lake, [PARTITION]):
            publish_table(rows, lake.clean(PARTITION))
            has_begun.set()
            time.sleep(0.5)
            write_record(lake, PARTITION, Record(rows=4, checksum=checksum(rows)))

    other = threading.Thread(target=publishes)
    other.start()
    has_begun.wait()

    assert list(look(lake)) == []
    other.join()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda _: b"", lambda _: b"x" * 99])
def test_damage_is_found_wherever_it_is(lake, place, damage):
    path = PLACES[place](lake)
    path.write_bytes(damage(path.read_bytes()))

    assert [(fault.path, fault.is_corrupt) for fault in verify(lake)] == [(path, True)]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_set_aside_keeps_its_bytes_and_is_no_fault_any_more(lake, place):
    path = PLACES[place](lake)
    path.write_bytes(b"damaged")
    (fault,) = verify(lake)

    there = set_aside(lake, fault)

    assert there == lake.root / "quarantine/files" / path.relative_to(lake.root).with_name(
        path.name + ".corrupt"
    )
    assert (there.read_bytes(), path.exists()) == (b"damaged", False)
    assert not any(fault.is_corrupt for fault in verify(lake))


def test_readable_rows_that_are_not_those_of_the_ledger_are_a_fault(lake):
    publish_table(ROWS.slice(1), lake.clean(PARTITION))

    (fault,) = verify(lake)
    assert (fault.path, fault.is_corrupt) == (lake.clean(PARTITION), False)
    assert "run `replay`" in fault.reason


def test_rows_written_anew_with_texts_of_another_type_are_a_fault_and_no_traceback(lake):
    path = next(iter(lake.root.glob("clean/*/*/*.parquet")))
    named = pl.read_parquet(path).with_columns(instrument=pl.lit("BTC-PERPETUAL"))
    named.write_parquet(path)  # polars writes texts as large ones

    faults = verify(lake)

    assert [fault.path for fault in faults] == [path]


def test_a_file_that_is_gone_is_a_fault(lake):
    lake.clean(PARTITION).unlink()

    assert [fault.path for fault in verify(lake)] == [lake.clean(PARTITION)]


def test_a_file_no_ledger_vouches_for_is_a_fault(lake):
    lake.ledger(PARTITION).unlink()

    assert [(fault.path, fault.is_corrupt) for fault in verify(lake)] == [
        (lake.clean(PARTITION), False)
    ]


def test_a_ledger_of_a_newer_version_is_a_fault_but_not_corrupt(lake):
    publish_bytes(b'{"format": 99}', lake.ledger(PARTITION))

    assert [(fault.path, fault.is_corrupt) for fault in verify(lake)] == [
        (lake.ledger(PARTITION), False)
    ]


def test_segments_that_are_merged_while_others_are_read_are_no_fault(lake):
    def stage(method, name):
        sent = raw.Attempt(
            attempt_id=name,
            fetched_at=1,
            host="",
            params="",
            window_start=0,
            window_end=1,
            outcome="ok",
        )
        return raw.stage([sent], lake.raw(method, year=2024))

    stage("get_x", "2")
    damaged = stage("get_a", "3")  # it is read first
    damaged.write_bytes(damaged.read_bytes()[:-1])

    faults = verify(lake)
    first = next(faults)
    raw.merge(lake.raw("get_x", year=2024), at_least=2)

    assert list(faults) == []
    assert first.path == damaged
    assert set_aside(lake, first) is not None
    assert set_aside(lake, first) is None  # as where a writer removed it first
