import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from etl.backup.identity import identity
from etl.backup.mend import mend
from etl.backup.run import run
from etl.errors import DamagedError, NoSnapshotError, UsageError
from etl.progress import LogProgress
from etl.sources.funding_rates import FUNDING_RATES
from lake.errors import DiskFullError, PartitionBusyError
from lake.lock import locked_file
from lake.paths import Lake
from lake.verify import verify
from tests.etl.backup.conftest import repository_at
from tests.etl.backup.lakes import OTHER, digests, filled
from tests.etl.backup.restoring import restored
from tests.etl.staged import FUNDED, MINUTES, PARTITION, RULES


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(home, repository):
    before = digests(home / "lake")
    with pytest.raises(
        UsageError, match=r"is not empty .*: choose another by --to, or give --force"
    ):
        restored(repository, home / "lake")
    assert digests(home / "lake") == before


def test_with_force_what_is_there_is_set_aside(home, repository):
    (home / "lake" / "mine").write_text("of the user's")
    report = restored(repository, home / "lake", force=True)

    assert (report.set_aside / "mine").read_text() == "of the user's"
    assert not (home / "lake" / "mine").exists()
    assert not list(verify(Lake(home / "lake")))


def test_an_empty_folder_may_be_there(home, repository):
    (home / "back").mkdir()
    restored(repository, home / "back")
    assert digests(home / "back") == digests(home / "lake")


def test_nothing_is_left_beside_what_was_restored(home, repository):
    restored(repository, home / "back")
    assert {path.name for path in home.iterdir()} == {"lake", "repository", "back"}


def test_what_a_killed_restore_left_is_taken_away(home, repository):
    left = home / ".back.restoring" / "lake" / "raw"
    left.mkdir(parents=True)
    (left / "half.parquet").write_bytes(b"half")

    restored(repository, home / "back")

    assert digests(home / "back") == digests(home / "lake")
    assert not (home / ".back.restoring").exists()


def test_of_two_restores_into_one_folder_the_second_refuses(home, repository):
    with (
        locked_file(home / ".back.restoring.lock", "a restore"),
        pytest.raises(PartitionBusyError, match=r"a restore into .*back is being run by process"),
    ):
        restored(repository, home / "back")


def test_a_restore_that_has_no_room_does_not_begin(home, repository, monkeypatch):
    monkeypatch.setattr("etl.backup.restore.free_bytes", lambda _path: 10)
    with pytest.raises(DiskFullError, match=r"MB are needed on the disk that holds .*back"):
        restored(repository, home / "back")
    assert not (home / "back").exists()


def test_a_database_that_is_not_in_the_backup_is_refused(home, repository):
    with pytest.raises(NoSnapshotError, match=r"holds no database: give --only lake"):
        restored(repository, home / "back", parts=["lake", "database"])


def test_an_older_backup_can_be_named(home, repository):
    first = repository.snapshots()[0]
    before = digests(home / "lake")
    (home / "lake" / "raw" / "new").write_bytes(b"new")
    lake = Lake(home / "lake")
    repository.restic.call("tag", "--set=kept", first.id)  # so that no retention takes it
    kept = repository.restic.call("snapshots", "--tag=kept").messages[0]["id"]
    run(lake, repository)
    repository.restic.call("tag", f"--set=deribit-lake,lake:{identity(lake)}", kept)
    old = repository.snapshots()[0]

    restored(repository, home / "back", snapshot=old.short)

    assert digests(home / "back") == before


# What was being written, or is missing, is made again


def backed_up_after(home, environment, change):
    change(Lake(home / "lake"))
    repository = repository_at(home / "repository", environment)
    run(Lake(home / "lake"), repository)
    return repository


def line_of(partition):
    return f"ledger/{partition.dataset}/{partition.part}/{partition.period}.json"


@pytest.mark.parametrize("partition", [PARTITION, OTHER, FUNDED], ids=str)
def test_clean_rows_that_are_missing_are_made_again_from_raw(home, environment, partition):
    before = digests(home / "lake")
    repository = backed_up_after(home, environment, lambda lake: lake.clean(partition).unlink())

    report = restored(repository, home / "back")

    after = digests(home / "back")  # a line says, too, when it was judged
    assert {one for one in before if after.get(one) != before[one]} <= {line_of(partition)}
    assert (report.rebuilt, report.lost) == ((str(partition),), ())


def test_a_line_that_is_missing_is_made_again_from_raw(home, environment):
    repository = backed_up_after(home, environment, lambda lake: lake.ledger(PARTITION).unlink())

    report = restored(repository, home / "back")

    assert report.rebuilt == (str(PARTITION),)
    assert Lake(home / "back").ledger(PARTITION).exists()
    assert not list(verify(Lake(home / "back")))


def test_derived_rows_that_are_missing_are_computed_again(home, environment):
    before = digests(home / "lake")
    (made,) = Lake(home / "lake").partitions("index_prices")
    repository = backed_up_after(home, environment, lambda lake: lake.derived(made).unlink())

    report = restored(repository, home / "back")

    assert digests(home / "back") == before
    assert (report.rebuilt, report.lost) == ((str(made),), ())


def test_rows_that_belong_to_another_line_are_made_again(home, environment):
    before = digests(home / "lake")

    def swap(lake):
        shutil.copy(lake.clean(OTHER), lake.clean(PARTITION))

    report = restored(backed_up_after(home, environment, swap), home / "back")

    assert digests(home / "back") == before
    assert report.rebuilt == (str(PARTITION),)


# What the repository has lost is said, and only that


def packs(repository):
    return sorted(p for p in (repository_folder(repository) / "data").rglob("*") if p.is_file())


def repository_folder(repository):
    return Path(repository.restic.repository)


def flip(path, at):
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        was = file.read(1)
        file.seek(at)
        file.write(bytes([was[0] ^ 0xFF]))


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_rot_in_the_repository_cost_what_is_named_and_nothing_else(
    home, environment, seed
):
    """Raw that cannot be compressed fills the packs, so that a byte in them is one of its."""
    rng = np.random.default_rng(seed)
    lake = Lake(home / "lake")
    for number in range(20):
        (lake.root / "raw" / f"noise-{number}").write_bytes(rng.bytes(100_000))
    repository = repository_at(home / "repository", environment)
    run(lake, repository)
    before = digests(lake.root)
    largest = max(packs(repository), key=lambda path: path.stat().st_size)
    for _ in range(3):
        flip(largest, int(rng.integers(1000, 1_900_000)))

    report = restored(repository, home / "back")

    after = digests(home / "back")
    gone = {name for name in before if name not in after}
    assert {name for name in after if after[name] != before[name]} == set()
    assert gone
    assert report.exit_code == 3
    assert gone <= set(report.damaged)  # what of them was made again is there
    assert not list(verify(Lake(home / "back")))


@pytest.fixture
def lake(tmp_path):
    return filled(tmp_path / "lake")


def lose(lake, path):
    path.unlink()
    return str(path.relative_to(lake.root))


def first_segment(lake, partition):
    return min(MINUTES.raw_folder(lake, partition).iterdir())


def test_raw_that_is_lost_keeps_the_rows_that_were_made_of_it(lake):
    rows = lake.clean(PARTITION).read_bytes()
    mended = mend(lake, [lose(lake, first_segment(lake, PARTITION))], RULES, LogProgress())

    assert lake.clean(PARTITION).read_bytes() == rows
    assert mended.rebuilt == ()
    (line,) = mended.lost
    assert line.startswith(f"{PARTITION}: 1 raw files are lost, its published rows are whole; ")
    assert line.endswith("`replay --dataset perpetuals_ohlcv`, then `heal` fetch it again")


def test_raw_and_rows_that_are_lost_are_made_again_from_what_is_left(lake):
    gone = [lose(lake, first_segment(lake, PARTITION)), lose(lake, lake.clean(PARTITION))]
    mended = mend(lake, gone, RULES, LogProgress())

    assert mended.rebuilt == (PARTITION,)
    assert "its rows were made again from those that are left" in mended.lost[0]
    assert not list(verify(lake))


def test_a_partition_of_which_everything_is_lost_is_said(lake):
    gone = [lose(lake, path) for path in (first_segment(lake, OTHER), lake.clean(OTHER))]
    mended = mend(lake, gone, RULES, LogProgress())

    assert OTHER not in mended.rebuilt or "made again from those that are left" in mended.lost[0]
    assert any(str(OTHER) in line for line in mended.lost)


def test_what_cannot_be_made_again_is_lost_and_not_said_to_be_there(lake):
    (made,) = lake.partitions("index_prices")
    shutil.rmtree(FUNDING_RATES.raw_folder(lake, FUNDED))
    gone = [lose(lake, path(FUNDED)) for path in (lake.clean, lake.ledger)]
    mended = mend(lake, [*gone, lose(lake, lake.derived(made))], RULES, LogProgress())

    assert mended.rebuilt == ()
    assert mended.lost == tuple(
        f"{one}: could not be made again; `heal` fetches it" for one in (FUNDED, made)
    )


def test_a_journal_that_is_lost_is_said(lake):
    (journal,) = (lake.root / "journal").iterdir()
    mended = mend(lake, [lose(lake, journal)], RULES, LogProgress())

    assert mended.lost == (f"journal/{journal.name}: lost",)


def test_a_file_that_reads_as_nothing_is_taken_away_and_made_again(lake):
    before = digests(lake.root)
    lake.clean(PARTITION).write_bytes(b"half a file")
    mended = mend(lake, [], RULES, LogProgress())

    assert (mended.rebuilt, mended.lost) == ((PARTITION,), ())
    assert digests(lake.root) == before


def test_a_large_file_of_which_a_part_rots_is_not_left_with_a_hole(home, environment):
    large = home / "lake" / "raw" / "large"
    large.write_bytes(os.urandom(6_000_000))
    repository = repository_at(home / "repository", environment)
    run(Lake(home / "lake"), repository)
    flip(max(packs(repository), key=lambda path: path.stat().st_size), 3_000_000)

    report = restored(repository, home / "back")

    assert report.damaged == ("raw/large",)
    assert report.lost == ("raw/large: lost",)
    assert not (home / "back" / "raw" / "large").exists()


def test_when_all_packs_are_gone_nothing_is_put_into_place(home, environment, tmp_path):
    own = {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    repository = repository_at(home / "repository", environment | own)
    for path in packs(repository):
        path.chmod(0o600)
        path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(DamagedError, match=r"the repository .* is damaged"):
        restored(repository, home / "back")
    assert not (home / "back").exists()
