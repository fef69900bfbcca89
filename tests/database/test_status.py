"""`db status` on a server: what it does with the tables, and what somebody altered."""

import json
import time
from dataclasses import replace

import pyarrow as pa
import pytest

from etl.database.connection import connect, database_errors, fetch
from etl.database.schema import server_facts
from etl.database.status import database_status, examine, status_text
from etl.database.upkeep import Chunks
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess

TABLE = "public.funding_rates"
SETTINGS = "timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby"
COMPRESS = f"SELECT compress_chunk(c) FROM show_chunks('{TABLE}') AS c"
MINE = "FROM timescaledb_information.jobs WHERE hypertable_name = 'funding_rates'"


@pytest.fixture
def filled(database):
    """Return a database with two chunks of funding rates."""
    times = pa.array([1_600_000_000_000_000, 1_704_067_200_000_000], pa.timestamp("us", "UTC"))
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {TABLE}")
        schema = cursor.fetch_arrow_table().schema
        rows = {field.name: pa.array([0.5] * 2) for field in schema}
        rows |= {"timestamp": times, "instrument": pa.array(["BTC-PERPETUAL"] * 2)}
        cursor.adbc_ingest(
            "funding_rates", pa.table(rows).select(schema.names).cast(schema), mode="append"
        )
        connection.commit()
    return database


@pytest.fixture
def community(filled):
    """Return that database where the server's licence allows to compress."""
    if database_status(filled).edition != "timescale":
        pytest.skip("the Apache edition neither compresses nor has jobs: name a community server")
    return filled


def wrong(settings):
    """Return what is wrong with the table, but for last runs: jobs run when they like."""
    return [
        fault
        for fault in database_status(settings).faults
        if fault.table == TABLE and "last run" not in fault.what and "start" not in fault.what
    ]


def chunks(settings):
    return {one.table: one for one in database_status(settings).hypertables}[TABLE]


def test_chunks_are_counted_on_every_edition(filled):
    found = database_status(filled)
    assert chunks(filled) == Chunks(TABLE, 2, 0)
    assert [one.table for one in found.hypertables] == sorted(
        one.table for one in found.hypertables
    )


def test_compressed_chunks_are_counted(community, execute):
    execute(f"{COMPRESS} LIMIT 1", community)
    assert chunks(community) == Chunks(TABLE, 2, 1)
    assert wrong(community) == []


def test_jobs_are_those_of_our_tables(community, execute):
    execute(f"SELECT add_retention_policy('{TABLE}', INTERVAL '90 years')", community)
    jobs = database_status(community).jobs
    found = [(job.proc, job.schedule, job.after) for job in jobs if job.table == TABLE]
    assert found == [
        ("policy_compression", "12:00:00", "60 days"),
        ("policy_retention", "1 day", None),
    ]
    assert [(job.table, job.proc) for job in jobs] == sorted((job.table, job.proc) for job in jobs)


def test_the_apache_edition_has_chunks_and_no_jobs(filled):
    found = database_status(filled)
    if found.edition != "apache":
        pytest.skip("this server is of the community edition")
    assert (found.jobs, found.faults) == ((), ())
    assert "no jobs: the apache edition has none" in status_text(found)


def mended(settings, execute):
    """Return what was wrong, after running the statement that comes with it."""
    (fault,) = wrong(settings)
    execute(fault.todo, settings)
    assert wrong(settings) == []
    return fault.what


def test_a_missing_key_is_put_back_by_the_statement_that_is_named(filled, execute):
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT funding_rates_pkey", filled)
    assert mended(filled, execute) == "the primary key is missing"


def test_a_missing_policy_is_added_by_the_statement_that_is_named(community, execute):
    execute(f"SELECT remove_compression_policy('{TABLE}')", community)
    assert mended(community, execute) == "no policy compresses it"


def test_a_policy_is_switched_on_by_the_statement_that_is_named(community, execute):
    execute(f"SELECT alter_job(job_id, scheduled => false) {MINE}", community)
    assert mended(community, execute).endswith("is switched off")


def test_settings_changed_by_hand_are_set_by_the_statement_that_is_named(community, execute):
    execute(f"ALTER TABLE {TABLE} SET ({SETTINGS} = 'timestamp DESC')", community)
    assert mended(community, execute).startswith("compressed with segmentby '' orderby")


def test_chunks_compressed_by_other_settings_are_compressed_again(community, execute):
    execute(f"ALTER TABLE {TABLE} SET ({SETTINGS} = 'timestamp')", community)
    execute(f"{COMPRESS} LIMIT 1", community)
    execute(
        f"ALTER TABLE {TABLE} SET (timescaledb.compress_segmentby = 'instrument',"
        " timescaledb.compress_orderby = 'timestamp')",
        community,
    )
    assert mended(community, execute).startswith("1 chunks were compressed with segmentby ''")
    assert chunks(community) == Chunks(TABLE, 2, 1)


def test_compression_that_was_switched_off_is_a_fault(community, execute):
    execute(f"SELECT remove_compression_policy('{TABLE}')", community)
    execute(f"ALTER TABLE {TABLE} SET (timescaledb.compress = false)", community)
    assert {fault.what for fault in wrong(community)} == {
        "compression is off",
        "no policy compresses it",
    }


def test_a_job_that_failed_for_real_is_told_with_its_error(community, execute):
    broken = 'config || \'{"compress_after": "nonsense"}\''
    execute(f"SELECT alter_job(job_id, config => {broken}, next_start => now()) {MINE}", community)
    job = finished(community)
    execute(f"SELECT alter_job(job_id, scheduled => false) {MINE}", community)

    assert (job.last_status, job.has_failed, job.failures > 0) == ("Failed", True, True)
    assert job.last_error  # not always of the config: some builds fail every job


def finished(settings, seconds=60):
    """Return the job of the table after its first run."""
    for _ in range(seconds * 5):
        for job in database_status(settings).jobs:
            if job.table == TABLE and job.last_status:
                return job
        time.sleep(0.2)
    return pytest.fail("the job has not run")


def as_role(settings, execute, role):
    with connect(settings) as connection:
        name = fetch(connection, "SELECT current_database()::text")[0][0]
    execute(f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET role TO {role}", settings)


@pytest.mark.parametrize("role", ["deribit_loader", "deribit_reader"])
def test_a_member_sees_chunks_and_jobs_whatever_else_the_database_holds(filled, execute, role):
    execute("CREATE SCHEMA hidden; CREATE TABLE hidden.t (x timestamptz NOT NULL)", filled)
    execute("SELECT create_hypertable('hidden.t', by_range('x'))", filled)
    before = database_status(filled)
    as_role(filled, execute, role)
    after = database_status(filled)

    assert after.hypertables == before.hypertables
    assert [job.job_id for job in after.jobs] == [job.job_id for job in before.jobs]
    assert [job.last_error for job in after.jobs if job.last_error] == []


def test_a_server_that_is_too_old_is_a_fault(database):
    with database_errors(), connect(database) as connection:
        facts = replace(server_facts(connection), timescaledb_version="2.9.1")
        found = examine(connection, facts)
    assert found[:2] == ((), ())
    assert "TimescaleDB 2.9.1, expected 2.13 or newer" in str(found[2][0])


def test_a_version_without_settings_in_its_catalog_is_asked_for_none(filled):
    with database_errors(), connect(filled) as connection:
        facts = replace(server_facts(connection), timescaledb_version="2.13.1")
        found = examine(connection, facts)
    assert [fault.what for fault in found[2] if "compressed with" in fault.what] == []
    assert len(found[0]) == len(database_status(filled).hypertables)


def test_a_fault_is_in_text_and_json_and_the_exit_code(filled, execute, tmp_path):
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT funding_rates_pkey", filled)
    own = (("DERIBIT_LAKE_DSN", filled.dsn),)
    product = InProcess(Product(tmp_path / "lake", "http://127.0.0.1:9", own))
    text, as_json = product.run("db", "status"), product.run("db", "status", "--json")

    line = (
        f"wrong: {TABLE}: the primary key is missing: "
        f"ALTER TABLE {TABLE} ADD PRIMARY KEY (instrument, timestamp)"
    )
    told = json.loads(as_json.stdout)
    assert line in text.stdout.splitlines()
    assert (text.returncode, as_json.returncode, text.stderr) == (1, 1, "")
    assert "the primary key is missing" in [one["what"] for one in told["faults"]]
    assert {"table": TABLE, "chunks": 2, "compressed": 0} in told["hypertables"]
