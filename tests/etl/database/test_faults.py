from dataclasses import replace
from datetime import UTC, datetime

import pytest

from etl.database.faults import expected_settings, faults
from etl.database.tables import tables
from etl.database.upkeep import Chunks, Compression, Job, Upkeep, Workers

TABLE = "public.futures_ohlcv"
JOB = f"{TABLE}: job 1001 (policy_compression)"
AT = datetime(2026, 11, 28, 8, 15, 30, tzinfo=UTC)


def job(number=0, table=TABLE, **changes):
    start = AT.replace(hour=number)
    expected = Job(
        1000 + number, table, "policy_compression", "12:00:00", "60 days", True, start, "Success",
        False, 0.1, start, False, 0, None,
    )  # fmt: skip
    return replace(expected, **changes)


@pytest.fixture
def fine():
    """Return the upkeep of a database in which all is as it should be."""
    settings = expected_settings()
    return Upkeep(
        chunks=tuple(Chunks(one.table, 3, 2) for one in settings),
        knows_settings=True,
        compressions=tuple(
            Compression(one.table, of_chunks, one.segment, one.order, 1)
            for one in settings
            for of_chunks in (False, True)
        ),
        keys=dict.fromkeys((table.path for table in tables().values()), True),
        jobs=tuple(job(number, one.table) for number, one in enumerate(settings)),
        workers=Workers(8, 16, 1),
    )


def told(upkeep, edition="timescale"):
    return [str(fault) for fault in faults(upkeep, edition=edition)]


def with_job(upkeep, **changes):
    """Return an upkeep in which the job of one table is another."""
    jobs = tuple(replace(one, **changes) if one.table == TABLE else one for one in upkeep.jobs)
    return replace(upkeep, jobs=jobs)


def compressed(upkeep, of_chunks, segment, order):
    """Return an upkeep in which one table is compressed otherwise."""
    other = Compression(TABLE, of_chunks, segment, order, 2)
    same = (one for one in upkeep.compressions if (one.table, one.of_chunks) != (TABLE, of_chunks))
    return replace(upkeep, compressions=(*same, other))


def test_nothing_is_wrong_where_all_is_as_it_should_be(fine):
    assert told(fine) == []


def test_every_hypertable_has_settings_to_expect():
    found = {one.table: (one.segment, one.order) for one in expected_settings()}
    assert found["public.options_greeks"] == (("underlying",), ("instrument", "timestamp"))
    assert found["public.options_ohlcv"] == ((), ("instrument", "timestamp"))
    assert list(found) == sorted(found)


@pytest.mark.parametrize("edition", ["timescale", "apache"])
def test_a_missing_key_comes_with_the_statement_that_puts_it_back(fine, edition):
    lacking = replace(fine, keys=fine.keys | {"reference.futures_curve": False})
    assert told(lacking, edition) == [
        (
            "reference.futures_curve: the primary key is missing: "
            "ALTER TABLE reference.futures_curve "
            "ADD PRIMARY KEY (underlying, timestamp, maturity_days)"
        )
    ]


def test_a_table_that_is_not_there_yet_is_not_missed(fine):
    chunks = tuple(one for one in fine.chunks if one.table != TABLE)
    jobs = tuple(one for one in fine.jobs if one.table != TABLE)
    keys = {table: has for table, has in fine.keys.items() if table != TABLE}
    assert told(replace(fine, chunks=chunks, jobs=jobs, keys=keys)) == []


def test_a_missing_policy_comes_with_the_statement_that_adds_it(fine):
    jobs = tuple(one for one in fine.jobs if one.table != TABLE)
    assert told(replace(fine, jobs=jobs)) == [
        (
            f"{TABLE}: no policy compresses it: "
            f"SELECT add_compression_policy('{TABLE}', INTERVAL '60 days')"
        )
    ]


def test_the_apache_edition_owes_no_policy(fine):
    assert told(replace(fine, jobs=(), compressions=()), "apache") == []


def test_a_job_that_is_switched_off_is_a_fault_whatever_its_last_run(fine):
    assert told(with_job(fine, is_on=False, has_failed=True)) == [
        (f"{JOB} is switched off: SELECT alter_job(1001, scheduled => true)")
    ]


def test_a_job_that_failed_says_why_in_one_line(fine):
    failed = with_job(fine, has_failed=True, last_status="Failed", last_error="bad\n config")
    assert told(failed) == [
        (
            f"{TABLE}: the last run of job 1001 (policy_compression) failed: bad config: "
            "next try 2026-11-28 01:15"
        )
    ]


def test_a_job_that_failed_in_the_past_is_no_fault(fine):
    assert told(with_job(fine, failures=3, last_error="bad config")) == []


def test_a_failure_whose_error_only_the_owner_sees_is_told_all_the_same(fine):
    assert "failed: only its owner may see why" in told(with_job(fine, has_failed=True))[0]


def test_a_job_that_could_not_start_is_told_from_one_that_failed(fine):
    error = 'failed to start job Job 1001 ("Columnstore Policy [1001]") failed to start'
    assert told(with_job(fine, has_failed=True, last_error=error, next_start=None)) == [
        (f"{JOB} could not start: the server had no process free: no next try is known")
    ]


def test_a_job_that_is_due_and_does_not_start_is_a_fault(fine):
    assert told(with_job(fine, is_late=True)) == [
        (f"{JOB} was due at 2026-11-28 01:15 and has not started: the server's log says why")
    ]


def test_settings_of_somebody_else_come_with_those_that_are_expected(fine):
    assert told(compressed(fine, False, (), ("timestamp DESC",))) == [
        (
            f"{TABLE}: compressed with segmentby '' orderby 'timestamp DESC', expected segmentby "
            f"'instrument' orderby 'timestamp': ALTER TABLE {TABLE} SET (timescaledb.compress, "
            "timescaledb.compress_segmentby = 'instrument', "
            "timescaledb.compress_orderby = 'timestamp')"
        )
    ]


def test_chunks_compressed_by_other_settings_are_counted(fine):
    (line,) = told(compressed(fine, True, (), ("timestamp",)))
    assert line.startswith(f"{TABLE}: 2 chunks were compressed with segmentby '' orderby")
    assert "SELECT compress_chunk(" in line


def test_compression_that_is_off_is_a_fault_where_settings_can_be_read(fine):
    none = replace(fine, compressions=tuple(x for x in fine.compressions if x.table != TABLE))
    assert [line.partition(": ALTER")[0] for line in told(none)] == [f"{TABLE}: compression is off"]
    assert told(replace(none, knows_settings=False, compressions=())) == []


@pytest.mark.parametrize(
    ("workers", "more"), [(Workers(8, 16, 1), 11), (Workers(32, 5, 1), 13), (Workers(2, 16, 1), 17)]
)
def test_jobs_due_in_the_same_minute_need_a_process_each(fine, workers, more):
    jobs = tuple(replace(one, next_start=AT.replace(second=5)) for one in fine.jobs)
    (line,) = told(replace(fine, jobs=jobs, workers=workers))
    assert f"max_worker_processes = {workers.max_worker_processes} and" in line
    assert line.endswith(f"16 are due in the same minute: raise them by {more}")


def test_jobs_that_are_staggered_need_few_processes(fine):
    assert told(replace(fine, workers=Workers(4, 16, 1))) == []
