from pathlib import Path

import pyarrow as pa
import pytest

from lake.errors import DiskFullError, NotWritableError
from lake.scratch import Scratch

ROWS = pa.table({"a": [1.0, None], "b": ["x", "y"]})


def test_pieces_read_back_as_one_table_in_order(tmp_path):
    with Scratch(tmp_path / "new") as scratch:
        for piece in (ROWS, ROWS.slice(0, 0), ROWS.slice(1)):
            scratch.add(piece)
        table = scratch.table()

    assert table.equals(pa.concat_tables([ROWS, ROWS.slice(1)]))


def test_no_file_of_a_scratch_can_be_seen_or_is_left(tmp_path):
    with Scratch(tmp_path) as scratch:
        scratch.add(ROWS)
        assert list(tmp_path.iterdir()) == []
        table = scratch.table()

    assert (list(tmp_path.iterdir()), table.num_rows) == ([], 2)


def test_a_table_of_a_scratch_takes_no_memory_of_arrows(tmp_path):
    with Scratch(tmp_path) as scratch:
        for _ in range(20):
            scratch.add(pa.table({"a": pa.array(range(50_000), pa.int64())}))
        before = pa.total_allocated_bytes()
        table = scratch.table()

    assert table.nbytes == 20 * 50_000 * 8
    assert pa.total_allocated_bytes() - before < 100_000


def test_a_scratch_of_nothing_is_refused(tmp_path):
    with Scratch(tmp_path) as scratch, pytest.raises(ValueError, match="no piece was added"):
        scratch.table()


def test_a_scratch_where_nothing_can_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(NotWritableError, match="file"):
        Scratch(tmp_path / "file" / "below")


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    piece = pa.table({"a": ["x" * 100_000]})
    with Scratch(tmp_path) as scratch, Path("/dev/full").open("wb", buffering=0) as full:
        own = scratch._file  # noqa: SLF001  (a disk cannot be filled here)
        monkeypatch.setattr(scratch, "_file", full)
        with pytest.raises(DiskFullError, match="no space left"):
            scratch.add(piece)
        own.close()
