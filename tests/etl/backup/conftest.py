"""Restic, as it is installed, on repositories in temporary folders."""

import os
import shutil

import pytest

from etl.backup.repository import Repository
from etl.backup.restic import restic_of
from etl.backup.run import run
from etl.config import Backup
from tests.etl.backup.lakes import filled

PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="session")
def restic():
    """Skip where restic is not installed; a continuous integration has to have it."""
    found = shutil.which("restic")
    if found is None:
        reason = "no restic on this machine: Debian's package would do"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="session")
def environment(request, tmp_path_factory):
    """The environment restic works in: a password, and a cache of the tests' own."""
    request.getfixturevalue("restic")
    cache = tmp_path_factory.mktemp("cache")
    inherited = {name: value for name, value in os.environ.items() if "RESTIC" not in name}
    return inherited | {"RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(cache)}


@pytest.fixture(scope="session")
def backed_up(environment, tmp_path_factory):
    """A folder with a lake and a repository that has one backup of it; copy it, do not use it."""
    home = tmp_path_factory.mktemp("backed-up")
    lake = filled(home / "lake")
    run(lake, repository_at(home / "repository", environment))
    return home


@pytest.fixture
def home(backed_up, tmp_path):
    """A folder of the test's own with a lake, `lake`, and its backup, `repository`."""
    shutil.copytree(backed_up, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def repository(home, environment):
    return repository_at(home / "repository", environment)


def repository_at(folder, environment, *, sleep=None, **settings):
    backup = Backup(repository=str(folder), **settings)
    restic = restic_of(backup, environment)
    return Repository(restic, backup) if sleep is None else Repository(restic, backup, sleep)
