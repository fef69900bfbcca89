"""A backup whose database was missing: a restore says so, and where it is."""

import json
import shutil

import pytest

from etl.backup.run import run
from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.backup.conftest import PASSWORD
from tests.etl.staged import PARTITION


@pytest.fixture
def command(home, environment):
    settings = {
        "DERIBIT_LAKE_DSN": "postgresql://nobody@127.0.0.1:9/x",
        "DERIBIT_LAKE_BACKUP__REPOSITORY": str(home / "repository"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": environment["RESTIC_CACHE_DIR"],
    }
    return InProcess(Product(home / "lake", "http://127.0.0.1:9", tuple(settings.items())))


def dump(path):
    path.write_bytes(b"dump")


def test_a_backup_without_the_database_brings_back_the_lake_and_says_which_has_it(
    command, home, repository
):
    run(Lake(home / "lake"), repository, dump)
    last = next(one for one in repository.snapshots() if one.has_database)
    assert command.run("backup", "run").returncode == 1
    shutil.rmtree(home / "lake")

    done = command.run("backup", "restore", "--json")

    assert done.returncode == 3, done.stderr
    (line,) = json.loads(done.stdout)["lost"]
    assert f"`backup restore --only database --snapshot {last.short}`" in line
    assert Lake(home / "lake").clean(PARTITION).exists()


def test_where_no_backup_has_it_the_lake_makes_it(command, home):
    shutil.rmtree(home / "lake")
    done = command.run("backup", "restore")

    assert done.returncode == 3
    assert "lost: the database: no backup of this lake holds it; `db init`, `load`" in done.stdout


def test_a_lake_alone_lacks_nothing(command, home):
    shutil.rmtree(home / "lake")
    assert command.run("backup", "restore", "--only", "lake").returncode == 0
    assert command.run("backup", "restore", "--to", home / "back").returncode == 0
