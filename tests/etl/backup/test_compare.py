"""What a restored lake and the one that lives differ in: newer, or wrong."""

import os
import shutil
from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from etl.backup.compare import compare_partitions, compare_raw
from lake.arrow import arrow
from lake.ledger import Record, read_record, write_record
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.read import checksum
from lake.write import publish_bytes, publish_table

BACKED_UP_S = datetime(2025, 3, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400
ONE, TWO = (Partition("perpetuals_ohlcv", name, "2025") for name in ("BTC-PERPETUAL", "ETH-PERP"))


def put(lake, partition, closes, days=-1):
    """Publish rows and their line, as if some days after the backup."""
    table = arrow(pl.DataFrame({"close": closes}))
    publish_table(table, lake.clean(partition))
    write_record(lake, partition, Record(rows=len(closes), checksum=checksum(table)))
    date(lake.ledger(partition), days)


def date(path, days):
    moment = BACKED_UP_S + days * DAY_S
    os.utime(path, (moment, moment))


def put_raw(lake, name, content, days=-1):
    path = lake.root / "raw/get_x" / name
    publish_bytes(content, path)
    date(path, days)
    return path


@pytest.fixture
def lakes(tmp_path):
    """Return a lake and its copy out of a backup."""
    lake = open_lake(tmp_path / "lake", create=True)
    put(lake, ONE, [1.0, 2.0])
    put(lake, TWO, [3.0])
    put_raw(lake, "a.parquet", b"one")
    put_raw(lake, "instrument=B/b.parquet", b"two")
    shutil.copytree(lake.root, tmp_path / "restored")
    return lake, Lake(tmp_path / "restored")


def partitions(lakes):
    return compare_partitions(*lakes, BACKED_UP_S)


def raw(lakes):
    return compare_raw(*lakes, BACKED_UP_S)


def test_a_copy_is_the_same(lakes):
    found = partitions(lakes)
    assert (found.same, found.rows, found.newer, found.faults) == (2, 3, [], [])
    assert (raw(lakes).same, raw(lakes).newer, raw(lakes).faults) == (2, [], [])


def test_what_was_revised_since_is_newer_and_no_fault(lakes):
    put(lakes[0], ONE, [1.0, 2.0, 2.5], days=1)
    found = partitions(lakes)
    assert (found.same, found.faults) == (1, [])
    assert found.newer[0].startswith(f"{ONE}: revised since, from 2 rows, checksum ")


def test_what_came_since_is_newer(lakes):
    new = Partition("perpetuals_ohlcv", "SOL-PERPETUAL", "2025")
    put(lakes[0], new, [1.0], days=1)
    found = partitions(lakes)
    assert (found.faults, [one.partition(":")[0] for one in found.newer]) == ([], [str(new)])


def test_what_came_while_the_backup_was_made_is_newer(lakes):
    new = Partition("perpetuals_ohlcv", "SOL-PERPETUAL", "2025")
    put(lakes[0], new, [1.0], days=-600 / DAY_S)
    assert partitions(lakes).faults == []
    date(lakes[0].ledger(new), -1000 / DAY_S)
    total = read_record(lakes[0], new).checksum[:12]
    (fault,) = partitions(lakes).faults
    assert fault == f"{new}: is not in the backup; the lake has 1 rows, checksum {total}"


def test_another_content_under_a_line_that_is_not_newer_is_a_fault(lakes):
    put(lakes[0], ONE, [1.0, 9.0])
    found = partitions(lakes)
    assert (found.same, found.newer) == (1, [])
    assert found.faults[0].endswith("and is not newer")


def test_what_the_lake_has_lost_is_a_fault(lakes):
    lakes[0].ledger(ONE).unlink()
    lakes[0].clean(ONE).unlink()
    assert [one.partition(", ")[0] for one in partitions(lakes).faults] == [
        f"{ONE}: the lake has lost it; the backup has 2 rows"
    ]


@pytest.mark.parametrize(("number", "where"), [(0, "in the lake"), (1, "in the backup")])
def test_a_file_that_is_not_what_its_line_says_is_a_fault(lakes, number, where):
    publish_table(arrow(pl.DataFrame({"close": [1.0, 2.5]})), lakes[number].clean(ONE))
    (fault,) = partitions(lakes).faults
    assert fault.startswith(f"{ONE}: {where}, its file has 2 rows, checksum ")


@pytest.mark.parametrize(("number", "where"), [(0, "in the lake"), (1, "in the backup")])
def test_a_file_that_is_gone_or_corrupt_is_a_fault(lakes, number, where):
    path = lakes[number].clean(ONE)
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{where}, {path} is corrupt" in partitions(lakes).faults[0]
    path.unlink()
    assert f"{where}, its file has 0 rows, checksum none" in partitions(lakes).faults[0]


def test_a_line_that_counts_other_rows_than_its_file_has_is_a_fault(lakes):
    record = read_record(lakes[1], ONE)
    write_record(lakes[1], ONE, msgspec.structs.replace(record, rows=3))
    (fault,) = partitions(lakes).faults
    assert fault.startswith(f"{ONE}: in the backup, its file has 2 rows, checksum ")


def test_a_line_that_cannot_be_read_is_a_fault(lakes):
    lakes[1].ledger(ONE).write_text("{")
    assert "in the backup" in partitions(lakes).faults[0]
    assert len(partitions(lakes).faults) == 1


def test_raw_that_came_since_is_newer(lakes):
    put_raw(lakes[0], "c.parquet", b"three", days=1)
    found = raw(lakes)
    assert (found.same, found.newer, found.faults) == (
        2,
        ["raw/get_x/c.parquet: came after the backup"],
        [],
    )


def test_raw_that_the_backup_lacks_is_a_fault(lakes):
    put_raw(lakes[0], "c.parquet", b"three")
    assert raw(lakes).faults == ["raw/get_x/c.parquet: is not in the backup"]


@pytest.mark.parametrize("days", [-1, 1])
def test_raw_that_differs_is_a_fault_even_where_it_is_newer(lakes, days):
    put_raw(lakes[0], "a.parquet", b"eno", days=days)
    assert raw(lakes).faults == ["raw/get_x/a.parquet: differs, and raw is never changed"]
    assert raw(lakes).same == 1


def test_raw_that_was_merged_since_is_newer_and_raw_that_is_lost_a_fault(lakes):
    (lakes[0].root / "raw/get_x/instrument=B/b.parquet").unlink()
    name = "raw/get_x/instrument=B/b.parquet"
    assert raw(lakes).faults == [f"{name}: the lake has lost it"]
    put_raw(lakes[0], "instrument=B/merged.parquet", b"two", days=1)
    found = raw(lakes)
    assert (f"{name}: was merged after the backup" in found.newer, found.faults) == (True, [])


def test_what_a_killed_writer_left_is_not_compared(lakes):
    put_raw(lakes[0], "d.parquet.tmp", b"half")
    assert (raw(lakes).same, raw(lakes).faults) == (2, [])
