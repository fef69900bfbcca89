import msgspec
import pytest

from etl.backfill.replay import replay
from etl.check.status import statuses
from etl.instruments.lists import staged_listing
from etl.sources.funding_rates import FUNDING_RATES
from lake import raw
from lake.errors import CorruptFileError, PartitionBusyError
from lake.ledger import read_record
from lake.lock import locked
from lake.publish import publish
from lake.verify import set_aside, verify
from tests.etl.staged import (
    BTC,
    MINUTES,
    PARTITION,
    RULES,
    START,
    attempt,
    chart,
    envelope,
    folded,
    lake_of,
    minutes,
)

LISTING = {
    "instrument_name": BTC,
    "kind": "future",
    "creation_timestamp": START,
    "settlement_period": "perpetual",
    "tick_size": 0.5,
}


@pytest.fixture
def lake(tmp_path):
    """A lake with ten minutes, one of them bad, published."""
    first = attempt(chart(minutes(*range(10)), low=[100.0] * 9 + [101.0]))
    lake = lake_of(tmp_path, first, attempt(chart(minutes(3), close=[100.0])))
    listing = attempt(envelope([LISTING]), (0, 0))
    raw.stage([listing], lake.raw("get_instruments", currency="any", kind="future"))
    publish(lake, PARTITION, folded(lake))
    return lake


def again(lake, *datasets):
    return list(replay(lake, datasets or [MINUTES], RULES, count=1))


def contents(lake):
    return {
        path.relative_to(lake.root): path.read_bytes()
        for top in ("clean", "quarantine")
        for path in (lake.root / top).glob("**/*.parquet")
    }


def test_a_replay_rebuilds_the_same_bytes(lake):
    before = contents(lake)
    assert len(before) == 2

    ((partition, record),) = again(lake)

    assert (partition, record.rows, record.quarantined) == (PARTITION, 9, 1)
    assert contents(lake) == before


def test_a_replay_rebuilds_what_is_gone(lake):
    before, ledger = contents(lake), read_record(lake, PARTITION)
    for path in (lake.clean(PARTITION), lake.quarantine(PARTITION), lake.ledger(PARTITION)):
        path.unlink()

    again(lake)

    rebuilt = read_record(lake, PARTITION)
    assert contents(lake) == before
    assert msgspec.structs.replace(rebuilt, provisional=(), gaps=()) == msgspec.structs.replace(
        ledger, provisional=(), gaps=()
    )


@pytest.mark.parametrize("damaged", ["clean", "quarantine", "ledger"])
def test_what_is_damaged_and_set_aside_is_restored(lake, damaged):
    before = contents(lake)
    getattr(lake, damaged)(PARTITION).write_bytes(b"damaged")
    faults = [fault for fault in verify(lake) if fault.is_corrupt]

    for fault in faults:
        set_aside(lake, fault)
    again(lake)

    assert len(faults) == 1
    assert list(verify(lake)) == []
    assert contents(lake) == before


def test_a_raw_segment_set_aside_leaves_a_lake_that_knows_what_it_lacks(lake):
    folder = MINUTES.raw_folder(lake, PARTITION)
    (folder / raw.segments(folder)[0]).write_bytes(b"damaged")
    with pytest.raises(CorruptFileError, match=raw.segments(folder)[0]):
        again(lake)

    for fault in [one for one in verify(lake) if one.is_corrupt]:
        set_aside(lake, fault)
    assert [status.verdict for status in statuses(lake)] == ["UNKNOWN"]
    again(lake)

    assert read_record(lake, PARTITION).rows == 1
    assert [status.verdict for status in statuses(lake)] == ["INCOMPLETE"]


def test_leftovers_of_a_killed_run_are_removed(lake):
    left = MINUTES.raw_folder(lake, PARTITION) / "1-x.parquet.tmp"
    left.write_bytes(b"half")

    again(lake)

    assert not left.exists()


def test_a_partition_somebody_writes_is_not_replayed(lake):
    with locked(lake, [PARTITION]), pytest.raises(PartitionBusyError, match=str(PARTITION)):
        again(lake)


def test_partitions_are_known_by_their_raw_folders(lake):
    listing = staged_listing(lake)

    assert list(MINUTES.staged(lake, listing)) == [PARTITION]
    assert list(FUNDING_RATES.staged(lake, listing)) == []
    assert again(lake, FUNDING_RATES) == []
