"""Connection strings of PostgreSQL: read strictly, shown without their secrets.

libpq repeats parts of a string it cannot read in its messages, and an unencoded ``@``, ``/`` or
blank in a password makes such a part of it. So a string is read here first, and what libpq would
read otherwise than its author meant is refused without showing any of it.
"""

import re
from urllib.parse import quote, unquote

from etl.errors import UsageError

_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?://)(?:(?P<user>[^@/?:]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^@/?]*)(?:/(?P<dbname>[^@/?]*))?(?:\?(?P<query>[^@?]*))?"
)
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_PAIR = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|$)")
_SECRET = re.compile(r"password|secret|scram_\w+_key|^sslkey$")


def check_dsn(dsn: str) -> None:
    """Accept a connection string that means the same to libpq as to its author.

    Raises
    ------
    UsageError
        If it is neither a URL nor a list of keywords; the message shows nothing of it.
    """
    if not _is_readable(dsn):
        message = (
            "the DSN cannot be read (it is not shown, for it may hold a password): expected "
            "postgresql://user@host:port/database, with @ / ? : % in a password written as "
            "%40 %2F %3F %3A %25; or host=… port=… dbname=… user=…"
        )
        raise UsageError(message)


def redacted(dsn: str) -> str:
    """Return the connection string without passwords and other secrets."""
    if not _is_readable(dsn):
        return "(a DSN that cannot be read)"
    url = _URL.fullmatch(dsn)
    if url is None:
        return " ".join(f"{key}={text}" for key, text in _PAIR.findall(dsn) if not _is_secret(key))
    user = f"{url['user']}@" if url["user"] else ""
    dbname = "" if url["dbname"] is None else f"/{url['dbname']}"
    kept = [pair for pair in _query(url) if not _is_secret(pair.partition("=")[0])]
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{url['scheme']}{user}{url['hosts']}{dbname}{query}"


def with_defaults(dsn: str, **parameters: str) -> str:
    """Return the connection string with parameters it does not state itself."""
    url = _URL.fullmatch(dsn)
    if url is None:
        stated = {key for key, _ in _PAIR.findall(dsn)}
        new = [f"{key}={text}" for key, text in parameters.items() if key not in stated]
        return " ".join([dsn, *new])
    stated = {pair.partition("=")[0] for pair in _query(url)}
    new = [f"{key}={quote(text)}" for key, text in parameters.items() if key not in stated]
    return f"{dsn.partition('?')[0]}?{'&'.join([*_query(url), *new])}"


def with_database(dsn: str, name: str) -> str:
    """Return the connection string of another database on the same server."""
    url = _URL.fullmatch(dsn)
    if url is None:
        return f"{dsn} dbname={name}"  # of two, libpq takes the last
    head, _, query = dsn.partition("?")
    start = len(url["scheme"])
    authority = head[start:].partition("/")[0]
    return f"{url['scheme']}{authority}/{quote(name)}{f'?{query}' if query else ''}"


def database_of(dsn: str) -> str | None:
    """Return the name of the database a connection string states, None where it states none."""
    url = _URL.fullmatch(dsn)
    if url is None:
        named = [_unquoted(text) for key, text in _PAIR.findall(dsn) if key == "dbname"]
    else:
        named = [unquote(url["dbname"])] if url["dbname"] else []
    return named[-1] if named else None


def without_secrets(text: str, dsn: str) -> str:
    """Return `text` with every secret of the connection string masked, however it is written."""
    for secret in sorted(_secrets(dsn), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def password(dsn: str) -> str | None:
    """Return the password a connection string holds, None where it holds none."""
    url = _URL.fullmatch(dsn)
    if url is None:
        held = [_unquoted(text) for key, text in _PAIR.findall(dsn) if key == "password"]
    else:
        pairs = [pair.partition("=") for pair in _query(url)]
        written = [url["password"] or "", *(text for key, _, text in pairs if key == "password")]
        held = [unquote(text) for text in written if text]
    return held[-1] if held else None


def _secrets(dsn: str) -> set[str]:
    """Return every secret as it is written and as it is meant."""
    url = _URL.fullmatch(dsn)
    if url is None:
        written = [text for key, text in _PAIR.findall(dsn) if _is_secret(key)]
        return {text for text in (*written, *map(_unquoted, written)) if text}
    pairs = [pair.partition("=") for pair in _query(url)]
    written = [url["password"] or "", *(text for key, _, text in pairs if _is_secret(key))]
    return {text for text in (*written, *map(unquote, written)) if text}


def _unquoted(text: str) -> str:
    inner = text[1:-1] if text.startswith("'") else text
    return re.sub(r"\\(.)", r"\1", inner)


def _is_readable(dsn: str) -> bool:
    url = _URL.fullmatch(dsn)
    if url is not None:
        hosts = url["hosts"].split(",")
        return not _BAD_PERCENT.search(dsn) and all(_HOST.fullmatch(host) for host in hosts)
    return bool(re.fullmatch(f"({_PAIR.pattern})*\\s*", dsn))


def _query(url: re.Match[str]) -> list[str]:
    return [pair for pair in (url["query"] or "").split("&") if pair]


def _is_secret(keyword: str) -> bool:
    return bool(_SECRET.search(unquote(keyword).lower()))
