"""What belongs to somebody else: one line, or the backup says what it lacks."""

import json
import os
import subprocess

import pytest

from lake.paths import Lake
from tests.acceptance.command import ROOT, Product
from tests.etl.backup.conftest import PASSWORD
from tests.etl.staged import PARTITION

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Before a command: root then may no more than who owns the files that are his."""
NOBODY = 65_534


def ran(home, environment, *words):
    settings = {
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(home / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    product = Product(home / "lake", "http://127.0.0.1:9", tuple(settings.items()))
    return subprocess.run(
        [*WITHOUT_RIGHTS, *product.command("backup", *words)],
        cwd=ROOT,
        env=product.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def given_away(path, mode):
    path.chmod(mode)
    os.chown(path, NOBODY, NOBODY)


def test_what_another_users_killed_backup_left_is_one_line(home, environment):
    left = home / "lake" / "backup" / "tree" / "lake"
    left.mkdir(parents=True, exist_ok=True)
    (left / "raw.parquet").write_bytes(b"left")
    given_away(left, 0o755)

    done = ran(home, environment, "run")

    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert error == f"error: cannot write {home}/lake/backup/tree: Permission denied"


def test_files_and_folders_that_may_not_be_read_are_named_and_replace_no_backup(home, environment):
    lake = Lake(home / "lake")
    given_away(lake.clean(PARTITION), 0o600)
    (lake.root / "raw" / "mine").mkdir()
    given_away(lake.root / "raw" / "mine", 0o700)

    done = ran(home, environment, "run", "--json")

    assert done.returncode == 3, done.stderr
    told, listed = (
        json.loads(done.stdout),
        json.loads(ran(home, environment, "list", "--json").stdout),
    )
    assert told["unreadable"] == [str(lake.clean(PARTITION).relative_to(lake.root)), "raw/mine"]
    assert (told["forgotten"], [one["whole"] for one in listed]) == (0, [True, False])


def test_a_file_of_another_that_may_be_read_is_backed_up(home, environment):
    given_away(Lake(home / "lake").clean(PARTITION), 0o644)

    done = ran(home, environment, "run", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unreadable"] == []
