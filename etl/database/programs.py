"""PostgreSQL's own programs on this machine, `pg_dump` and `pg_restore`, in the version needed.

Those of `db up` come from Debian's packages; a machine may have others, in several versions.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from etl.database.connection import secrets_of
from etl.database.dsn import redacted, without_secrets
from etl.database.packages import PROGRAMS, default_cache, is_unpacked, run
from etl.errors import DatabaseError, DatabaseFullError, DumpError, UnreachableError

INSTALLED = Path("/usr/lib/postgresql")
ZSTD_SINCE = 16
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_LOST = re.compile(r"server closed the connection|terminating connection|could not receive data")
_FULL = re.compile(r"No space left on device|disk full", re.IGNORECASE)


def find_program(name: str, major: int, *, at_least: int | None = None) -> tuple[Path, int]:
    """Return a program and its major version: that of the server if there is one, else the newest.

    Parameters
    ----------
    name
        ``pg_dump`` or ``pg_restore``.
    major
        The server's major version: an older program does not understand it.
    at_least
        What it has to be instead, where an archive needs more.

    Raises
    ------
    DumpError
        If there is none that is new enough; the message names what was found.
    """
    needed = max(major, at_least or 0)
    found = {version: path for path in _candidates(name) if (version := _major(path))}
    if needed in found:
        return found[needed], needed
    newest = max(found, default=None)
    if newest is None or newest < needed:
        held = f"{found[newest]} is version {newest}" if newest else "this machine has none"
        message = (
            f"no {name} of version {needed} or newer, which the server needs: {held}; "
            f"install postgresql-client-{needed}"
        )
        raise DumpError(message)
    return found[newest], newest


def open_program(
    program: Path, words: Sequence[str], dsn: str, *, stdout: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start a program on a database; its password goes into the environment, for no eyes.

    Raises
    ------
    DumpError
        If it cannot be started.
    """
    command = [str(program), *words, "--no-password", f"--dbname={redacted(dsn)}"]
    environment = os.environ | {"LC_ALL": "C"} | secrets_of(dsn)
    try:
        return subprocess.Popen(  # noqa: S603  the command is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        message = f"cannot run {program}: {error.strerror or error}"
        raise DumpError(message) from error


def failure_of(program: Path, status: int, said: bytes, dsn: str) -> DatabaseError:
    """Return why a program failed, in one line without a secret."""
    text = without_secrets(said.decode(errors="replace"), dsn)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    told = [line for line in lines if "error:" in line] or lines or ["it said nothing"]
    why = told[0].partition("error: ")[2] or told[0]
    if _FULL.search(text):
        return DatabaseFullError(f"no space left on the database server: {why}")
    if _LOST.search(text):
        return UnreachableError(f"the connection to the database was lost: {why}")
    return DumpError(f"{program.name} failed ({status}): {why}")


def _candidates(name: str) -> Iterator[Path]:
    """Yield where a program is, the places to be preferred last."""
    if (on_path := shutil.which(name)) is not None:
        yield Path(on_path)
    yield from sorted(INSTALLED.glob(f"*/bin/{name}"))
    if is_unpacked():
        yield default_cache() / PROGRAMS / name


@cache
def _major(program: Path) -> int | None:
    """Return the major version of a program, None where it says none."""
    found = _VERSION.search(run([program, "--version"])) if program.exists() else None
    return int(found[1]) if found else None
