import json

import pytest

from lake.errors import LakeFormatError, NotWritableError
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import FORMAT, MARKER, Lake, open_lake

PARTITION = Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")


def test_every_file_of_a_partition_has_its_place(tmp_path):
    lake = Lake(tmp_path)

    places = [lake.clean, lake.quarantine, lake.ledger, lake.lock]

    tail = "perpetuals_ohlcv/BTC-PERPETUAL/2024"
    assert [str(place(PARTITION).relative_to(tmp_path)) for place in places] == [
        f"clean/{tail}.parquet",
        f"quarantine/{tail}.parquet",
        f"ledger/{tail}.json",
        f"ledger/{tail}.lock",
    ]


def test_raw_lies_in_folders_named_by_its_keys(tmp_path):
    folder = Lake(tmp_path).raw("get_x", instrument="BTC-PERPETUAL", year=2024)

    assert folder == tmp_path / "raw/get_x/instrument=BTC-PERPETUAL/year=2024"


def test_a_lake_is_made_with_its_format(tmp_path):
    open_lake(tmp_path / "a" / "b", create=True)

    assert json.loads((tmp_path / "a" / "b" / MARKER).read_text()) == {"format": FORMAT}


def test_opening_a_lake_to_read_makes_nothing(tmp_path):
    assert open_lake(tmp_path / "none") == Lake(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_opening_a_lake_again_changes_nothing(tmp_path):
    open_lake(tmp_path, create=True)
    before = (tmp_path / MARKER).stat().st_mtime_ns

    open_lake(tmp_path, create=True)

    assert (tmp_path / MARKER).stat().st_mtime_ns == before


def test_a_lake_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / MARKER).write_text(json.dumps({"format": FORMAT + 1}))

    with pytest.raises(LakeFormatError, match=f"has format {FORMAT + 1}, written by a newer"):
        open_lake(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"null", b'{"format": null}', b'{"format": "x"}', b"\xff\xfe"]
)
def test_a_marker_that_says_no_format_is_refused(tmp_path, data):
    (tmp_path / MARKER).write_bytes(data)

    with pytest.raises(LakeFormatError, match="does not say the lake's format"):
        open_lake(tmp_path)


def test_a_root_that_is_a_file_is_not_writable(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotWritableError, match="cannot write"):
        open_lake(tmp_path / "file" / "lake", create=True)


def test_partitions_come_sorted_and_strangers_are_passed_over(tmp_path):
    lake = Lake(tmp_path)
    years = [Partition("b", "x", "2024"), Partition("a", "y", "2023"), Partition("a", "y", "2022")]
    for one in years:
        write_record(lake, one, Record())
    (tmp_path / "ledger/a/y/notes.json").write_text("{}")

    assert list(lake.partitions()) == sorted(years)
    assert list(lake.partitions("b")) == years[:1]


def test_a_partition_is_named_by_its_three_words():
    assert str(PARTITION) == "perpetuals_ohlcv BTC-PERPETUAL 2024"


def test_partitions_of_any_period_are_listed(tmp_path):
    lake = Lake(tmp_path)
    periods = ("2024", "2024-05", "2024-05-17", "all")
    mixed = [Partition("option_trades", "BTC", period) for period in periods]
    for one in mixed:
        write_record(lake, one, Record())

    assert sorted(lake.partitions("option_trades")) == mixed


def test_a_partition_has_a_period_of_the_calendar():
    with pytest.raises(ValueError, match="'2024-13' is no period"):
        Partition("option_trades", "BTC", "2024-13")
