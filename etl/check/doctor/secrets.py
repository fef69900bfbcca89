"""Secrets of an installation, kept out of whatever is said of it."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from etl.database.dsn import password, redacted, without_secrets

MASK = "***"
SHORTEST = 4  # what is shorter stands in ordinary words, too
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCOUNT_ID|ACCESS_KEY|_KEY(_ID)?$|PING_URL$")
_LOGIN = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")


def is_secret(name: str) -> bool:
    """Whether a variable or setting of that name holds a secret, rather than where one is."""
    word = name.upper()
    return bool(_SECRET.search(word)) and not word.endswith(("_FILE", "_COMMAND"))


def is_dsn(name: str) -> bool:
    """Whether a variable or setting of that name holds a connection string."""
    return name.upper().endswith("DSN")


def shown(name: str, value: object) -> str:
    """Return the value of a variable or setting as others may see it."""
    if is_secret(name):
        return "(set)"
    if is_dsn(name) and value is not None:
        return redacted(str(value))
    return _LOGIN.sub(MASK, str(value))


def secrets_of(held: Mapping[str, object]) -> list[str]:
    """Return what of variables and settings nobody is to see, the longest first."""
    words = {one for name, value in held.items() if value for one in _words(name, str(value))}
    return sorted((one for one in words if len(one) >= SHORTEST), key=len, reverse=True)


def censored(text: str, secrets: list[str], dsns: list[str]) -> str:
    """Return a text without secrets, in one line."""
    for dsn in dsns:
        text = without_secrets(text.replace(dsn, redacted(dsn)), dsn)
    for secret in secrets:
        text = text.replace(secret, MASK)
    return " ".join(_LOGIN.sub(MASK, text).split())


def _words(name: str, value: str) -> Iterator[str]:
    if is_dsn(name):
        if (held := password(value)) is not None:
            yield held
    elif is_secret(name):
        yield value
        if "://" in value:  # of an address, the path is the secret
            yield urlsplit(value).path.strip("/")
