"""Errors of the etl package.

* EtlError
  x UsageError            a value the user gave cannot be used
  x DeribitError          the exchange answered, and refused
    + RateLimitedError    code 10028: wait and try again
    + TransientError      a refusal that passes by itself: maintenance, settlement, overload
  x UnavailableError      no usable answer after every retry: timeouts, cut bodies, HTML
  x LocalServerError      the server of `db up` cannot be had, started or stopped
  x DatabaseError         the database refused, or is not what is needed
    + UnreachableError    no server answers, or the connection was lost
    + LoginError          the server refuses the user or the password
    + DatabaseFullError   no space is left on the server
    + ServerTooOldError   PostgreSQL or TimescaleDB lacks what is needed
    + ExtensionError      the database has no TimescaleDB
    + SchemaError         the tables are not those of sql/schema.sql
  x LoadError             the lake cannot be loaded as it is
  x ExactError            a table is not exactly what the database expects
"""


class EtlError(Exception):
    """Base of the errors a run reports to its user without a traceback."""


class UsageError(EtlError):
    """A value the user gave cannot be used."""


class DeribitError(EtlError):
    """The exchange answered a request with a JSON-RPC error."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method} was refused: {message} (code {code})")
        self.method = method
        self.code = code


class RateLimitedError(DeribitError):
    """The exchange refused the request for want of credits."""


class TransientError(DeribitError):
    """The exchange refused the request for a reason that passes by itself."""


class UnavailableError(EtlError):
    """The exchange did not give a usable answer."""


class LoadError(EtlError):
    """The lake cannot be loaded as it is."""


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
