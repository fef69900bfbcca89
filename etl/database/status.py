"""Where a database is, what its server says it is, and whether what it does is as it should be."""

from collections.abc import Sequence
from dataclasses import dataclass

from adbc_driver_manager.dbapi import Connection

from etl.config import Settings
from etl.database.connection import connect, database_errors, target
from etl.database.dsn import redacted
from etl.database.faults import Fault, faults
from etl.database.schema import ServerFacts, check_server, latest_version, server_facts
from etl.database.upkeep import Chunks, Job, upkeep
from etl.errors import ServerTooOldError


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """A database by its DSN, which holds no password, what its server says it is, and does."""

    dsn: str
    server_version: str
    timescaledb_version: str | None
    edition: str | None
    schema_version: int | None
    latest_schema_version: int
    hypertables: tuple[Chunks, ...]
    jobs: tuple[Job, ...]
    faults: tuple[Fault, ...]


def database_status(settings: Settings) -> DatabaseStatus:
    """Return where the database is, what it says of itself, and what is wrong with its upkeep."""
    with database_errors(), connect(settings) as connection:
        facts = server_facts(connection)
        hypertables, jobs, wrong = examine(connection, facts)
    return DatabaseStatus(
        dsn=redacted(target(settings)),
        server_version=facts.server_version,
        timescaledb_version=facts.timescaledb_version,
        edition=facts.edition,
        schema_version=facts.schema_version,
        latest_schema_version=latest_version(),
        hypertables=hypertables,
        jobs=jobs,
        faults=wrong,
    )


def status_text(found: DatabaseStatus) -> str:
    """Return a status for people: one paragraph for each part that there is."""
    schema = "no schema" if found.schema_version is None else f"schema {found.schema_version}"
    server = (
        f"{found.dsn}\nPostgreSQL {found.server_version}, "
        f"TimescaleDB {found.timescaledb_version or 'not installed'} "
        f"({found.edition or 'no'} edition), {schema} of {found.latest_schema_version}"
    )
    parts = [server]
    if found.hypertables:
        parts += [_chunk_table(found), _job_table(found)]
    if found.faults:
        parts += ["\n".join(f"wrong: {fault}" for fault in found.faults)]
    return "\n\n".join(parts)


def examine(
    connection: Connection, facts: ServerFacts
) -> tuple[tuple[Chunks, ...], tuple[Job, ...], tuple[Fault, ...]]:
    """Return hypertables, jobs and faults, as far as the database has come."""
    if facts.timescaledb_version is None or facts.schema_version is None:
        return (), (), ()
    try:
        check_server(facts)
    except ServerTooOldError as error:
        return (), (), (Fault("", str(error), "see docs/database.md"),)
    version = tuple(int(part) for part in facts.timescaledb_version.split(".")[:2])
    done = upkeep(connection, version)
    return done.chunks, done.jobs, tuple(faults(done, edition=facts.edition))


def _chunk_table(found: DatabaseStatus) -> str:
    rows = [(one.table, str(one.chunks), str(one.compressed)) for one in found.hypertables]
    return _table([("hypertable", "chunks", "compressed"), *rows])


def _job_table(found: DatabaseStatus) -> str:
    if not found.jobs:
        return "no jobs: the apache edition has none" if found.edition == "apache" else "no jobs"
    head = ("job", "policy", "table", "every", "after", "last run", "result", "took", "next run")
    return _table([(*head, "failures"), *map(_job_cells, found.jobs)])


def _job_cells(job: Job) -> tuple[str, ...]:
    last, following = (
        "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
        for moment in (job.last_start, job.next_start)
    )
    result = "failed" if job.has_failed else (job.last_status or "-").lower()
    took = "-" if job.seconds is None else f"{job.seconds:.1f} s"
    following = following if job.is_on else "off"
    what = (str(job.job_id), job.proc, job.table, job.schedule, job.after or "-")
    return (*what, last, result, took, following, str(job.failures))


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
