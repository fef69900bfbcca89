"""What the server does with the tables in between: chunks, compression, background jobs.

Nothing here needs a right of its own. The views of TimescaleDB that look a table up by its name
fail on schemas a role may not use, so that settings and keys are read from the catalog.
"""

from dataclasses import dataclass
from datetime import datetime

from adbc_driver_manager.dbapi import Connection

from etl.database.connection import fetch

COMPRESSES = "policy_compression"  # columnstore or not: the procedure has kept its name
CATALOG_SINCE = (2, 14)  # _timescaledb_catalog.compression_settings

_CHUNKS = """
SELECT h.hypertable_schema || '.' || h.hypertable_name,
       count(c.chunk_name), count(*) FILTER (WHERE c.is_compressed)
FROM timescaledb_information.hypertables h
LEFT JOIN timescaledb_information.chunks c USING (hypertable_schema, hypertable_name)
WHERE h.hypertable_schema IN ('public', 'reference')
GROUP BY 1 ORDER BY 1
"""
# Chunks have settings of their own, those they were compressed by.
_SETTINGS = """
SELECT n.nspname || '.' || c.relname, i.inhrelid IS NOT NULL, coalesce(s.segmentby[1:], '{}'),
       ARRAY(SELECT name || CASE WHEN is_down THEN ' DESC' ELSE '' END
             FROM unnest(s.orderby, s.orderby_desc) AS place (name, is_down)),
       count(*)
FROM _timescaledb_catalog.compression_settings s
LEFT JOIN pg_inherits i ON i.inhrelid = s.relid
JOIN pg_class c ON c.oid = coalesce(i.inhparent, s.relid)
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'reference')
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_KEYS = """
SELECT n.nspname || '.' || c.relname,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'reference') AND c.relkind = 'r'
ORDER BY 1
"""
# A job that is due for a quarter of an hour does not start.
_JOBS = """
SELECT DISTINCT ON (t.name, j.proc_name, j.job_id)
       j.job_id, t.name, j.proc_name::text, j.schedule_interval::text,
       j.config ->> 'compress_after', j.scheduled,
       CASE WHEN isfinite(s.last_run_started_at) THEN s.last_run_started_at END,
       s.last_run_status,
       coalesce(s.last_run_status = 'Failed' OR e.start_time >= s.last_run_started_at, false),
       extract(epoch FROM s.last_run_duration)::float8,
       CASE WHEN isfinite(j.next_start) THEN j.next_start END,
       coalesce(j.next_start < now() - INTERVAL '15 minutes' AND isfinite(j.next_start)
                AND s.job_status <> 'Running', false),
       coalesce(s.total_failures, 0), e.err_message
FROM timescaledb_information.jobs j
CROSS JOIN LATERAL (SELECT j.hypertable_schema || '.' || j.hypertable_name) AS t (name)
LEFT JOIN timescaledb_information.job_stats s USING (job_id)
LEFT JOIN LATERAL (
    SELECT err_message, start_time FROM timescaledb_information.job_errors
    WHERE job_id = j.job_id ORDER BY start_time DESC NULLS LAST LIMIT 1
) e ON true
WHERE j.hypertable_schema IN ('public', 'reference')
ORDER BY t.name, j.proc_name, j.job_id
"""
# Processes of others have no type for a role that may not see it: one scheduler is ours.
_WORKERS = """
SELECT current_setting('max_worker_processes')::int,
       current_setting('timescaledb.max_background_workers')::int,
       greatest(1, (SELECT count(*) FROM pg_stat_activity
                    WHERE backend_type = 'TimescaleDB Background Worker Scheduler'))
"""


@dataclass(frozen=True, slots=True)
class Chunks:
    """How many chunks a hypertable has, and how many of them are compressed."""

    table: str
    chunks: int
    compressed: int


@dataclass(frozen=True, slots=True)
class Compression:
    """By what a hypertable is compressed from now on, or some of its chunks were."""

    table: str
    of_chunks: bool
    segment: tuple[str, ...]
    order: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Job:
    """A policy on a table of ours: when it runs, and how the last run went.

    `has_failed` is of the last run, which may have crashed too and has no status then;
    `last_error` is what the server remembers of the newest failure, for the owner alone.
    """

    job_id: int
    table: str
    proc: str
    schedule: str
    after: str | None
    is_on: bool
    last_start: datetime | None
    last_status: str | None
    has_failed: bool
    seconds: float | None
    next_start: datetime | None
    is_late: bool
    failures: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes a server has for work in the background."""

    max_worker_processes: int
    max_background_workers: int
    schedulers: int

    @property
    def room(self) -> int:
        """How many jobs can run at once, beside launchers and schedulers."""
        of_server = self.max_worker_processes - 2  # the launcher, and that of logical replication
        return min(of_server, self.max_background_workers - 1) - self.schedulers


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What the server does with the tables, each part sorted; `keys` says who has a primary key.

    Before TimescaleDB 2.14 `compressions` is empty: `knows_settings` is False.
    """

    chunks: tuple[Chunks, ...]
    knows_settings: bool
    compressions: tuple[Compression, ...]
    keys: dict[str, bool]
    jobs: tuple[Job, ...]
    workers: Workers


def upkeep(connection: Connection, timescaledb: tuple[int, ...]) -> Upkeep:
    """Return chunks, compression, keys and jobs of a database that has TimescaleDB."""
    knows_settings = timescaledb >= CATALOG_SINCE
    settings = fetch(connection, _SETTINGS) if knows_settings else []
    return Upkeep(
        tuple(Chunks(*row) for row in fetch(connection, _CHUNKS)),
        knows_settings,
        tuple(
            Compression(table, of_chunks, tuple(segment), tuple(order), count)
            for table, of_chunks, segment, order, count in settings
        ),
        dict(fetch(connection, _KEYS)),
        tuple(Job(*row) for row in fetch(connection, _JOBS)),
        Workers(*fetch(connection, _WORKERS)[0]),
    )
