"""What is not as it should be in the upkeep of a database, and what to do about it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from etl.database.tables import stated, tables, with_books
from etl.database.upkeep import COMPRESSES, Compression, Job, Upkeep

COMPRESS_AFTER = "60 days"
NOT_STARTED = "failed to start job"

_RECOMPRESS = (
    "SELECT compress_chunk(format('%I.%I', chunk_schema, chunk_name)::regclass, "
    "recompress => true) FROM timescaledb_information.chunks WHERE is_compressed"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a table, or with the server where `table` is empty."""

    table: str
    what: str
    todo: str

    def __str__(self) -> str:
        """Return the fault as one line."""
        return ": ".join(part for part in (self.table, self.what, self.todo) if part)


@dataclass(frozen=True, slots=True)
class Expected:
    """By what a hypertable is to be compressed."""

    table: str
    segment: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def words(self) -> str:
        """The settings as TimescaleDB's ALTER TABLE takes them."""
        return _words(self.segment, self.order)


def expected_settings() -> tuple[Expected, ...]:
    """Return the settings every hypertable should have, sorted."""
    chosen = (stated(model) for model in with_books())
    settings = (
        Expected(f"{one.schema}.{one.name}", tuple(filter(None, [one.segmentby])), one.orderby)
        for one in chosen
        if one.chunk is not None
    )
    return tuple(sorted(settings, key=lambda one: one.table))


def faults(found: Upkeep, *, edition: str | None) -> list[Fault]:
    """Return what is wrong, sorted by table; without the licence nothing can be compressed."""
    wrong = list(_missing_keys(found))
    if edition == "timescale":
        held = {one.table for one in found.chunks}
        for expected in expected_settings():
            if expected.table in held:
                wrong += _of_settings(found, expected)
                wrong += _of_policy(found, expected)
        wrong += [fault for job in found.jobs for fault in _of_job(job)]
        wrong += _of_workers(found)
    return sorted(wrong, key=lambda fault: fault.table)


def _missing_keys(found: Upkeep) -> Iterator[Fault]:
    for table in tables().values():
        if found.keys.get(table.path) is False:
            statement = f"ALTER TABLE {table.path} ADD PRIMARY KEY ({', '.join(table.key)})"
            yield Fault(table.path, "the primary key is missing", statement)


def _of_settings(found: Upkeep, expected: Expected) -> Iterator[Fault]:
    ours = [one for one in found.compressions if one.table == expected.table]
    for one in ours:
        if (one.segment, one.order) != (expected.segment, expected.order):
            yield _other_settings(one, expected)
    if found.knows_settings and all(one.of_chunks for one in ours):
        yield Fault(expected.table, "compression is off", _alter(expected))


def _other_settings(one: Compression, expected: Expected) -> Fault:
    found = f"{_words(one.segment, one.order)}, expected {expected.words}"
    if not one.of_chunks:
        return Fault(expected.table, f"compressed with {found}", _alter(expected))
    return Fault(
        one.table, f"{one.count} chunks were compressed with {found}", _recompress(one.table)
    )


def _of_policy(found: Upkeep, expected: Expected) -> Iterator[Fault]:
    jobs = [job for job in found.jobs if (job.table, job.proc) == (expected.table, COMPRESSES)]
    if not jobs:
        after = f"INTERVAL '{COMPRESS_AFTER}'"
        add = f"SELECT add_compression_policy('{expected.table}', {after})"
        yield Fault(expected.table, "no policy compresses it", add)


def _of_job(job: Job) -> Iterator[Fault]:
    name = f"job {job.job_id} ({job.proc})"
    if not job.is_on:
        switch = f"SELECT alter_job({job.job_id}, scheduled => true)"
        yield Fault(job.table, f"{name} is switched off", switch)
        return
    if job.has_failed and (job.last_error or "").startswith(NOT_STARTED):
        what = f"{name} could not start: the server had no process free"
        yield Fault(job.table, what, _next_try(job))
    elif job.has_failed:
        why = " ".join((job.last_error or "only its owner may see why").split())
        yield Fault(job.table, f"the last run of {name} failed: {why}", _next_try(job))
    if job.is_late:
        what = f"{name} was due at {_minute(job):%Y-%m-%d %H:%M} and has not started"
        yield Fault(job.table, what, "the server's log says why")


def _of_workers(found: Upkeep) -> Iterator[Fault]:
    """Hold what may be due in the same minute against the processes there are."""
    due = Counter(map(_minute, (job for job in found.jobs if job.is_on)))
    most, room = max(due.values(), default=0), found.workers.room
    if most > room:
        has = (
            f"max_worker_processes = {found.workers.max_worker_processes} and "
            f"timescaledb.max_background_workers = {found.workers.max_background_workers} leave "
            f"room for {max(room, 0)} jobs at once, and {most} are due in the same minute"
        )
        yield Fault("", has, f"raise them by {most - room}")


def _next_try(job: Job) -> str:
    return f"next try {job.next_start:%Y-%m-%d %H:%M}" if job.next_start else "no next try is known"


def _minute(job: Job) -> datetime | None:
    start = job.next_start
    return start and start.replace(second=0, microsecond=0)


def _words(segment: tuple[str, ...], order: tuple[str, ...]) -> str:
    return f"segmentby '{', '.join(segment)}' orderby '{', '.join(order)}'"


def _recompress(table: str) -> str:
    schema, _, name = table.partition(".")
    return f"{_RECOMPRESS} AND (hypertable_schema, hypertable_name) = ('{schema}', '{name}')"


def _alter(expected: Expected) -> str:
    return (
        f"ALTER TABLE {expected.table} SET (timescaledb.compress, "
        f"timescaledb.compress_segmentby = '{', '.join(expected.segment)}', "
        f"timescaledb.compress_orderby = '{', '.join(expected.order)}')"
    )
