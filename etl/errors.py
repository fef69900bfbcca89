"""Errors of the etl package.

* EtlError
  x UsageError            a value the user gave cannot be used
  x StdoutError           what is printed cannot be written
    + StdoutClosedError   nobody reads it any more
  x DeribitError          the exchange answered, and refused
    + RateLimitedError    code 10028 or HTTP 429, whatever its body: wait and try again
    + TransientError      a refusal that passes by itself: settlement, overload
  x UnavailableError      no usable answer after every retry: cut bodies, odd results
    + MaintenanceError    the exchange is down and says so: HTTP 5xx or 405, code 11051
    + NoExchangeError     nothing that speaks JSON-RPC answers: no connection, a web page
      - UnknownHostError  nothing has that name
    + RatePageError       a page of rates is none, or not the one that was asked for
  x LocalServerError      the server of `db up` cannot be had, started or stopped
  x DatabaseError         the database refused, or is not what is needed
    + UnreachableError    no server answers, or the connection was lost
    + LoginError          the server refuses the user or the password
    + DatabaseFullError   no space is left on the server
    + ServerTooOldError   PostgreSQL or TimescaleDB lacks what is needed
    + ExtensionError      the database has no TimescaleDB
    + SchemaError         the tables are not those of sql/schema.sql
    + DumpError           a dump cannot be made, is not whole, or cannot be restored here
      - DifferenceError   what was restored is not what was dumped
  x BackupError           restic, or the repository of backups, is not what is needed
    + NoRepositoryError   there is no repository yet
    + NoSnapshotError     the repository has no such backup
    + PasswordError       the repository's password is another, or none was given
    + LockedError         another restic works on the repository
    + DamagedError        the repository is damaged
    + RepositoryFullError no space is left where the repository is
    + RemoteError         the store of the repository refuses or does not answer
  x ClusterError          a Dask cluster cannot be reached, or is not what is needed
    + OtherBuildError     one of its workers would compute other bytes
    + OtherLakeError      one of its workers does not see the lake
  x LoadError             the lake cannot be loaded as it is
    + LoaderBusyError     another load of the database is under way
  x ExactError            a table is not exactly what the database expects
"""

from collections.abc import Sequence

SHOWN = 5  # differences that a message names
INVALID_PARAMS, NOT_FOUND = -32602, 13020


class EtlError(Exception):
    """Base of the errors a run reports to its user without a traceback."""


class UsageError(EtlError):
    """A value the user gave cannot be used."""


class StdoutError(EtlError):
    """What is printed cannot be written to stdout."""


class StdoutClosedError(StdoutError):
    """Nobody reads stdout any more."""


class DeribitError(EtlError):
    """The exchange answered a request with a JSON-RPC error, and mostly with a reason."""

    def __init__(self, method: str, code: int, message: str, reason: str = "") -> None:
        because = f": {reason}" if reason else ""
        super().__init__(f"{method} was refused: {message} (code {code}){because}")
        self.method = method
        self.code = code
        self.reason = reason

    @property
    def is_unknown_instrument(self) -> bool:
        """Whether the exchange knows no instrument of that name."""
        if self.code == INVALID_PARAMS:
            return "instrument" in self.reason and "not found" in self.reason
        return self.code == NOT_FOUND


class RateLimitedError(DeribitError):
    """The exchange refused the request for want of credits."""


class TransientError(DeribitError):
    """The exchange refused the request for a reason that passes by itself."""


class UnavailableError(EtlError):
    """The exchange did not give a usable answer."""


class MaintenanceError(UnavailableError):
    """The exchange is down, and will be back."""


class NoExchangeError(UnavailableError):
    """Nothing that speaks JSON-RPC answers: the exchange cannot be reached, or this is not it."""


class UnknownHostError(NoExchangeError):
    """No host has that name, or no names can be looked up."""


class RatePageError(UnavailableError):
    """A page of interest rates is none, not whole, or not the one that was asked for."""


class BackupError(EtlError):
    """Restic, or the repository of backups, is not what is needed."""


class NoRepositoryError(BackupError):
    """There is no repository yet."""


class NoSnapshotError(BackupError):
    """The repository has no such backup."""


class PasswordError(BackupError):
    """The repository's password is another, or none was given."""


class LockedError(BackupError):
    """Another restic works on the repository."""


class DamagedError(BackupError):
    """The repository is damaged."""


class RepositoryFullError(BackupError):
    """No space is left where the repository is."""


class RemoteError(BackupError):
    """The store of the repository refuses, or does not answer."""


class ClusterError(EtlError):
    """A Dask cluster cannot be reached, was lost, or is not what is needed."""


class OtherBuildError(ClusterError):
    """A worker has other code, other libraries or another kind of processor."""


class OtherLakeError(ClusterError):
    """A worker does not see the lake."""


class LoadError(EtlError):
    """The lake cannot be loaded as it is."""


class LoaderBusyError(LoadError):
    """Another load of the database is under way."""


class ExactError(EtlError):
    """A table is not exactly what the database expects, and cannot be cast to it."""


class LocalServerError(EtlError):
    """The server of `db up` cannot be had, started or stopped."""


class DatabaseError(EtlError):
    """The database refused, or is not what is needed."""


class UnreachableError(DatabaseError):
    """No server answers, or the connection was lost."""


class LoginError(DatabaseError):
    """The server refuses the user or the password."""


class DatabaseFullError(DatabaseError):
    """No space is left on the server."""


class ServerTooOldError(DatabaseError):
    """PostgreSQL or TimescaleDB lacks what is needed."""


class ExtensionError(DatabaseError):
    """The database has no TimescaleDB."""


class SchemaError(DatabaseError):
    """The tables are not those of sql/schema.sql."""


class DumpError(DatabaseError):
    """A dump of the database cannot be made, is not whole, or cannot be restored here."""


class DifferenceError(DumpError):
    """What was restored is not what was dumped."""

    def __init__(self, database: str, differences: Sequence[str]) -> None:
        more = f" (and {len(differences) - SHOWN} more)" if len(differences) > SHOWN else ""
        super().__init__(
            f"what was restored differs from what was dumped: {'; '.join(differences[:SHOWN])}"
            f"{more}; it stays as database {database}"
        )
        self.differences = tuple(differences)
