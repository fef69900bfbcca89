"""The repository of backups: is restic here, is it there, is the password right."""

import shutil
from collections.abc import Iterator

from etl.backup.restic import PROGRAM, Restic, restic_of
from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation
from etl.database import packages
from etl.errors import (
    BackupError,
    DamagedError,
    NoRepositoryError,
    PasswordError,
    RemoteError,
    UsageError,
)

PATIENCE_S = 6.0
"""Seconds restic may go without an answer: by itself it tries a store for a quarter of an hour."""
CODES = (
    (PasswordError, "backup.password"),
    (NoRepositoryError, "backup.repository"),
    (RemoteError, "backup.unreachable"),
    (DamagedError, "backup.damaged"),
    (BackupError, "backup.refuses"),
)


def look(situation: Situation) -> Iterator[Finding]:
    """Ask restic for the repository's configuration: that takes the password, and no lock."""
    backup = situation.settings.backup
    if backup.repository is None:
        hint = "set backup.repository, and RESTIC_PASSWORD in /etc/deribit-lake/environment"
        yield unseen("repository", "none is set: there is no backup", hint)
        return
    try:
        restic = restic_of(backup, situation.environment)
    except UsageError as error:
        yield found("backup.keys", str(error))
    except PasswordError as error:
        yield found("backup.password", str(error))
    except BackupError as error:
        yield found("backup.restic", str(error))
    else:
        if situation.is_offline and not _is_folder(backup.repository):
            yield unseen("repository", "--offline")
        else:
            yield _of_repository(restic, backup.repository)
    if backup.database and situation.settings.dsn is not None and not _has_pg_dump(situation):
        yield found("backup.pg_dump", "the database is to be backed up, and there is no pg_dump")


def _is_folder(repository: str) -> bool:
    """Whether a repository is on this machine, by how restic writes others."""
    return ":" not in repository.partition("/")[0]


def _has_pg_dump(situation: Situation) -> bool:
    """Whether PostgreSQL's program is here: the system's, or among those of `db up`."""
    path = situation.environment.get("PATH")
    return shutil.which("pg_dump", path=path) is not None or packages.is_unpacked()


def _of_repository(restic: Restic, repository: str) -> Finding:
    try:
        restic.call("cat", "config", "--no-lock", stall_seconds=PATIENCE_S)
    except BackupError as error:
        code = next(code for kind, code in CODES if isinstance(error, kind))
        return found(code, str(error))
    return well("repository", f"{repository} opens with the password ({PROGRAM})")
