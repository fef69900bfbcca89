"""What the driver raises, said in one line: a lost connection, a full disk, a refusal."""

import re

from adbc_driver_manager import dbapi

from etl.errors import DatabaseError, DatabaseFullError, UnreachableError

_PRIMARY, _SEVERITY = "PG_DIAG_MESSAGE_PRIMARY", "PG_DIAG_SEVERITY_NONLOCALIZED"
_DETAIL = "PG_DIAG_MESSAGE_DETAIL"
_FINAL = ("FATAL", "PANIC")
# Without details from the driver: the last word of the server; else how libpq puts a loss.
_LAST_WORD = re.compile(r"\b(?:FATAL|PANIC):\s+(.+)")
_LOSS = re.compile(
    r"(server closed the connection unexpectedly|no connection to the server"
    r"|could not (?:send|receive) data .+|(?:SSL|GSSAPI) .+|connection .+)"
)
_REFUSAL = re.compile(r"\bERROR:\s+(.+)")


def explained(error: dbapi.Error | OSError) -> DatabaseError:
    """Return the error of the tree that says what the driver's error says."""
    text, state, severity, detail = _told(error)
    if state == "53100":
        return DatabaseFullError(f"no space left on the database server: {text}")
    # 57014, a statement that was cancelled, leaves the connection as it was.
    if state[:2] == "08" or state[:3] == "57P" or severity in _FINAL:
        return _lost(text)
    if state:
        why = one_line(f"{text}: {detail}" if detail else text)
        return DatabaseError(f"the database refused: {why} (SQLSTATE {state})")
    if loss := _LAST_WORD.search(text) or _LOSS.search(one_line(text)):
        return _lost(loss[1])
    refusal = _REFUSAL.search(text)
    return DatabaseError(f"the database refused: {one_line(refusal[1] if refusal else text)}")


def one_line(text: str) -> str:
    """Return what the driver says without its prefixes, the query and line ends."""
    text = text.partition("\n\nQuery was:")[0]
    return " ".join(text.split()).removeprefix("IO: ").removeprefix("[libpq] ")


def _lost(text: str) -> UnreachableError:
    return UnreachableError(f"the connection to the database was lost: {one_line(text)}")


def _told(error: dbapi.Error | OSError) -> tuple[str, str, str, str]:
    """Return what was said, its SQLSTATE, severity and detail, as far as the driver has them."""
    if isinstance(error, OSError):
        return str(error), "", "", ""
    details = {_text(key): _text(value) for key, value in error.details or []}
    text = details.get(_PRIMARY) or str(error)
    return text, error.sqlstate or "", details.get(_SEVERITY, ""), details.get(_DETAIL, "")


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
