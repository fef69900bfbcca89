"""A dump of compressed chunks comes back compressed, and is the same: on the community code.

A database there takes one connection at a time, so that no snapshot can be shared: pg_dump is run
by itself, and what makes a database of its file is ours.
"""

import subprocess

import msgspec
import pytest

from etl.database.connection import connect, execute_script, fetch
from etl.database.manifest import Dump
from etl.database.programs import find_program
from etl.database.restore import _fill
from etl.errors import DifferenceError
from tests.database.dumping import content
from tests.database.test_load import bring, candles, publish

pytestmark = pytest.mark.slow
CHUNKS = (
    "SELECT chunk_name::text, is_compressed FROM timescaledb_information.chunks"
    " WHERE hypertable_name = 'perpetuals_ohlcv' ORDER BY 1"
)


@pytest.fixture
def dumped(community, tmp_path):
    """Return a dump of a database with a compressed chunk, and its manifest."""
    publish(tmp_path / "lake", candles())
    bring(community.model_copy(update={"root": tmp_path / "lake"}))
    with connect(community, autocommit=True) as connection:
        execute_script(
            connection, "SELECT compress_chunk(c) FROM show_chunks('perpetuals_ohlcv') c LIMIT 1"
        )
        sql = "SELECT extversion::text FROM pg_extension WHERE extname = 'timescaledb'"
        ((version,),) = fetch(connection, sql)
    out = tmp_path / "db.dump"
    program, major = find_program("pg_dump", 17)
    words = [str(program), "--format=custom", f"--file={out}", f"--dbname={community.dsn}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = Dump(
        bytes=out.stat().st_size,
        digest="",
        dumped_ms=0,
        database="postgres",
        encoding="UTF8",
        server_version="17.5",
        timescaledb_version=version,
        timescaledb_schema="public",
        edition="timescale",
        schema_version=4,
        program=major,
        roles=(),
        settings=(),
        content=content(community),
    )
    return out, told


def roles(settings):
    """Make the groups, as a restore does before it begins."""
    with connect(settings, autocommit=True) as connection:
        for name in ("deribit_loader", "deribit_reader"):
            execute_script(connection, f"CREATE ROLE {name}")


def test_compressed_chunks_come_back_as_they_were(dumped, community, empty_community):
    roles(empty_community)
    months = _fill(empty_community.dsn, *dumped)
    with connect(community) as before, connect(empty_community) as now:
        assert fetch(now, CHUNKS) == fetch(before, CHUNKS)
        assert any(compressed for _, compressed in fetch(now, CHUNKS))
    assert months == len(dumped[1].content.by_month())
    assert content(empty_community) == content(community)


def test_a_value_inside_a_compressed_chunk_shows(dumped, community, empty_community):
    roles(empty_community)
    with connect(community, autocommit=True) as connection:
        execute_script(
            connection,
            "UPDATE perpetuals_ohlcv SET close = 1 WHERE timestamp = '2024-12-01 00:00+00'",
        )
    out, told = dumped
    changed = msgspec.structs.replace(told, content=content(community))
    with pytest.raises(DifferenceError, match=r"public\.perpetuals_ohlcv 2024-12: expected 44,640"):
        _fill(empty_community.dsn, out, changed)
