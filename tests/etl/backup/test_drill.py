"""The drill of a lake: restored from a real repository, held against the one that lives."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import msgspec
import pytest

from etl.backup.drill import PARTS, WEEK_S, data_part, drill, interruptible, read_data
from etl.backup.drill_report import report_text
from etl.backup.room import check_room
from etl.config import Backup, Settings
from etl.errors import NoSnapshotError, PasswordError, UsageError
from etl.progress import LogProgress
from lake import raw
from lake.errors import DiskFullError, PartitionBusyError
from lake.ledger import read_record, write_record
from lake.lock import locked_file
from lake.operations import read_outcome
from lake.paths import Lake
from lake.publish import publish
from tests.acceptance.command import ROOT
from tests.etl.backup.conftest import repository_at
from tests.etl.backup.lakes import OTHER
from tests.etl.collect.health.healthchecks import listening
from tests.etl.staged import MINUTES, PARTITION, attempt, chart, folded, minutes


@pytest.fixture
def lake(home):
    return Lake(home / "lake")


def settings_of(home, **backup):
    kept = Backup(repository=str(home / "repository"), **backup)
    return Settings(root=home / "lake", log_dir=home / "logs", backup=kept)


def drilled(home, repository, **backup):
    return drill(settings_of(home, **backup), repository, LogProgress())


def test_what_was_backed_up_is_restored_and_the_same(home, lake, repository):
    found = drilled(home, repository)

    assert (found.faults, found.newer, found.exit_code) == ((), (), 0)
    assert found.partitions == len(list(lake.partitions()))
    assert found.rows == sum(read_record(lake, one).rows for one in lake.partitions())
    assert found.raw_files == len(list((lake.root / "raw").rglob("*.parquet")))
    assert (found.months, found.data_part) == (None, f"{data_part(time.time())}/{PARTS}")
    assert sorted(path.name for path in home.iterdir()) == ["lake", "repository"]


def test_how_it_ended_is_kept_and_told_to_the_check(home, lake, repository):
    with listening() as check:
        found = drilled(home, repository, drill_ping_url=check.url)
    kept = read_outcome(lake, "drill")

    assert (kept.exit_code, kept.error, kept.is_good) == (0, None, True)
    assert kept.summary["partitions"] == found.partitions
    assert kept.summary["faults_count"] == 0
    assert kept.started_ms <= kept.finished_ms
    assert check.whats() == ["start", "0"]


def test_a_lake_that_went_on_is_newer(home, lake, repository):
    time.sleep(0.01)
    raw.stage([attempt(chart(minutes(10, 11)), (0, 10))], MINUTES.raw_folder(lake, PARTITION))
    record = read_record(lake, PARTITION)
    write_record(lake, PARTITION, msgspec.structs.replace(record, rows=record.rows))
    publish(lake, PARTITION, folded(lake))
    found = drilled(home, repository)

    assert found.faults == ()
    assert any("came after the backup" in one for one in found.newer)
    assert found.verdict == "the backup can be restored, and is what it should be"


def test_a_fault_in_the_lake_is_named_and_ends_with_1(home, lake, repository):
    lake.clean(OTHER).unlink()
    (path,) = sorted((lake.root / "raw").glob("get_instruments/**/*.parquet"))
    path.unlink()
    with listening() as check:
        found = drilled(home, repository, drill_ping_url=check.url)

    assert found.exit_code == 1
    assert len(found.faults) == 2
    assert found.faults[0].startswith(f"{OTHER}: in the lake, its file has 0 rows")
    assert found.faults[1] == f"{path.relative_to(lake.root)}: the lake has lost it"
    assert found.verdict.startswith(f"2 faults: {OTHER}: in the lake, ")
    assert read_outcome(lake, "drill").error == found.verdict
    assert check.whats() == ["start", "1"]
    assert report_text(found).splitlines()[-2] == f"wrong: {found.faults[1]}"


def test_a_damaged_repository_is_a_fault(home, repository):
    for path in sorted((home / "repository/data").rglob("*"), key=lambda x: x.name):
        if path.is_file():
            path.chmod(0o600)
            whole = path.read_bytes()
            path.write_bytes(whole[:40] + bytes(byte ^ 1 for byte in whole[40:80]) + whole[80:])
    found = drilled(home, repository)

    assert found.exit_code == 1
    assert any("lost in the backup: " in one or "made again" in one for one in found.faults)


def test_all_data_of_a_repository_are_read_within_a_month(home, repository):
    now = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
    weeks = [data_part(now + week * WEEK_S) for week in range(60)]
    assert all(sorted(weeks[n : n + PARTS]) == [1, 2, 3, 4] for n in range(56))
    for part in range(1, PARTS + 1):
        repository.check(f"{part}/{PARTS}")
    packs = [path for path in (home / "repository/data").rglob("*") if path.is_file()]
    packs[0].chmod(0o600)
    packs[0].write_bytes(packs[0].read_bytes()[:-1] + b"x")
    told = [read_data(repository, part, []) for part in range(1, PARTS + 1)]
    assert sum(bool(faults) for faults in told) == 1
    assert all(one.startswith("repository: ") for faults in told for one in faults)


def test_a_lake_without_a_backup_or_a_password_is_an_error_that_is_kept(home, lake, environment):
    shutil.copy(lake.root / "operations/identity", home / "identity")
    (lake.root / "operations/identity").write_text("5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278")
    with pytest.raises(NoSnapshotError, match="no backup of the lake 5bf66975"):
        drilled(home, repository_at(home / "repository", environment))
    kept = read_outcome(lake, "drill")
    assert (kept.exit_code, kept.summary) == (1, {})
    assert "no backup of the lake 5bf66975" in kept.error
    (lake.root / "operations/identity").unlink()
    with pytest.raises(NoSnapshotError, match="was never backed up"):
        drilled(home, repository_at(home / "repository", environment))
    shutil.copy(home / "identity", lake.root / "operations/identity")
    with pytest.raises(PasswordError):
        drilled(home, repository_at(home / "repository", environment | {"RESTIC_PASSWORD": "x1y2"}))


def test_a_drill_of_what_is_no_lake_is_refused_and_leaves_it_as_it_is(home, repository):
    shutil.rmtree(home / "lake")
    with pytest.raises(UsageError, match=r"no lake at .*/lake: expected a folder with lake.json"):
        drilled(home, repository)
    assert not (home / "lake").exists()


def test_two_drills_at_once_are_one_too_many(home, lake, repository):
    with (
        locked_file(lake.root / "backup/drill.lock", "other"),
        pytest.raises(
            PartitionBusyError,
            match=r"a drill of .* is being run by process \d+; wait for it to end$",
        ),
    ):
        drilled(home, repository)


def test_a_drill_without_room_is_refused_before_anything_is_written(home):
    with pytest.raises(DiskFullError, match="1,000,000,000,000 MB are needed"):
        check_room(settings_of(home), home / "lake/backup/drill", 10**18, has_database=False)
    check_room(settings_of(home), home / "lake/backup/drill", 10**3, has_database=False)


def test_what_a_killed_drill_left_is_taken_away(home, repository):
    left = home / "lake/backup/drill/lake"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    assert drilled(home, repository).exit_code == 0
    assert not left.parent.exists()


def test_an_error_of_what_is_waited_for_is_raised():
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)
    assert interruptible(lambda: 7) == 7


@pytest.fixture
def started(home, environment):
    """Return a function that starts `backup verify`."""
    given = environment | {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(home / "repository"),
        "DERIBIT_LAKE_LOG_DIR": str(home / "logs"),
    }

    def start(*words):
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "--lake", str(home / "lake"), "backup", "verify", *words],
            cwd=ROOT,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_the_command_says_it_all_as_json(started, lake):
    process = started("--json")
    told, error = process.communicate()
    found = msgspec.json.decode(told)

    assert (process.returncode, error) == (0, "")
    assert (found["partitions"], found["faults"]) == (len(list(lake.partitions())), [])


def test_sigterm_takes_away_what_was_made(home, started, lake):
    process = started()
    while process.poll() is None and not (home / "lake/backup/drill").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate()

    assert process.returncode == 143
    assert "Traceback" not in error
    assert not (home / "lake/backup/drill").exists()
    assert read_outcome(lake, "drill").exit_code == 143


@pytest.mark.slow
def test_a_drill_killed_at_any_moment_leaves_the_lake_and_the_next_cleans_up(home, started, lake):
    for number in range(6):
        process = started()
        while process.poll() is None and not (home / "lake/backup/drill").exists():
            time.sleep(0.005)
        time.sleep(0.15 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    process = started()
    told, error = process.communicate()

    assert process.returncode == 0, told + error
    assert not (home / "lake/backup/drill").exists()
    assert read_outcome(lake, "drill").is_good


def test_of_what_is_newer_a_screenful_is_listed(home, repository):
    found = drilled(home, repository)
    many = msgspec.structs.replace(found, newer=tuple(f"raw/{n}" for n in range(25)))
    lines = report_text(many).splitlines()

    assert sum(line.startswith("newer: raw/") for line in lines) == 20
    assert "newer: and 5 more, all of which --json lists" in lines
    assert "more, all" not in report_text(msgspec.structs.replace(found, newer=("raw/0",) * 20))
