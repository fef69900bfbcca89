"""What restic refuses with, as an error of ours: by its exit code where it has one, else by words.

Written for restic 0.14 (Debian 12) and 0.18 (Debian 13): the former ends with 1 whatever happened.
"""

import re
from collections.abc import Iterator

from etl.errors import (
    BackupError,
    DamagedError,
    LockedError,
    NoRepositoryError,
    PasswordError,
    RemoteError,
    RepositoryFullError,
)

NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12
_NOT_THERE = re.compile(
    r"(unable to open config file|repository does not exist).*?"
    r"(does not exist|no such file or directory|not found|NoSuchKey|404)",
    re.DOTALL,
)
_LOCKED = re.compile(r"already locked|unable to create lock in backend: repository is already")
_PASSWORD = re.compile(r"wrong password or no key found|an empty password is not a password")
_FULL = re.compile(
    r"no space left on device|disk quota exceeded|QuotaExceeded|storage cap exceeded|"
    r"XMinioStorageFull|InsufficientCapacity|507 Insufficient",
    re.IGNORECASE,
)
_REMOTE = re.compile(
    r"connection (refused|reset)|no such host|i/o timeout|context deadline|TLS|x509|"
    r"signature|Access ?Denied|AccessKey|InvalidAccess|Forbidden|Unauthorized|"
    r"unexpected HTTP response|server response unexpected|\b(401|403|50[0-9])\b|broken pipe|: EOF",
    re.IGNORECASE,
)
_DAMAGED = re.compile(
    r"ciphertext verification failed|invalid data returned|does not match|hash mismatch|"
    r"not found in (index|repository)|wrong hash|damaged|invalid header|"
    r"repository contains errors|\w+ id .* not found|unexpected EOF|file does not exist|"
    r"no such file or directory",
    re.IGNORECASE,
)
_SAYS_NOTHING = "Fatal: repository contains errors"  # which ones, the lines before it say
_RETRIES = re.compile(r"returned error, retrying after")
_NOISE = re.compile(r"^(Is there a repository|repository \w+ opened|\s*$|created new cache)")
MOST = 300  # characters of what restic says


def refusal(code: int, said: str, repository: str) -> BackupError:
    """Return the error that restic's exit code and words amount to.

    Parameters
    ----------
    code : int
        Its exit code.
    said : str
        What it wrote to stderr, without secrets.
    repository : str
        The address, as a message may show it.
    """
    kinds = _kinds(code, said, repository, _gist(said))
    return next(failure for is_it, failure in kinds if is_it)


def _kinds(
    code: int, said: str, repository: str, because: str
) -> Iterator[tuple[bool, BackupError]]:
    """Yield each kind of refusal and whether it is that, the surest first."""
    yield (
        code == LOCKED or bool(_LOCKED.search(said)),
        LockedError(f"{repository} is locked: {_holder(said)}"),
    )
    yield (
        code == WRONG_PASSWORD or bool(_PASSWORD.search(said)),
        PasswordError(f"the password is not that of the repository {repository}"),
    )
    full = (
        f"no space is left where the repository {repository} is: what was backed up before is "
        f"whole; make room and run the same command again ({because})"
    )
    yield bool(_FULL.search(said)), RepositoryFullError(full)
    yield (
        code == NO_REPOSITORY or bool(_NOT_THERE.search(said)),
        NoRepositoryError(f"there is no repository at {repository}: `backup run` makes it"),
    )
    remote = f"{repository} refuses or does not answer: {because}"
    yield bool(_REMOTE.search(said)), RemoteError(remote)
    damaged = f"the repository {repository} is damaged: {because}"
    yield bool(_DAMAGED.search(said)), DamagedError(damaged)
    yield True, BackupError(f"restic failed on {repository} with exit code {code}: {because}")


def _gist(said: str) -> str:
    """Return the last line that says something, the fatal one where there is one."""
    said_lines = [line for line in said.splitlines() if not _NOISE.match(line)]
    lines = [line for line in said_lines if line != _SAYS_NOTHING] or said_lines
    fatal = [line for line in lines if line.startswith("Fatal:")]
    chosen = fatal or [line for line in lines if not _RETRIES.search(line)] or lines
    return chosen[-1].removeprefix("Fatal: ").strip()[:MOST] if chosen else "it said nothing"


def _holder(said: str) -> str:
    """Return who holds the lock, and since when."""
    found = re.search(r"locked (?:exclusively )?by (PID [^\n]*)", said)
    since = re.search(r"lock was created at ([^\n]*)", said)
    who = found[1].strip() if found else "by another restic"
    return f"{who}, since {since[1].strip()}" if since else who
