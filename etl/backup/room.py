"""Room for a drill: what it restores has to fit beside what lives, before anything is written."""

from pathlib import Path

from etl.config import Settings
from etl.database.connection import connect_to, database_errors, fetch, target
from lake.errors import DiskFullError
from lake.store.files import free_bytes

_SIZE = "SELECT pg_database_size(current_database())"
_PLACE = """
SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
    AND (inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR
         inet_server_addr() = '::1')
    THEN current_setting('data_directory') END
"""


def check_room(settings: Settings, folder: Path, needed: int, *, has_database: bool) -> None:
    """Refuse a drill that cannot fit: the lake's bytes, and as many as the live database has.

    A server elsewhere is not asked for its room: nothing tells it.

    Raises
    ------
    DiskFullError
        If there is not enough.
    """
    size, place = _database(settings) if has_database else (0, None)
    if place is not None and _is_same_disk(folder, place):
        needed, size = needed + size, 0
    if needed > free_bytes(folder):
        raise DiskFullError(folder, needed)
    if place is not None and size > free_bytes(place):
        raise DiskFullError(place, size)


def _database(settings: Settings) -> tuple[int, Path | None]:
    """Return the size of the live database, and the server's folder where it is on this machine."""
    with database_errors(), connect_to(target(settings)) as live:
        ((size,),) = fetch(live, _SIZE)
    dsn = settings.backup.drill_dsn or target(settings)
    with database_errors(), connect_to(dsn) as server:
        ((place,),) = fetch(server, _PLACE)
    folder = None if place is None else Path(place)
    return size, folder if folder is not None and folder.exists() else None


def _is_same_disk(one: Path, other: Path) -> bool:
    while not one.exists():
        one = one.absolute().parent
    return one.stat().st_dev == other.stat().st_dev
