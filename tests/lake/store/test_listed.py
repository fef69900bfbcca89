"""A lake whose store keeps what it listed, and the same lake on a disk."""

import pytest

from lake.partition import Partition
from lake.paths import LEDGER, TOPS, Lake, open_lake
from lake.store.files import entries, folders
from lake.store.place import place_of
from lake.verify import verify
from lake.write import publish_bytes
from tests.objects.server import KEYS
from tests.objects.wire import wired

ONE, OTHER = (Partition("perpetuals_ohlcv", name, "2024") for name in ("A", "B"))


@pytest.fixture
def wire(object_server, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with wired(object_server.port) as wire:
        yield wire


@pytest.fixture
def lake(object_server, wire):
    bucket = object_server.bucket()
    lake = open_lake(
        place_of(f"s3://{bucket}", endpoint=wire.address, region="us-east-1"), create=True
    )
    publish_bytes(b"rows", lake.clean(ONE))
    publish_bytes(b"{}", lake.ledger(ONE))
    wire.requests.clear()
    return lake


def test_a_lake_on_a_disk_is_itself(tmp_path):
    lake = Lake(tmp_path)
    assert lake.listed("clean") is lake


def test_what_is_listed_at_once_is_asked_for_once(lake, wire):
    listed = lake.listed(*TOPS, LEDGER)
    assert [*listed.partitions()] == [ONE]
    assert listed.files("perpetuals_ohlcv") == [lake.clean(ONE)]
    assert listed.datasets() == ["perpetuals_ohlcv"]
    assert listed.clean(ONE).exists()
    assert listed.clean(ONE).stat().st_size == 4
    assert wire.counted() == {"LIST": 3}


def test_what_comes_after_the_listing_is_there(lake, wire):
    listed = lake.listed(*TOPS)
    publish_bytes(b"rows", lake.clean(OTHER))
    assert listed.clean(OTHER).exists()
    assert wire.counted("B/2024")["HEAD"] >= 1


def test_what_is_written_through_it_is_listed(lake):
    listed = lake.listed("clean")
    publish_bytes(b"more", listed.clean(OTHER))
    assert listed.files("perpetuals_ohlcv") == [lake.clean(ONE), lake.clean(OTHER)]
    listed.clean(OTHER).unlink()
    assert listed.files("perpetuals_ohlcv") == [lake.clean(ONE)]


def test_folders_and_files_are_those_of_the_store(lake):
    listed = lake.listed("")
    for name in ("", "clean", "clean/perpetuals_ohlcv", "none"):
        there, kept = (one.root.joinpath(name) for one in (lake, listed))
        assert folders(kept) == folders(there)
        assert [*entries(kept)] == [*entries(there)]


def test_an_object_without_bytes_is_corrupt(lake):
    publish_bytes(b"", lake.clean(ONE))
    publish_bytes(b"{}", lake.ledger(ONE))
    assert [fault.is_corrupt for fault in verify(lake)] == [True]
