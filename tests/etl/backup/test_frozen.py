import os
import shutil
import threading
import time

import pytest

from etl.backup import frozen as module
from etl.backup.frozen import LAKE, frozen
from lake import raw
from lake.errors import NotWritableError
from lake.journal import read_journal
from lake.lock import locked
from lake.paths import Lake
from lake.publish import publish
from lake.read import checksum_of
from lake.verify import verify
from lake.write import publish_bytes
from tests.etl.backup.lakes import digests, filled
from tests.etl.staged import MINUTE, MINUTES, PARTITION, START, attempt, chart, folded, minutes


@pytest.fixture
def lake(tmp_path):
    return filled(tmp_path / "lake")


def test_what_is_frozen_is_the_lake_without_locks_and_leftovers(lake):
    publish_bytes(b"no rows", lake.root / "empty" / "funding_rates" / "empty.parquet")
    before = digests(lake.root)
    (lake.root / "clean" / "half.tmp").write_bytes(b"half")
    with locked(lake, [PARTITION]), frozen(lake) as tree:
        assert digests(tree.root / LAKE) == before
        assert not list((tree.root / LAKE).rglob("*.lock"))
        assert tree.files == sum(1 for one in (tree.root / LAKE).rglob("*") if one.is_file())
        assert (tree.copied, tree.doubted) == (0, [])
    assert not [one for one in tree.root.rglob("*") if one.is_file()]


def test_a_folder_that_the_lake_has_no_more_is_not_in_the_next_one(lake):
    with frozen(lake):
        pass
    shutil.rmtree(lake.root / "journal")
    lake.clean(PARTITION).unlink()
    with frozen(lake) as tree:
        top = tree.root / LAKE
        assert not (top / "journal").exists()
        assert not Lake(top).clean(PARTITION).parent.exists()
        assert Lake(top).ledger(PARTITION).exists()


def test_links_take_no_room_and_no_folder_that_the_lake_has_not(lake):
    with frozen(lake) as tree:
        top = tree.root / LAKE
        (clean,) = (top / "clean" / "perpetuals_ohlcv" / "BTC-PERPETUAL").iterdir()
        assert clean.samefile(lake.clean(PARTITION))
        assert not (top / "derived" / "perpetuals_ohlcv").exists()


def test_what_is_published_meanwhile_is_not_in_it(lake):
    before = checksum_of(lake.clean(PARTITION))
    with frozen(lake) as tree:
        republish(lake)
        assert checksum_of(lake.clean(PARTITION)) != before
        assert checksum_of(Lake(tree.root / LAKE).clean(PARTITION)) == before
        assert not list(verify(Lake(tree.root / LAKE)))


def grown(lake, count=11):
    """What the partition amounts to with so many minutes, the last of them fetched now."""
    start, end = START + (count - 1) * MINUTE, START + count * MINUTE
    new = attempt(chart(minutes(count - 1)), (start, end))
    raw.stage([new], MINUTES.raw_folder(lake, PARTITION))
    return folded(lake, (START, end))


def republish(lake, count=11):
    publish(lake, PARTITION, grown(lake, count))


def test_a_line_never_vouches_for_other_rows_however_fast_they_change(lake):
    stop = threading.Event()

    def write():
        count = 10
        while not stop.is_set():
            republish(lake, count := count + 1)
            raw.merge(MINUTES.raw_folder(lake, PARTITION), at_least=4)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        deadline = time.monotonic() + 60
        while len(seen) < 6 and time.monotonic() < deadline:
            with frozen(lake) as tree:
                there = Lake(tree.root / LAKE)
                faults = list(verify(there))
                seen.add(checksum_of(there.clean(PARTITION)))
                ids = raw.read(MINUTES.raw_folder(there, PARTITION))["attempt_id"].to_pylist()
            assert tree.doubted or not faults
            assert len(ids) >= 2
    finally:
        stop.set()
        writer.join()
    assert len(seen) == 6  # it was written all the while


def test_no_attempt_is_missed_while_segments_are_merged(lake, monkeypatch):
    folder = MINUTES.raw_folder(lake, PARTITION)
    for number in range(12):
        raw.stage([attempt(chart(minutes(number)))], folder)
    every = set(raw.read(folder)["attempt_id"].to_pylist())
    link, calls = os.link, []

    def merging(source, target, **options):
        if str(folder) in str(source) and not calls:
            calls.append(source)
            raw.merge(folder, at_least=2)  # all that was listed is gone, this one too
        return link(source, target, **options)

    monkeypatch.setattr("os.link", merging)
    with frozen(lake) as tree:
        there = MINUTES.raw_folder(Lake(tree.root / LAKE), PARTITION)
        assert set(raw.read(there)["attempt_id"].to_pylist()) == every
    assert calls


def test_rows_newer_than_their_line_are_looked_at_until_the_line_is_there(lake, monkeypatch):
    content = grown(lake)
    line = lake.ledger(PARTITION).read_bytes()
    publish(lake, PARTITION, content)
    after = lake.ledger(PARTITION).read_bytes()
    lake.ledger(PARTITION).write_bytes(line)  # as between the two steps of a publication
    os.utime(lake.ledger(PARTITION), (1, 1))

    def publish_rest(_seconds):
        lake.ledger(PARTITION).write_bytes(after)

    monkeypatch.setattr(module.time, "sleep", publish_rest)
    with frozen(lake) as tree:
        assert not list(verify(Lake(tree.root / LAKE)))
        assert tree.doubted == []


def test_rows_whose_line_does_not_come_are_doubted(lake, monkeypatch):
    content = grown(lake)
    line = lake.ledger(PARTITION).read_bytes()
    publish(lake, PARTITION, content)
    lake.ledger(PARTITION).write_bytes(line)
    os.utime(lake.ledger(PARTITION), (1, 1))
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    with frozen(lake) as tree:
        assert tree.doubted == [PARTITION]


def test_a_journal_that_grows_is_whole_up_to_where_it_was(lake):
    with frozen(lake) as tree:
        (journal,) = (tree.root / LAKE / "journal").iterdir()
        assert sum(batch.num_rows for batch in read_journal(journal)) == 1


def test_where_nothing_can_be_linked_files_are_copied(lake, monkeypatch):
    def refused(*_args, **_options):
        raise PermissionError

    before = digests(lake.root)
    monkeypatch.setattr("os.link", refused)
    with frozen(lake) as tree:
        assert digests(tree.root / LAKE) == before
        assert tree.copied == tree.files


def test_what_stands_where_the_tree_goes_is_one_line(lake):
    (lake.root / "backup").write_text("no folder")
    with pytest.raises(NotWritableError, match="cannot write"), frozen(lake):
        pass
