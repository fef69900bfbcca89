"""What a dump is a dump of: a file of its own beside it, `<dump>.json`, written last.

Without it, or where it speaks of other bytes, a dump is not whole.
"""

import hashlib
from pathlib import Path

import msgspec

from etl.database.content import Content
from etl.errors import DumpError

BLOCK = 1 << 20


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """One dump: its bytes, the server it is from, and what the database held at its moment.

    Attributes
    ----------
    bytes, digest
        Size of the file and the BLAKE2b of its content.
    dumped_ms
        The moment all of it was true, by the server's clock [Unix ms].
    program
        Major version of the pg_dump that wrote it.
    roles
        Who has rights in it. A dump holds no roles: `restore` makes those that are missing.
    settings
        What `ALTER DATABASE … SET` said, as name=value: no part of a dump either.
    """

    bytes: int
    digest: str
    dumped_ms: int
    database: str
    encoding: str
    server_version: str
    timescaledb_version: str
    timescaledb_schema: str
    edition: str
    schema_version: int | None
    program: int
    roles: tuple[str, ...]
    settings: tuple[str, ...]
    content: Content

    @property
    def rows(self) -> int:
        """How many rows of tables it holds."""
        return self.content.rows

    @property
    def major(self) -> int:
        """The major version of the server it is from."""
        return int(self.server_version.partition(".")[0])


def manifest_path(dump: Path) -> Path:
    """Return where the manifest of a dump lies."""
    return dump.with_name(f"{dump.name}.json")


def read_dump(path: Path) -> Dump:
    """Return the manifest of a dump that is whole, every byte of it read.

    Raises
    ------
    DumpError
        If the dump or its manifest is missing, or the one is not of the other.
    """
    manifest = manifest_path(path)
    try:
        found = msgspec.json.decode(manifest.read_bytes(), type=Dump)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, new_digest).hexdigest()
    except FileNotFoundError as error:
        message = f"{error.filename} is missing: {path} is not a whole dump"
        raise DumpError(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{manifest} is no manifest of a dump: {error}"
        raise DumpError(message) from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise DumpError(message) from error
    if (path.stat().st_size, digest) != (found.bytes, found.digest):
        message = (
            f"{path} is not the dump its manifest speaks of: expected {found.bytes:,} bytes, "
            f"digest {found.digest[:12]}; found {path.stat().st_size:,}, {digest[:12]}"
        )
        raise DumpError(message)
    return found


def new_digest() -> "hashlib.blake2b":
    """Return an empty digest as manifests have it of a dump's bytes."""
    return hashlib.blake2b(digest_size=16)
