"""Dumps and restores for tests: a database loaded from a lake, processes of their own."""

import subprocess
import sys
from contextlib import contextmanager

from etl.database.connection import connect, fetch
from etl.database.content import content_of
from etl.database.maintenance import drop, maintaining, named_like
from etl.database.restore import restore
from tests.acceptance.command import ROOT

AGAIN = "deribit_restored"
DUMP = "from etl.database.dump import dump; from pathlib import Path; dump({!r}, Path({!r}))"
RESTORE = (
    "from etl.database.restore import restore; from pathlib import Path;"
    " restore({!r}, Path({!r}), database={!r}, force=True)"
)


def start(script):
    """Start a Python of its own on a script."""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_dump(dsn, out):
    return start(DUMP.format(dsn, str(out)))


def start_restore(dsn, dump, database):
    return start(RESTORE.format(dsn, str(dump), database))


@contextmanager
def throwaway(settings, name):
    """Yield a name for a database, and drop what is called like it afterwards."""
    try:
        yield name
    finally:
        with maintaining(settings.dsn, f"{name} dropped") as server:
            for one in named_like(server, name):
                drop(server, one)


def comment_of(settings, name):
    """Return the comment of a database, None where there is no database of that name."""
    sql = (
        "SELECT shobj_description(oid, 'pg_database')::text FROM pg_database"
        f" WHERE datname = '{name}'"
    )
    with connect(settings) as connection:
        found = fetch(connection, sql)
    return found[0][0] if found else None


def content(settings):
    """Return what a database holds now."""
    with connect(settings) as connection:
        return content_of(connection)


def ended(process):
    """Return what a process said that ended badly; nothing if it ended well."""
    _, said = process.communicate()
    return f"{process.returncode}: {said}" if process.returncode else ""


def bring_back(settings, made, **options):
    """Restore a dump under the name tests restore to."""
    return restore(settings.dsn, made, database=AGAIN, **options)
