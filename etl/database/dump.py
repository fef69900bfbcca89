"""Dump a database into a file, and say exactly what it held at that moment.

`pg_dump` and the checksums of the manifest look at one snapshot, whoever writes meanwhile. All
tables are locked, against being emptied or altered only, before the snapshot is taken: what
TRUNCATE or a compression empties is gone for older snapshots, too. A dump holds no roles and no
settings of the database: the manifest names them.
"""

import logging
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import msgspec
from adbc_driver_manager.dbapi import Connection

from etl.database.connection import connect_to, database_errors, execute_script, fetch
from etl.database.content import Content, content_of, tables_of
from etl.database.manifest import BLOCK, Dump, manifest_path, new_digest
from etl.database.programs import ZSTD_SINCE, failure_of, find_program, open_program
from etl.database.schema import check_server, server_facts
from lake.write import disk_errors, publish_bytes, publish_stream

if TYPE_CHECKING:
    from etl.database.schema import ServerFacts

logger = logging.getLogger(__name__)

_BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_FACTS = """
SELECT current_database()::text, pg_encoding_to_char(d.encoding)::text,
       (SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'),
       (extract(epoch FROM now()) * 1000)::bigint
FROM pg_database d WHERE d.datname = current_database()
"""
_SETTINGS = """
SELECT unnest(setconfig)::text FROM pg_db_role_setting
WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1
"""
_ROLES = """
SELECT DISTINCT r.rolname::text
FROM (
    SELECT relacl AS acl FROM pg_class UNION ALL SELECT nspacl FROM pg_namespace
    UNION ALL SELECT proacl FROM pg_proc UNION ALL SELECT defaclacl FROM pg_default_acl
) AS rights
CROSS JOIN LATERAL aclexplode(rights.acl) AS granted
JOIN pg_roles r ON r.oid = granted.grantee
WHERE r.rolname !~ '^pg_' AND r.rolname <> current_user AND r.oid <> 10
ORDER BY 1
"""


def dump(dsn: str, out: Path) -> Dump:
    """Write a database to a file in pg_dump's custom format, and its manifest to `<out>.json`.

    The manifest comes last: of whatever a killed dump left, the two do not fit, and `read_dump`
    refuses it. What is at `out` already stays until all of the new file is written.

    Raises
    ------
    DumpError
        If there is no pg_dump for this server, or it fails.
    DatabaseError
        If the database cannot be read.
    DiskFullError, NotWritableError
        If `out` cannot be written.
    """
    started = time.monotonic()
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with database_errors(), connect_to(dsn) as connection:
        facts = server_facts(connection)
        check_server(facts)
        program, version = find_program("pg_dump", int(facts.server_version.partition(".")[0]))
        snapshot = take_snapshot(connection)
        told = _told(connection, facts)
        words = ["--format=custom", f"--snapshot={snapshot}", _compression(version)]
        written: dict[str, Any] = {}
        start = partial(open_program, program, words, dsn, stdout=subprocess.PIPE)

        def write(file: BinaryIO) -> None:
            with start() as process:
                written.update(_written(connection, process, file))
                status, said = process.returncode, written.pop("said")
            if status:
                raise failure_of(program, status, said, dsn)

        publish_stream(write, out)
    made = Dump(**told, **written, program=version)
    publish_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1), manifest_path(out))
    seconds = time.monotonic() - started
    logger.info("dumped %s: %d rows, %d bytes, %.1f s", out, made.rows, made.bytes, seconds)
    return made


def take_snapshot(connection: Connection) -> str:
    """Lock all tables against being emptied, then begin to look at one moment; return its name."""
    tables = tables_of(connection)
    connection.commit()
    execute_script(connection, _BEGIN)
    if tables:  # before the snapshot, which the first query takes
        execute_script(connection, f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE")
    return str(fetch(connection, "SELECT pg_export_snapshot()::text")[0][0])


def _told(connection: Connection, facts: "ServerFacts") -> dict[str, Any]:
    """Return what the manifest says of the server."""
    database, encoding, schema, now_ms = fetch(connection, _FACTS)[0]
    return {
        "database": database,
        "encoding": encoding,
        "timescaledb_schema": schema,
        "dumped_ms": now_ms,
        "server_version": facts.server_version,
        "timescaledb_version": facts.timescaledb_version,
        "edition": facts.edition,
        "schema_version": facts.schema_version,
        "settings": tuple(_kept(name for (name,) in fetch(connection, _SETTINGS))),
        "roles": tuple(name for (name,) in fetch(connection, _ROLES)),
    }


def _kept(settings: Any) -> list[str]:
    """Leave out what a restore sets by itself."""
    return [one for one in settings if not one.startswith("timescaledb.restoring=")]


def _compression(version: int) -> str:
    """Return how tables are packed, each by itself: one that is unchanged gives the same bytes."""
    return "--compress=zstd:3" if version >= ZSTD_SINCE else "--compress=4"


def _written(
    connection: Connection, process: "subprocess.Popen[bytes]", file: BinaryIO
) -> dict[str, Any]:
    """Write what a pg_dump sends, while the server adds up what the snapshot holds."""
    with ThreadPoolExecutor(2) as threads:
        content = threads.submit(_content, connection, process)
        said = threads.submit(_all_of, process.stderr)
        try:
            size, digest = _copy(process, file)
            process.wait()
            if process.returncode:
                connection.adbc_cancel()
                return {"said": said.result()}
            return {
                "bytes": size,
                "digest": digest,
                "content": content.result(),
                "said": said.result(),
            }
        except BaseException:
            process.kill()
            connection.adbc_cancel()
            raise


def _content(connection: Connection, process: "subprocess.Popen[bytes]") -> Content:
    """Return what the snapshot holds; where that cannot be said, no dump is needed."""
    try:
        with database_errors():
            return content_of(connection)
    except BaseException:
        process.kill()
        raise


def _all_of(pipe: IO[bytes] | None) -> bytes:
    return b"" if pipe is None else pipe.read()


def _copy(process: "subprocess.Popen[bytes]", file: BinaryIO) -> tuple[int, str]:
    """Write what a program sends to a file; return its size and digest."""
    size, digest = 0, new_digest()
    while process.stdout is not None and (block := process.stdout.read(BLOCK)):
        file.write(block)
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()
