"""Whether the database was loaded from what the lake has now; it has seconds to say so."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.config import Settings
from etl.database.connection import connect, database_errors
from etl.database.ledger import held_by_file
from etl.database.parts import loadable
from etl.errors import DatabaseError, EtlError
from lake.ledger import Record
from lake.partition import Partition

SECONDS = 5
PARAMETERS = {
    "connect_timeout": f"{SECONDS}",
    "options": f"-c statement_timeout={SECONDS * 1000}",
}


@dataclass(frozen=True)
class Behind:
    """How many partitions of each dataset the database has not as the lake has them.

    `error` says why that is not known, where it is not.
    """

    partitions: int = 0
    due: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


def database_behind(settings: Settings, held: Mapping[Partition, Record]) -> Behind | None:
    """Return what the database lacks of the partitions of a lake; None where no DSN is set."""
    if settings.dsn is None:
        return None
    try:
        with database_errors(), connect(settings, parameters=PARAMETERS) as connection:
            loaded = held_by_file(connection)
    except (DatabaseError, EtlError) as error:
        return Behind(error=str(error))
    names = {one.name: 0 for one in loadable()}
    known = [one for one in held if one.dataset in names and held[one].checksum]
    for one in known:
        sources = {each.source for each in loaded.get(one, {}).values()}
        if sources != {held[one].checksum} and held[one].rows:
            names[one.dataset] += 1
    return Behind(len(known), names)
