import json
import shutil

import polars as pl
import pytest

from etl.check.status import statuses
from etl.config import Settings
from etl.errors import UsageError
from etl.mirror import rounds
from etl.mirror.place import Ends
from etl.pipeline import open_to_write
from etl.progress import LogProgress
from lake import raw
from lake.errors import CorruptFileError, LakeFormatError, PartitionBusyError, RefusedByStoreError
from lake.ledger import read_record
from lake.lock import locked
from lake.paths import FORMAT, Lake, Marker, open_lake, read_marker
from lake.publish import publish, withdraw
from lake.read import scan
from lake.verify import verify
from tests.etl.backup.lakes import ETH, OTHER, digests, filled
from tests.etl.staged import MINUTE, MINUTES, PARTITION, START, attempt, chart, folded, minutes
from tests.objects.server import READER

LINE = "ledger/perpetuals_ohlcv/ETH-PERPETUAL/2024.json"


def beside(lake):
    """The digests of the files of a lake, but what is of a machine alone."""
    found = digests(lake.root)
    return {name: one for name, one in found.items() if name.split("/")[0] != "copies"}


def revise(lake):
    """Let two minutes more of one partition come."""
    end = START + 12 * MINUTE
    page = attempt(chart(minutes(10, 11)), (START + 10 * MINUTE, end))
    raw.stage([page], MINUTES.raw_folder(lake, OTHER))
    publish(lake, OTHER, folded(lake, (START, end), partition=OTHER))


def test_a_copy_that_is_pulled_is_the_lake_that_was_pushed(lake, bucket, tmp_path):
    bucket.push(lake)
    back = bucket.pull(tmp_path / "back")

    assert beside(back) == beside(lake)
    assert list(verify(back)) == list(verify(bucket.at())) == []
    assert statuses(back) == statuses(lake)


def test_an_unchanged_lake_takes_a_listing_and_sends_nothing(lake, bucket, tmp_path):
    bucket.push(lake)
    back = bucket.pull(tmp_path / "back")

    pushed = bucket.passed(lambda: bucket.push(lake))
    pulled = bucket.passed(lambda: bucket.pull(back.root))

    assert [one.kind for one in pushed] == ["LIST"]
    assert [one.kind for one in pulled] == ["GET", "LIST"]
    assert sum(one.sent for one in pushed + pulled) == 0


def test_a_revision_sends_the_partition_that_changed_and_its_raw(lake, bucket):
    bucket.push(lake)
    revise(lake)

    passed = bucket.passed(lambda: bucket.push(lake))

    put = [one.key.partition(f"/{bucket.prefix}/")[2] for one in passed if one.kind == "PUT"]
    assert [name for name in put if not name.startswith("locks/")] == [
        next(name for name in put if name.startswith("raw/") and ETH in name),
        "clean/perpetuals_ohlcv/ETH-PERPETUAL/2024.parquet",
        LINE,
    ]
    assert bucket.objects().keys() == {n for n in beside(lake) if n != "lake.json"}
    assert [one.kind for one in passed].count("LIST") == 1


def test_rows_that_stay_the_same_are_not_sent_with_a_new_line(lake, bucket):
    bucket.push(lake)
    raw.stage([attempt(chart(minutes(*range(10))))], MINUTES.raw_folder(lake, OTHER))
    publish(lake, OTHER, folded(lake, partition=OTHER))

    report = bucket.push(lake)

    assert (report.partitions, report.raw_files, report.files) == (1, 1, 2)
    assert bucket.objects()[LINE] == lake.ledger(OTHER).read_bytes()


def test_what_was_merged_or_withdrawn_goes_away_after_the_new_lines(lake, bucket):
    bucket.push(lake)
    raw.merge(MINUTES.raw_folder(lake, PARTITION), at_least=2)
    publish(lake, PARTITION, folded(lake))
    withdraw(lake, OTHER)

    passed = bucket.passed(lambda: bucket.push(lake))

    line = next(n for n, one in enumerate(passed) if one.key.endswith("BTC-PERPETUAL/2024.json"))
    deleted = [n for n, one in enumerate(passed) if one.kind in {"DELETE", "POST"}]
    assert min(deleted) > line
    assert bucket.objects().keys() == {n for n in beside(lake) if n != "lake.json"}


def test_without_the_memory_of_a_push_nothing_is_sent_either(lake, bucket):
    bucket.push(lake)
    for path in (lake.root / "copies").iterdir():
        path.unlink()

    passed = bucket.passed(lambda: bucket.push(lake))

    assert [one.kind for one in passed] == ["GET", "LIST", "LIST"]
    assert [one.kind for one in bucket.passed(lambda: bucket.push(lake))] == ["LIST"]


def test_a_bucket_that_became_another_lake_or_was_emptied_is_found_out(lake, bucket, tmp_path):
    bucket.push(lake)
    revise(lake)
    bucket.overwrite("lake.json", b'{"format": 4, "lake": "of somebody else"}')
    with pytest.raises(UsageError, match=r"is another lake: expected .* got of somebody else"):
        bucket.push(lake)

    store = bucket.opened()
    store.delete([one["path"] for page in store.list() for one in page])
    bucket.push(lake)

    assert beside(bucket.pull(tmp_path / "back")) == beside(lake)


def test_a_tag_that_is_no_digest_has_the_line_read_and_remembered(lake, bucket):
    bucket.push(lake)
    again = lake.ledger(OTHER).read_bytes()
    bucket.opened().put(LINE, again, use_multipart=True)

    passed = bucket.passed(lambda: bucket.push(lake))

    assert [one.kind for one in passed] == ["LIST", "GET"]
    assert [one.kind for one in bucket.passed(lambda: bucket.push(lake))] == ["LIST"]


def test_what_was_written_into_a_copy_is_refused_until_it_is_pulled(lake, bucket, tmp_path):
    bucket.push(lake)
    other = bucket.pull(tmp_path / "other")
    revise(other)
    bucket.push(other)

    with pytest.raises(UsageError, match=f"1 partitions that were written there .* {ETH} 2024: pu"):
        bucket.push(lake)

    bucket.pull(lake.root)
    assert beside(lake) == beside(other)


def test_a_copy_written_on_both_sides_is_refused_unless_it_is_to_be_lost(lake, bucket, tmp_path):
    bucket.push(lake)
    other = bucket.pull(tmp_path / "other")
    revise(lake)
    bucket.push(lake)
    raw.stage([attempt(chart(minutes(5)))], MINUTES.raw_folder(other, OTHER))
    publish(other, OTHER, folded(other, partition=OTHER))
    before = beside(other)

    with pytest.raises(UsageError, match="written there"):
        bucket.pull(other.root)
    assert beside(other) == before

    with pytest.raises(UsageError, match="written there"):  # though written later
        bucket.push(other)
    with pytest.raises(UsageError, match="written there"):
        bucket.push(other, relist=True)

    bucket.pull(other.root, force=True)
    assert beside(other) == beside(lake)


def test_what_was_killed_while_it_was_sent_is_sent_again_though_it_changed_since(lake, bucket):
    bucket.push(lake)
    revise(lake)
    kept = [*(lake.root / "copies").glob("*.json")]
    begun = [one.read_bytes().replace(b"false", b"true") for one in kept]
    bucket.push(lake)
    for one, data in zip(kept, begun, strict=True):
        one.write_bytes(data)
    raw.stage([attempt(chart(minutes(5)))], MINUTES.raw_folder(lake, OTHER))
    publish(lake, OTHER, folded(lake, partition=OTHER))

    bucket.push(lake)

    assert bucket.objects().keys() == {n for n in beside(lake) if n != "lake.json"}


def test_another_lake_a_newer_format_and_what_is_no_lake_are_refused(lake, bucket, tmp_path):
    bucket.push(lake)
    other = filled(tmp_path / "another")
    with pytest.raises(UsageError, match="is another lake: expected a copy of"):
        bucket.push(other)
    with pytest.raises(UsageError, match="is another lake"):
        bucket.pull(other.root)

    bucket.prefix = "newer"
    bucket.overwrite("lake.json", b'{"format": %d}' % (FORMAT + 1))
    with pytest.raises(LakeFormatError, match="written by a newer"):
        bucket.push(lake)

    bucket.prefix = "full"
    bucket.overwrite("notes.txt", b"mine")
    with pytest.raises(
        UsageError, match=r"has no lake\.json and is not empty: there is notes\.txt"
    ):
        bucket.push(lake)

    bucket.prefix = "nothing"
    with pytest.raises(UsageError, match="no lake at s3://"):
        bucket.pull(tmp_path / "none")
    bucket.name = "no-such-bucket"
    with pytest.raises(RefusedByStoreError, match="NoSuchBucket"):
        bucket.push(lake)


def test_a_key_that_may_only_read_pulls_and_does_not_push(lake, bucket, tmp_path, monkeypatch):
    bucket.push(lake)
    for name, key in READER.items():
        monkeypatch.setenv(name, key)
    bucket = bucket.reached(lease_seconds=59)  # a client reads its keys when it is made

    assert beside(bucket.pull(tmp_path / "back")) == beside(lake)
    revise(lake)
    with pytest.raises(RefusedByStoreError, match="AccessDenied"):
        bucket.push(lake)


def test_a_copy_without_raw_is_read_and_vouches_for_nothing(lake, bucket, tmp_path):
    bucket.push(lake)
    reader = bucket.pull(tmp_path / "reader", without_raw=True)

    assert scan(reader, "perpetuals_ohlcv").collect().height == 20
    assert list(verify(reader)) == []
    assert {one.verdict for one in statuses(reader)} == {"UNKNOWN"}
    assert {one.why.partition(",")[0] for one in statuses(reader)} == {"a copy without raw"}
    with pytest.raises(UsageError, match=r"a copy without raw, .* nothing can be made in it"):
        open_to_write(Settings(root=reader.root), LogProgress())
    with pytest.raises(UsageError, match="is a copy without raw: give --no-raw"):
        bucket.push(reader)

    bucket.pull(reader.root)
    assert beside(reader) == beside(lake)
    assert statuses(reader) == statuses(lake)


def test_a_part_is_copied_and_what_else_a_copy_has_is_left_alone(lake, bucket, tmp_path):
    bucket.push(lake)
    part = {"without_raw": True, "datasets": frozenset({"funding_rates"})}
    reader = bucket.pull(tmp_path / "reader", **part)
    assert [one.dataset for one in reader.partitions()] == ["funding_rates"]

    bucket.pull(reader.root, without_raw=True, since_ms=OTHER.span.end_ms)
    assert [one.dataset for one in reader.partitions()] == ["funding_rates"]

    bucket.pull(reader.root, without_raw=True)
    assert len([*reader.partitions()]) == 4


def test_a_dry_run_says_what_would_go_and_writes_nothing(lake, bucket):
    before = beside(lake)

    told = bucket.push(lake, dry_run=True)

    assert (bucket.objects(), beside(lake)) == ({}, before)
    done = bucket.push(lake)
    assert (told.partitions, told.raw_files, told.files) == (4, 5, done.files)


@pytest.mark.slow
def test_a_damaged_file_is_not_pulled(lake, bucket, tmp_path):
    bucket.push(lake)
    name = "clean/perpetuals_ohlcv/ETH-PERPETUAL/2024.parquet"
    bucket.overwrite(name, lake.clean(PARTITION).read_bytes())  # rows of another

    with pytest.raises(PartitionBusyError, match=r"1 partitions of .* the ledger says"):
        bucket.pull(tmp_path / "back")

    back = Lake(tmp_path / "back")
    assert len([*back.partitions()]) == 3
    assert read_marker(back).unfinished


@pytest.mark.slow
def test_a_partition_somebody_writes_is_late_and_the_rest_is_copied(lake, bucket):
    with locked(lake, [OTHER]), pytest.raises(PartitionBusyError, match="ETH-PERPETUAL 2024"):
        bucket.push(lake)
    assert len([*bucket.at().partitions()]) == 3
    assert read_marker(bucket.at()).doubt.startswith("a copy that is not finished")

    bucket.push(lake)

    assert bucket.objects().keys() == {n for n in beside(lake) if n != "lake.json"}
    assert not read_marker(bucket.at()).unfinished


def test_a_marker_of_a_copy_is_one_that_older_versions_read(lake, bucket):
    bucket.push(lake)

    told = json.loads((lake.root / "lake.json").read_text())

    assert told["format"] == FORMAT
    assert read_marker(open_lake(lake.root)).lake == told["lake"] == read_marker(bucket.at()).lake


def test_rows_are_read_from_the_copy_in_the_bucket(lake, bucket):
    bucket.push(lake)

    rows = scan(bucket.at(), "perpetuals_ohlcv").select(pl.len()).collect().item()

    assert rows == sum(read_record(lake, one).rows for one in (PARTITION, OTHER))


def test_a_push_puts_no_damage_in_place_of_what_is_whole(lake, bucket):
    bucket.push(lake)
    was = bucket.objects()
    revise(lake)
    folder = MINUTES.raw_folder(lake, PARTITION)
    segment = folder / raw.segments(folder)[0]
    segment.write_bytes(segment.read_bytes()[:-100])
    rows = lake.clean(OTHER)
    rows.write_bytes(rows.read_bytes()[:-100])

    with pytest.raises(PartitionBusyError, match=r"1 partitions of .* is corrupt"):
        bucket.push(lake)
    assert was.items() <= bucket.objects().items()

    publish(lake, OTHER, folded(lake, (START, START + 12 * MINUTE), partition=OTHER), anew=True)
    with pytest.raises(CorruptFileError, match=segment.name):
        bucket.push(lake)
    name = lake.inside(segment).as_posix()
    assert bucket.objects()[name] == was[name]
    assert not [*verify(bucket.at())]

    bucket.pull(lake.root, relist=True)
    assert segment.read_bytes() == was[name]
    bucket.push(lake)


def test_raw_that_was_lost_stays_in_the_copy_and_comes_back(lake, bucket, caplog):
    bucket.push(lake)
    was = bucket.objects()
    folder = MINUTES.raw_folder(lake, PARTITION)
    (folder / raw.segments(folder)[0]).unlink()
    shutil.rmtree(MINUTES.raw_folder(lake, OTHER))
    raw.stage([attempt(chart(minutes(10)))], folder)

    bucket.push(lake)

    assert was.items() <= bucket.objects().items()
    assert "has lost 1 raw files that its ledger names" in caplog.text
    bucket.pull(lake.root, relist=True)
    assert bucket.objects().keys() == {n for n in beside(lake) if n != "lake.json"}


def test_a_lake_that_lost_most_of_its_partitions_takes_none_from_the_copy(
    lake, bucket, monkeypatch
):
    monkeypatch.setattr(rounds, "MANY", 1)
    bucket.push(lake)
    was = bucket.objects()
    for folder in ("ledger", "clean", "derived"):
        shutil.rmtree(lake.root / folder, ignore_errors=True)

    with pytest.raises(UsageError, match=r"has no longer 4 of the 4 partitions of s3://.*: pull"):
        bucket.push(lake)

    assert bucket.objects() == was
    bucket.pull(lake.root)
    assert bucket.objects().keys() == {n for n in beside(lake) if n != "lake.json"}


def test_a_push_that_is_finished_removes_what_a_killed_trial_of_the_store_left(lake, bucket):
    Ends(lake, bucket.at(), None, Marker(lake="one")).begin()
    bucket.at().root.store.put_if("conditions-0123456789abcdef", b"first", None)

    Ends(lake, bucket.at(), Marker(lake="one", unfinished=True), Marker(lake="one")).finish()

    assert list(bucket.objects()) == []
    assert read_marker(bucket.at()) == Marker(lake="one")
