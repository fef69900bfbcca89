"""What a collector asks of a bucket every hour, however many days it holds."""

from collections import Counter

import pytest

from etl.snapshots.fold import refresh_all
from lake.paths import open_lake
from lake.store.place import place_of
from tests.etl.snapshots.heard import hear
from tests.etl.snapshots.test_ticker_messages import told
from tests.objects.server import KEYS, REGION
from tests.objects.wire import wired

DAY = 86_400_000


@pytest.fixture
def wire(object_server):
    with wired(object_server.port) as wire:
        yield wire


@pytest.fixture
def lake(object_server, wire, tmp_path, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    address = f"s3://{object_server.bucket()}/lake"
    root = place_of(address, endpoint=wire.address, region=REGION, work_dir=tmp_path)
    return open_lake(root, create=True)


def test_looking_for_what_is_to_be_folded_lists_no_day_by_itself(lake, wire):
    counted = []
    for days in (2, 3):
        for day in range(days):
            hear(lake, "ticker", told((10 * days + day) * DAY))
        assert len(refresh_all(lake)) == days
        wire.requests.clear()
        assert refresh_all(lake) == []
        counted.append(Counter(one.kind for one in wire.requests)["LIST"])

    assert counted[0] == counted[1]


def test_settling_a_journal_lists_nothing_of_other_days(lake, wire):
    hear(lake, "ticker", told(0))
    wire.requests.clear()
    hear(lake, "ticker", told(DAY))

    prefixes = [one.query["prefix"][0] for one in wire.requests if one.kind == "LIST"]
    assert sorted(prefixes) == [
        "lake/raw/socket/",
        "lake/raw/socket/family=ticker/day=2025-06-16/",
    ]
