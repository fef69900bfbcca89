"""Errors of the etl package.

* EtlError
  x UsageError            a value the user gave cannot be used
  x DeribitError          the exchange answered, and refused
    + RateLimitedError    code 10028: wait and try again
    + TransientError      a refusal that passes by itself: maintenance, settlement, overload
  x UnavailableError      no usable answer after every retry: timeouts, cut bodies, HTML
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
