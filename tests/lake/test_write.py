import errno
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import DiskFullError, NotWritableError
from lake.store.files import free_bytes
from lake.write import (
    ROW_GROUP_ROWS,
    disk_errors,
    publish_batches,
    publish_bytes,
    publish_table,
    remove_leftovers,
)

ROOT = Path(__file__).parents[2]


def table(rows):
    """Candles with a price that does not compress to nothing."""
    price = np.random.default_rng(0).random(rows)
    stamps = pa.array(np.arange(rows) * 60_000_000, pa.timestamp("us", tz="UTC"))
    names = pa.array(["BTC-PERPETUAL"] * rows)
    return pa.table({"timestamp": stamps, "instrument": names, "close": price})


def rechunked(whole, sizes):
    cuts = np.cumsum([0, *sizes]).tolist()
    parts = [whole.slice(a, b - a) for a, b in zip(cuts, cuts[1:], strict=False)]  # noqa: RUF007
    return pa.concat_tables([*parts, whole.slice(cuts[-1])])


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def in_process(code, *args, **options):
    """Run code in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **options
    )


def test_what_is_published_reads_back(tmp_path):
    publish_table(table(3), tmp_path / "a" / "b.parquet")

    assert pq.read_table(tmp_path / "a" / "b.parquet").equals(table(3))
    assert files(tmp_path / "a") == ["b.parquet"]


def test_publishing_replaces_the_file_and_leaves_open_readers_the_old_one(tmp_path):
    path = tmp_path / "x"
    publish_bytes(b"old", path)

    with path.open("rb") as reader:
        publish_bytes(b"new", path)
        assert (reader.read(), path.read_bytes()) == (b"old", b"new")


def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.parquet"
    publish_table(table(3), path)
    before = path.read_bytes()

    def batches():
        yield from table(3).to_batches()
        message = "cut"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="cut"):
        publish_batches(batches(), table(3).schema, path, level=3)
    assert path.read_bytes() == before
    assert files(tmp_path) == ["x.parquet"]


def test_a_keyboard_interrupt_leaves_nothing_behind(tmp_path):
    def batches():
        yield table(1).to_batches()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_batches(batches(), table(1).schema, tmp_path / "x.parquet", level=3)
    assert files(tmp_path) == []


FULL = """
import resource, sys
from pathlib import Path
from tests.lake.test_write import table
from lake.errors import DiskFullError
from lake.write import publish_batches, publish_bytes, publish_table
path, kind = Path(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    if kind == "bytes":
        publish_bytes(bytes(200_000), path)
    elif kind == "table":
        publish_table(table(100_000), path)
    else:
        publish_batches(table(100_000).to_batches(1_000), table(1).schema, path, 3)
except DiskFullError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["bytes", "table", "batches"])
def test_a_file_that_may_not_grow_is_a_full_disk_and_the_old_one_stays(tmp_path, kind):
    path = tmp_path / "x"
    publish_bytes(b"old", path)

    done = in_process(FULL, path, kind)

    assert done.stdout.startswith("no space left on the disk that holds"), done.stderr
    assert done.returncode == 0
    assert (path.read_bytes(), files(tmp_path)) == (b"old", ["x"])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_is_a_full_disk(tmp_path, code):
    with pytest.raises(DiskFullError), disk_errors(tmp_path):
        raise OSError(code, os.strerror(code))


def test_a_folder_that_cannot_be_made_is_not_writable(tmp_path):
    publish_bytes(b"", tmp_path / "file")

    with pytest.raises(NotWritableError, match=r"cannot write .*/file/x: "):
        publish_bytes(b"", tmp_path / "file" / "x")


READ_ONLY = """
import os, sys
from pathlib import Path
from lake.errors import NotWritableError
from lake.write import publish_bytes
if os.getuid() == 0:
    os.setuid(65534)  # the rights of a folder mean nothing to root
try:
    publish_bytes(b"new", Path(sys.argv[1]))
except NotWritableError as error:
    print(error)
"""


def test_a_folder_without_the_right_to_write_is_not_writable(tmp_path):
    folder = tmp_path / "lake"
    publish_bytes(b"old", folder / "x")
    folder.chmod(0o555)

    done = in_process(READ_ONLY, folder / "x")

    folder.chmod(0o755)
    assert (done.stdout.startswith("cannot write "), done.returncode) == (True, 0), done.stderr
    assert (folder / "x").read_bytes() == b"old"


def test_floats_are_split_times_packed_and_strings_kept_in_a_dictionary(tmp_path):
    publish_table(table(1_000), tmp_path / "x.parquet")

    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(3)}
    assert "DELTA_BINARY_PACKED" in encodings["timestamp"]
    assert "RLE_DICTIONARY" in encodings["instrument"]
    assert "BYTE_STREAM_SPLIT" in encodings["close"]
    assert {group.column(i).compression for i in range(3)} == {"ZSTD"}


@pytest.mark.parametrize(
    ("first", "minutes", "groups"),
    [
        (0, 5 * 1_440, [2 * 1_440, 2 * 1_440, 1_440]),
        (1_000, 3 * 1_440, [440 + 1_440, 1_440 + 1_000]),
    ],
)
def test_row_groups_by_day_cut_no_day_in_two(tmp_path, first, minutes, groups):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=first + number) for number in range(minutes)]
    times = pa.table({"timestamp": pa.array(moments, pa.timestamp("us", tz="UTC"))})

    publish_table(times, tmp_path / "x.parquet", row_group=2 * 1_440 + 100, by_day="timestamp")

    data = pq.read_metadata(tmp_path / "x.parquet")
    found = [data.row_group(number) for number in range(data.num_row_groups)]
    days = [
        {one.column(0).statistics.min.date(), one.column(0).statistics.max.date()} for one in found
    ]
    assert [one.num_rows for one in found] == groups
    assert pq.read_table(tmp_path / "x.parquet").equals(times)
    assert len(set.union(*days)) == sum(map(len, days))


def test_a_day_of_more_rows_than_a_group_is_cut(tmp_path):
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    times = pa.table({"timestamp": pa.array([moment] * 7, pa.timestamp("us", tz="UTC"))})

    publish_table(times, tmp_path / "x.parquet", row_group=3, by_day="timestamp")

    data = pq.read_metadata(tmp_path / "x.parquet")
    assert [data.row_group(i).num_rows for i in range(data.num_row_groups)] == [3, 3, 1]


def test_row_groups_have_one_size(tmp_path):
    publish_table(table(ROW_GROUP_ROWS + 1), tmp_path / "x.parquet")

    data = pq.read_metadata(tmp_path / "x.parquet")
    rows = [data.row_group(i).num_rows for i in range(data.num_row_groups)]
    assert rows == [ROW_GROUP_ROWS, 1]


@given(sizes=st.lists(st.integers(0, 40), max_size=6))
def test_the_bytes_do_not_depend_on_how_the_rows_are_chunked(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("chunks")
    publish_table(table(300), folder / "whole")

    publish_table(rechunked(table(300), sizes), folder / "chunked")

    assert (folder / "whole").read_bytes() == (folder / "chunked").read_bytes()


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    for name in ("x.parquet.tmp", "y.parquet", "z.json"):
        (tmp_path / name).write_bytes(b"")

    remove_leftovers(tmp_path)

    assert files(tmp_path) == ["y.parquet", "z.json"]


def test_leftovers_of_a_folder_that_does_not_exist_are_none(tmp_path):
    remove_leftovers(tmp_path / "nowhere")

    assert files(tmp_path) == []


def test_free_space_is_known_before_the_folder_is_made(tmp_path):
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_columns_are_written_as_they_are_asked_for(tmp_path):
    path = tmp_path / "x.parquet"
    encodings = {"close": "DICTIONARY", "instrument": "PLAIN"}
    publish_table(table(9), path, row_group=4, encodings=encodings, statistics=("timestamp",))

    with pq.ParquetFile(path) as file:
        groups, group = file.metadata.num_row_groups, file.metadata.row_group(0)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(3)}
    assert groups == 3
    assert "RLE_DICTIONARY" in columns["close"].encodings
    assert "RLE_DICTIONARY" not in columns["instrument"].encodings
    assert "DELTA_BINARY_PACKED" in columns["timestamp"].encodings
    assert [name for name, one in columns.items() if one.is_stats_set] == ["timestamp"]
    assert pq.read_table(path).equals(table(9))
