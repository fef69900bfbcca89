import os

import msgspec
import pytest

from etl.backup.identity import identity
from etl.backup.run import BackupReport, run
from etl.errors import NoSnapshotError, PasswordError, UsageError
from etl.pings import Check
from lake.errors import NotWritableError, PartitionBusyError
from lake.lock import locked_file
from lake.operations import read_outcome
from lake.paths import Lake
from tests.etl.backup.conftest import repository_at
from tests.etl.backup.lakes import digests, filled
from tests.etl.backup.restoring import restored
from tests.etl.collect.health.healthchecks import CHECK, listening


def test_what_is_restored_is_the_lake_byte_for_byte(home, repository):
    report = restored(repository, home / "back")

    assert digests(home / "back") == digests(home / "lake")
    assert (report.lost, report.rebuilt, report.exit_code) == ((), (), 0)
    kept = (
        (
            one.stat().st_mtime_ns,
            (home / "back" / one.relative_to(home / "lake")).stat().st_mtime_ns,
        )
        for one in (home / "lake").rglob("*.parquet")
    )
    assert all(before == after for before, after in kept)


def test_a_lake_that_is_deleted_comes_back_where_it_was(home, repository):
    lake = Lake(home / "lake")
    before = digests(lake.root)
    name = identity(lake)
    for path in sorted(lake.root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()

    restored(repository, lake.root)

    assert digests(lake.root) == before
    assert identity(lake) == name


def test_a_second_backup_sends_what_is_new_and_reads_no_other(home, repository):
    lake = Lake(home / "lake")
    run(lake, repository)
    (lake.root / "raw" / "new.parquet").write_bytes(os.urandom(100_000))

    report = run(lake, repository)

    assert report.read_files == 2  # that, and how the backup before ended
    assert 100_000 < report.added_bytes < 150_000
    (mine,) = repository.snapshots(identity(lake))
    assert (mine.id, mine.files) == (full(repository).id, report.files)
    assert report.forgotten == 1  # of the same day, the last is kept


def test_what_the_repository_lost_is_sent_again_and_nothing_is_missing(home, repository):
    packs = (home / "repository" / "data").glob("*/*")
    max(packs, key=lambda path: path.stat().st_size).unlink()
    repository.restic.call("rebuild-index")

    report = run(Lake(home / "lake"), repository)

    assert (report.unreadable, report.exit_code) == ((), 0)
    assert full(repository).is_whole
    repository.check("1/1")
    restored(repository, home / "back")
    assert digests(home / "back").keys() == digests(home / "lake").keys()


def test_files_that_are_copied_since_they_cannot_be_linked_are_not_read_again(
    home, repository, monkeypatch
):
    def refused(*_args, **_options):
        raise PermissionError

    monkeypatch.setattr("os.link", refused)
    report = run(Lake(home / "lake"), repository)

    assert report.copied == report.files > 10
    assert report.read_files == 1  # how the backup before ended


def test_how_it_ended_is_kept_in_the_lake(home, repository):
    report = run(Lake(home / "lake"), repository)

    kept = read_outcome(Lake(home / "lake"), "backup")
    assert kept.is_good
    assert msgspec.convert(kept.summary, BackupReport) == report
    assert kept.started_ms < kept.finished_ms


def test_an_error_is_kept_told_to_the_check_and_raised(home, environment):
    repository = repository_at(home / "repository", environment | {"RESTIC_PASSWORD": "another"})
    with listening() as checks, pytest.raises(Exception, match=r"the password is not that of"):
        run(Lake(home / "lake"), repository, check=Check(checks.url))

    kept = read_outcome(Lake(home / "lake"), "backup")
    assert (kept.exit_code, kept.summary) == (1, {})
    assert kept.error.startswith("the password is not that of the repository")
    assert checks.whats() == ["start", "1"]
    assert checks.pings[-1].body == kept.error
    assert len({ping.rid for ping in checks.pings}) == 1


def with_no_place_for_outcomes(home):
    kept = home / "lake" / "operations" / "backup.json"
    kept.unlink()
    kept.mkdir()


def test_an_outcome_that_cannot_be_kept_hides_no_error_and_is_told_to_the_check(home, environment):
    with_no_place_for_outcomes(home)
    repository = repository_at(home / "repository", environment | {"RESTIC_PASSWORD": "another"})
    with listening() as checks, pytest.raises(PasswordError):
        run(Lake(home / "lake"), repository, check=Check(checks.url))

    assert checks.whats() == ["start", "1"]
    assert checks.pings[-1].body.startswith("the password is not that of")


def test_a_success_that_cannot_be_kept_is_a_failure_to_the_check_too(home, repository):
    with_no_place_for_outcomes(home)
    with listening() as checks, pytest.raises(NotWritableError, match=r"backup.json"):
        run(Lake(home / "lake"), repository, check=Check(checks.url))

    assert checks.whats() == ["start", "1"]
    assert "backup.json" in checks.pings[-1].body


def test_a_success_is_told_to_the_check_by_its_exit_status(home, repository):
    with listening() as checks:
        run(Lake(home / "lake"), repository, check=Check(checks.url))

    assert checks.whats() == ["start", "0"]
    assert checks.pings[-1].body.startswith("backup ")


@pytest.mark.parametrize("fault", ["cut", "503"])
def test_pings_that_fail_stop_no_backup_and_show_no_address(home, repository, fault, caplog):
    with listening(fault=fault) as checks:
        report = run(Lake(home / "lake"), repository, check=Check(checks.url))

    assert report.exit_code == 0
    assert "pings to 127.0.0.1 do not count" in caplog.text
    assert CHECK not in caplog.text


def test_of_two_backups_at_once_the_second_refuses(home, repository):
    lock = home / "lake" / "backup" / "backup.lock"
    with (
        locked_file(lock, "a backup"),
        pytest.raises(PartitionBusyError, match=r"a backup of .* is being run by process"),
    ):
        run(Lake(home / "lake"), repository)


def test_a_folder_that_is_no_lake_is_refused(tmp_path, repository):
    with pytest.raises(UsageError, match=r"no lake at"):
        run(Lake(tmp_path / "nothing"), repository)
    assert not (tmp_path / "nothing").exists()


def test_a_repository_keeps_the_lakes_apart(home, repository):
    other = filled(home / "other")
    run(other, repository)

    assert len(repository.snapshots()) == 2
    assert repository.choose("latest", identity(other)).lake == identity(other)
    with pytest.raises(NoSnapshotError, match=r"has backups of 2 lakes: give --snapshot"):
        repository.choose("latest", None)
    with pytest.raises(NoSnapshotError, match=r"has no backup abc: expected one of"):
        repository.choose("abc", None)


def test_a_database_that_cannot_be_dumped_leaves_the_lake_backed_up(home, repository):
    def dump(path):
        path.write_bytes(b"half")
        message = "no server answers"
        raise UsageError(message)

    report = run(Lake(home / "lake"), repository, dump)

    assert (report.exit_code, report.database_bytes) == (1, None)
    assert report.database_error == "no server answers"
    assert report.forgotten == 0  # what lacks the database replaces nothing that may have it
    assert not full(repository).has_database
    assert read_outcome(Lake(home / "lake"), "backup").error == "no server answers"


def test_a_dump_is_in_the_backup_with_its_manifest_and_leaves_nothing_behind(home, repository):
    def dump(path):
        path.write_bytes(b"dump" * 100)
        path.with_name(f"{path.name}.json").write_text("{}")

    report = run(Lake(home / "lake"), repository, dump)

    assert report.database_bytes == 400
    assert [one.name for one in (home / "lake" / "backup").rglob("*") if one.is_file()] == [
        "backup.lock"
    ]
    loaded = []
    back = restored(
        repository,
        home / "back",
        parts=["lake", "database"],
        load=lambda path: loaded.append(
            (path.read_bytes(), path.with_name(f"{path.name}.json").read_text())
        ),
    )
    assert loaded == [(b"dump" * 100, "{}")]
    assert back.database


def full(repository):
    return repository.snapshots()[-1]


def test_what_a_killed_backup_left_is_taken_away(home, repository):
    left = home / "lake" / "backup" / "tree" / "database"
    left.mkdir(parents=True)
    (left / "database.dump").write_bytes(b"half")

    run(Lake(home / "lake"), repository)

    assert not full(repository).has_database
    assert not (left / "database.dump").exists()
