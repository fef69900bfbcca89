import json
import logging
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.backup.identity import identity
from etl.backup.repository import TAG
from etl.backup.restic import restic_of
from etl.backup.run import run
from etl.backup.secrets import redaction
from etl.config import Backup, Settings, load_settings
from etl.errors import (
    BackupError,
    DamagedError,
    LockedError,
    NoRepositoryError,
    PasswordError,
    RemoteError,
    UsageError,
)
from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.backup.conftest import PASSWORD, repository_at

S3 = "s3:http://127.0.0.1:9/bucket"


def restic_at(address, environment):
    return restic_of(Backup(repository=address), environment)


def test_no_repository_set_says_which_setting(environment):
    with pytest.raises(UsageError, match=r"set backup.repository"):
        restic_of(Backup(), environment)


def test_no_restic_says_what_brings_it(environment):
    with pytest.raises(BackupError, match=r"restic is not installed: `apt-get install restic`"):
        restic_at("/backups", environment | {"PATH": "/nowhere"})


@pytest.mark.parametrize("given", [{}, {"RESTIC_PASSWORD": ""}])
def test_no_password_says_where_it_is_expected(environment, given):
    without = {name: text for name, text in environment.items() if name != "RESTIC_PASSWORD"}
    with pytest.raises(PasswordError, match=r"expected it in the environment, as RESTIC_PASSWORD"):
        restic_at("/backups", without | given)


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("\n", "is empty")])
def test_a_password_file_that_holds_none_is_named(environment, tmp_path, content, words):
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    without = {name: text for name, text in environment.items() if name != "RESTIC_PASSWORD"}
    with pytest.raises(PasswordError, match=rf"RESTIC_PASSWORD_FILE = {path} {words}"):
        restic_at("/backups", without | {"RESTIC_PASSWORD_FILE": str(path)})


@pytest.mark.parametrize(
    ("address", "names"),
    [
        (S3, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("b2:bucket:path", "B2_ACCOUNT_ID and B2_ACCOUNT_KEY"),
    ],
)
def test_missing_keys_are_named_before_anything_is_asked(environment, address, names):
    cloudless = {name: text for name, text in environment.items() if "AWS" not in name}
    with pytest.raises(UsageError, match=rf"no keys for the repository .*: expected {names}"):
        restic_at(address, cloudless)


def test_another_password_is_one_line(home, environment):
    repository = repository_at(home / "repository", environment | {"RESTIC_PASSWORD": "another"})
    with pytest.raises(PasswordError, match=r"the password is not that of the repository /"):
        repository.snapshots()


def test_a_folder_without_a_repository_says_how_it_is_made(tmp_path, environment):
    with pytest.raises(NoRepositoryError, match=r"`backup run` makes it"):
        repository_at(tmp_path / "none", environment).snapshots()


def test_a_store_that_does_not_answer_makes_no_repository(environment):
    """Of two restics, the newer asks again for a quarter of an hour."""
    keys = {"AWS_ACCESS_KEY_ID": "key-of-nobody", "AWS_SECRET_ACCESS_KEY": "secret-of-nobody"}
    restic = restic_at(S3, environment | keys)
    words = subprocess.run([restic.program, "version"], capture_output=True, text=True, check=True)
    if not words.stdout.startswith("restic 0.14"):
        pytest.skip("this restic asks again for a quarter of an hour")
    with pytest.raises(RemoteError, match=r"refuses or does not answer: .*connection refused"):
        restic.call("snapshots")


@pytest.fixture
def holder(home, environment):
    """A restic that works on the repository, stopped in the middle: it holds a lock."""
    restic = restic_at(str(home / "repository"), environment)
    with subprocess.Popen(
        [restic.program, "backup", "--stdin"],
        env=dict(restic.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        locks = home / "repository" / "locks"
        deadline = time.monotonic() + 30
        while not list(locks.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(locks.iterdir())
        yield process
        process.kill()
        process.stdin.close()


def test_a_lock_that_is_held_is_waited_for_then_said_by_whom(home, environment, holder):
    naps = []
    repository = repository_at(
        home / "repository", environment, sleep=naps.append, lock_minutes=0.05
    )
    lake = Lake(home / "lake")
    name = identity(lake)
    with (
        pytest.raises(
            LockedError, match=rf"is locked: PID {holder.pid} on .*since .*; waited 0.05"
        ),
        (home / "lock").open("w") as held,
    ):
        repository.thin_out(name, [], held=held)
    assert naps
    assert set(naps) == {5.0}


def test_a_lock_whose_holder_was_killed_is_taken_away(home, environment, holder):
    holder.kill()
    holder.wait()
    assert list((home / "repository" / "locks").iterdir())
    repository = repository_at(home / "repository", environment, lock_minutes=0)

    assert run(Lake(home / "lake"), repository).exit_code == 0
    assert len(repository.snapshots()) == 1
    assert not list((home / "repository" / "locks").iterdir())


def test_a_damaged_index_is_said(home, environment, tmp_path):
    own = {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}  # restic keeps what it read, damaged or not
    repository = repository_at(home / "repository", environment | own)
    for path in (home / "repository" / "index").iterdir():
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"the repository .* is damaged: "):
        run(Lake(home / "lake"), repository)


@pytest.mark.parametrize(
    "spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no pack")]
)
def test_data_that_are_damaged_are_said_by_name(home, environment, spoil):
    repository = repository_at(home / "repository", environment)
    pack = max((home / "repository" / "data").glob("*/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    spoil(pack)

    with pytest.raises(DamagedError, match=rf"is damaged: .*{pack.name[:8]}"):
        repository.check("1/1")


def test_secrets_are_in_no_argument_log_or_message(home, environment, caplog, tmp_path):
    words = tmp_path / "words"
    spy = tmp_path / "restic"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {words}\nexec {shutil.which("restic")} "$@"\n')
    spy.chmod(0o755)
    secrets = {"AWS_SECRET_ACCESS_KEY": "swordfish-secret", "B2_ACCOUNT_KEY": "swordfish-b2"}
    path = {"PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}"}
    repository = repository_at(home / "repository", environment | secrets | path)
    with caplog.at_level(logging.DEBUG):
        run(Lake(home / "lake"), repository)

    told = words.read_text()
    assert "--ignore-ctime" in told
    assert str(home / "repository") not in told  # it may hold a login
    for secret in (PASSWORD, *secrets.values()):
        assert secret not in told
        assert secret not in caplog.text
        assert secret not in repr(repository)


def test_what_restic_says_is_shown_without_secrets_and_logins():
    redact = redaction(
        {"RESTIC_PASSWORD": "hunter22", "AWS_SECRET_ACCESS_KEY": "hunter222", "HOME": "/root"}
    )
    said = "hunter222 hunter22 /root rest:https://me:word@host/"

    assert redact(said) == "*** *** /root rest:https://***@host/"


def test_a_password_from_a_file_is_redacted_too(tmp_path):
    path = tmp_path / "password"
    path.write_text("hunter22\n")

    assert redaction({"RESTIC_PASSWORD_FILE": str(path)})(f"{path}: hunter22") == f"{path}: ***"


def test_a_repository_with_a_login_is_shown_without_it(environment):
    repository = repository_at("rest:http://me:swordfish@127.0.0.1:9/", environment)

    assert repository.address == "rest:http://***@127.0.0.1:9/"
    assert "swordfish" not in repr(Settings(backup=repository.settings))


def test_a_setting_that_is_wrong_is_named_and_a_secret_one_is_not_shown(monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_BACKUP__KEEP_DAILY", "0")
    with pytest.raises(UsageError, match=r"backup.keep_daily = '0'"):
        load_settings()
    monkeypatch.delenv("DERIBIT_LAKE_BACKUP__KEEP_DAILY")
    monkeypatch.setenv("DERIBIT_LAKE_BACKUP__PING_URL", "swordfish")
    with pytest.raises(UsageError, match=r"backup.ping_url = \*\*\*"):
        load_settings()


def test_a_backup_of_the_future_is_neither_the_latest_nor_pushes_out_others(
    home, repository, caplog
):
    lake = Lake(home / "lake")
    ahead = (datetime.now(UTC) + timedelta(days=400)).strftime("%Y-%m-%d %H:%M:%S")
    tags = f"--tag={TAG},lake:{identity(lake)}"
    repository.restic.call("backup", tags, f"--time={ahead}", "--host=deribit-lake", str(lake.root))
    before = repository.choose("latest", None)

    report = run(lake, repository)

    assert before.time < datetime.now(UTC)
    assert report.forgotten == 0
    assert len(repository.snapshots()) == 3
    assert repository.choose("latest", None).id.startswith(report.snapshot)
    assert "1 backups are of the future" in caplog.text


def test_backups_are_kept_by_day_week_and_month(home, environment):
    lake = Lake(home / "lake")
    repository = repository_at(
        home / "repository", environment, keep_daily=2, keep_weekly=1, keep_monthly=2
    )
    now = datetime.now(UTC)
    for days in (1, 2, 3, 40):
        when = (now - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")
        tags = f"--tag={TAG},lake:{identity(lake)}"
        repository.restic.call("backup", tags, f"--time={when}", str(home / "lake" / "raw"))
    repository.restic.call("backup", "--tag=of-others", str(home / "lake" / "raw"))

    run(lake, repository)

    now = datetime.now(UTC)
    days = [(now - one.time).days for one in repository.snapshots()]
    # the last of two days and of a week, which may be one of these, and of the month before
    assert days[-2:] == [1, 0]
    assert days[0] >= 3
    assert 3 <= len(days) <= 4
    others = repository.restic.call("snapshots", "--tag=of-others").messages
    assert len(others) == 1


@pytest.fixture
def command(home, environment):
    settings = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(home / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    return InProcess(Product(home / "lake", "http://127.0.0.1:9", tuple(settings.items())))


def test_the_commands_say_what_they_did(command, home):
    ran = command.run("backup", "run", "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    listed = json.loads(command.run("backup", "list", "--json").stdout)
    assert [one["id"][:8] for one in listed] == [report["snapshot"][:8]]
    assert listed[0]["bytes"] == report["bytes"]
    assert report["snapshot"][:8] in command.run("backup", "list").stdout

    back = command.run("backup", "restore", "--to", home / "back")
    assert back.returncode == 0, back.stderr
    assert f"files in {home / 'back'}, held against the ledger" in back.stdout

    refused = command.run("backup", "restore")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "is not empty" in refused.stderr


def test_a_killed_run_ends_restic_with_it(home, environment):
    """What restic goes on to do alone would be a backup of a tree that is taken down."""
    (home / "lake" / "raw" / "hog").write_bytes(os.urandom(30_000_000))
    settings = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(home / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    product = Product(home / "lake", "http://127.0.0.1:9", tuple(settings.items()))
    process = product.start("backup", "run")
    child = wait_for(lambda: restics(process.pid))
    for pid in child:
        os.kill(int(pid), signal.SIGSTOP)  # it cannot end by itself
    process.kill()
    process.wait()
    try:
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in child))
    finally:
        for pid in child:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def restics(parent):
    """The processes of restic that back something up for a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            above = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if above == parent and b"backup" in words and b"restic" in words[0]:
            found.append(path.name)
    return found


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
